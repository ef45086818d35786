"""Inpainting: predict hidden pixels from the others by autoencoders and by baseline fills.

Digits with a quadrant hidden, and with half of the pixels missing; cat faces with a square of
20 x 20 hidden. A net trained on hidden pixels fills them in by one pass, a plain one by projection
and by optimizing its code. The net trained on hidden pixels, and the number of nearest rows to
average, are chosen for each mask on a sixth of the training images. Run as
`narrows reproduce inpainting --preset fast|best`, or on its own.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from narrows import Affine, Autoencoder, ConvolutionalAutoencoder, Missing, Patches, SquaredError
from narrows.applications.filling.baseline_fills import (
    fit_baselines,
    gaussian_fill,
    neighbors_fill,
)
from narrows.applications.filling.hidden import drawn_mask
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_half, local_folder
from narrows.figures.inpainting import inpainting_figure
from narrows.figures.saving import save_figure

_WIDE = 2048
"""Most features for the Gaussian with full covariance."""


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    epochs: int
    n_cats: int = 0
    hidden: tuple[int, ...] = (1024, 512)
    width: int = 256
    channels: tuple[int, ...] = (32, 64, 96, 128)
    trial_epochs: int = 2
    """Epochs after which candidates are compared."""
    n_candidates: int = 2


NEIGHBORS = {f"{k} rows": k for k in (1, 3, 5, 10, 20, 50)}
CANDIDATES: dict[str, dict[str, Any]] = {
    "augmented, visible pixels by a tenth": {"augment": True, "beta": 0.1},
    "visible pixels by a tenth": {"augment": False, "beta": 0.1},
    "augmented, all pixels alike": {"augment": True, "beta": 1.0},
}
"""Settings of the net trained on hidden pixels."""

_VALIDATION = 2_000
"""Most training images on which settings are compared."""

PRESETS = {
    "smoke": Preset(1_000, 40, 2, hidden=(64,), width=32),
    "fast": Preset(20_000, 400, 5, 2_000),
    "best": Preset(60_000, 2_000, 20, 8_000, trial_epochs=8, n_candidates=3),
}

Build = Callable[..., Any]
"""From preset, epochs, seed, mask and settings to an unfitted estimator."""


def plain(preset: Preset, epochs: int, seed: int) -> Autoencoder:
    """Return a net that never sees hidden pixels, for projection and code optimization."""
    return Autoencoder(
        30,
        hidden=(500, 250) if len(preset.hidden) > 1 else preset.hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        learning_rate=5e-3,
        max_epochs=epochs,
        batch_size=256,
        validation_fraction=0.0,
        random_state=seed,
    )


def trained(
    preset: Preset, epochs: int, seed: int, mask: str, *, augment: bool, beta: float
) -> Autoencoder:
    """Return a net trained on hidden pixels, which fills them in by one pass."""
    kind, _, value = mask.partition(":")
    if kind == "missing":
        corruption: Any = Missing(float(value), alpha=1.0, beta=beta)
    else:
        corruption = Patches(0.4, 0.6, alpha=1.0, beta=beta)
    return Autoencoder(
        preset.width,
        hidden=preset.hidden,
        loss=SquaredError(link="logistic"),
        corruption=corruption,
        augmentation=Affine(until=0.7) if augment else None,
        linear_start=False,
        learning_rate=2e-3,
        max_epochs=epochs,
        batch_size=256,
        validation_fraction=0.0,
        random_state=seed,
    )


def convolutional(
    preset: Preset, epochs: int, seed: int, mask: str, *, augment: bool, beta: float
) -> ConvolutionalAutoencoder:
    """Return a net for larger images, trained on hidden squares."""
    return ConvolutionalAutoencoder(
        preset.width,
        channels=preset.channels,
        loss=SquaredError(link="logistic"),
        corruption=Patches(0.25, 0.4, alpha=1.0, beta=beta),
        linear_start=False,
        augmentation=Affine(flip=0.5, until=0.7) if augment else None,
        max_epochs=epochs,
        batch_size=32,
        learning_rate=1e-3,
        validation_fraction=0.0,
        random_state=seed,
    )


_PLAIN, _LAST = "plain net", "net trained on hidden pixels"
NETS: dict[str, tuple[Build, tuple[str, ...]]] = {
    "digits": (trained, ("projection", "code")),
    "cats": (convolutional, ("projection",)),
}
"""The net trained on hidden pixels, and the methods of the plain net, by data set."""


def digits(half: str) -> np.ndarray:
    return load_half("mnist", half)[0]


def cats(half: str) -> np.ndarray | None:
    """Return the cat faces if they are available; they state no license."""
    folder = local_folder()
    path = None if folder is None else folder / "cat_faces" / "cats64.npz"
    if path is None or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        data, offsets, is_test = file["data"], file["offsets"], file["is_test"]
    rows = np.flatnonzero(is_test == (half == "test"))
    spans = zip(offsets[rows], offsets[rows + 1], strict=True)
    return np.stack(
        [
            np.asarray(Image.open(io.BytesIO(data[a:b].tobytes())).convert("RGB")).reshape(-1)
            for a, b in spans
        ]
    )


def _images(x: np.ndarray, shape: tuple[int, ...]) -> DenseSource:
    source = DenseSource(x)
    source.image_shape = shape
    return source


Fitted = dict[str, tuple[Any, tuple[str, ...]]]
"""Nets and their methods by name."""


def fills(
    train: DenseSource, x: np.ndarray, hidden: np.ndarray, nets: Fitted, n_neighbors: int, seed: int
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every fill of images x, by name, in units of [0, 1]."""
    shares, where = torch.from_numpy(x / np.float32(255)), torch.from_numpy(hidden)
    baselines = fit_baselines(nets[_LAST][0].model_.scaling, train, seed=seed)
    shown = torch.where(where, 0.0, shares)
    yield from baselines.fills(shown, where)
    filled = neighbors_fill(shown, where, baselines.rows, k=n_neighbors)
    yield f"mean of the nearest rows (k = {n_neighbors})", filled
    if x.shape[1] <= _WIDE:
        yield "Gaussian, full covariance", gaussian_fill(shown, where, baselines.rows)
    for name, (net, methods) in nets.items():
        for method in methods:
            yield f"{name}, {method}", _filled(net, x, hidden, method, seed)


def _filled(net: Any, x: np.ndarray, hidden: np.ndarray, method: str, seed: int) -> torch.Tensor:
    filled = net.inpaint(x, hidden, method=method, random_state=seed).reshape(x.shape)
    return torch.from_numpy(filled / np.float32(255))


def error_of(fill: torch.Tensor, x: np.ndarray, hidden: np.ndarray) -> float:
    """Return the mean squared error of hidden values."""
    each = (fill - torch.from_numpy(x / np.float32(255)))[torch.from_numpy(hidden)].square()
    return float(each.mean(dtype=torch.float64))


def chosen(
    study: Study[Any], data: str, masks: tuple[str, ...], rows: np.ndarray,
    shape: tuple[int, ...], preset: Preset, seed: int,
) -> dict[str, tuple[dict[str, Any], int]]:  # fmt: skip
    """Return, for each mask, the settings of the trained net and the number of nearest rows."""
    fit, validation = validation_split(len(rows), seed=seed)
    held = rows[np.sort(np.random.default_rng(seed).permutation(validation)[:_VALIDATION])]
    known = _images(rows[fit], shape)
    near = torch.from_numpy(rows[fit] / np.float32(255))
    unit = f"mean squared error of hidden values of {len(held)} training images"
    found = {}
    for mask in masks:
        hidden = drawn_mask(mask, len(held), held.shape[1], shape, seed=seed + 1)

        def net_error(settings: dict[str, Any], mask=mask, hidden=hidden) -> float:
            net = NETS[data][0](preset, preset.trial_epochs, seed, mask, **settings).fit(known)
            return error_of(_filled(net, held, hidden, "pass", seed), held, hidden)

        def neighbor_error(k: int, hidden=hidden) -> float:
            where = torch.from_numpy(hidden)
            shown = torch.where(where, 0.0, torch.from_numpy(held / np.float32(255)))
            return error_of(neighbors_fill(shown, where, near, k=k), held, hidden)

        candidates = dict(list(CANDIDATES.items())[: preset.n_candidates])
        trial = f"{unit}, {preset.trial_epochs} epochs"
        settings = study.choose(f"net, {mask}", candidates, net_error, unit=trial)
        found[mask] = (
            settings, study.choose(f"nearest rows, {mask}", NEIGHBORS, neighbor_error, unit=unit)
        )  # fmt: skip
    return found


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Choose and fit the nets for every data set and mask, and measure every fill."""
    preset = PRESETS[name]
    jobs: list[tuple[str, np.ndarray, tuple[int, ...], Any, tuple[str, ...]]] = [
        ("digits", digits("train")[: preset.n_train], (28, 28), digits, ("quadrant", "missing:0.5"))
    ]
    faces = cats("train") if preset.n_cats else None
    if faces is not None:
        jobs.append(("cats", faces[: preset.n_cats], (64, 64, 3), cats, ("square:20",)))
    rows: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    for data, images, shape, load, masks in jobs:
        build, methods = NETS[data]
        train = _images(images, shape)
        study = Study(
            lambda load=load: load("test")[: preset.n_test],
            choices=[f"{what}, {mask}" for mask in masks for what in ("net", "nearest rows")],
        )
        settings = chosen(study, data, masks, images, shape, preset, seed)
        unseeing = plain(preset, preset.epochs, seed).fit(train)  # one plain net serves all masks
        for mask, (of_net, n_neighbors) in settings.items():
            last = build(preset, preset.epochs, seed, mask, **of_net).fit(train)
            nets: Fitted = {_PLAIN: (unseeing, methods), _LAST: (last, ("pass",))}
            test = study.test()
            hidden = drawn_mask(mask, len(test), test.shape[1], train.image_shape, seed=seed)
            found: list[dict[str, Any]] = []
            started = time.perf_counter()
            for fill_name, fill in fills(train, test, hidden, nets, n_neighbors, seed):
                row = {"data": data, "mask": mask, "fill": fill_name}
                row["error"] = error_of(fill, test, hidden)
                row["seconds"] = round(time.perf_counter() - started, 1)
                print(row, file=sys.stderr, flush=True)
                found.append(row)
                started = time.perf_counter()
            rows += [{**row, "of mean fill": row["error"] / found[0]["error"]} for row in found]
            if output is not None:
                path = output / f"{data}-{mask.replace(':', '-')}.png"
                _draw(nets, train, test, mask, seed, path)
        choices += [{**c, "choice": f"{data}: {c['choice']}"} for c in study.record]
    return {
        "preset": name,
        "seed": seed,
        "unit": f"mean squared error of a hidden value in [0, 1]; {preset.n_test} test images",
        "rows": rows,
        "choices": choices,
    }


def _draw(
    nets: dict[str, Any], train: DenseSource, test: np.ndarray, mask: str, seed: int, path: Path
) -> None:
    net, methods = nets[_LAST]
    shown = test[:10]
    hidden = drawn_mask(mask, len(shown), test.shape[1], train.image_shape, seed=seed)
    figure = inpainting_figure(
        net.model_,
        torch.from_numpy(shown.astype(np.float32)),
        hidden,
        method=methods[0],
        baselines=fit_baselines(net.model_.scaling, train, seed=seed),
        seed=seed,
    )
    save_figure(figure, path)


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'], digits=4)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
