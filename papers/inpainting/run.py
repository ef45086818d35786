"""Inpainting: predict hidden pixels from the others by autoencoders and by baseline fills.

Digits with a quadrant hidden, and with half of the pixels missing; cat faces with a square of
20 x 20 hidden. A net trained on hidden pixels fills them in by one pass, a plain one by projection
and by optimizing its code. Run as `narrows reproduce inpainting --preset fast|best`, or on its own.
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
from narrows.applications.filling.baseline_fills import fit_baselines, gaussian_fill
from narrows.applications.filling.hidden import drawn_mask
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_images, local_folder
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


PRESETS = {
    "smoke": Preset(1_000, 40, 2, hidden=(64,), width=32),
    "fast": Preset(20_000, 400, 5, 2_000),
    "best": Preset(60_000, 2_000, 20, 8_000),
}

Build = Callable[[Preset, int, str], Any]
"""From preset, seed and mask to an unfitted estimator."""


def plain(preset: Preset, seed: int, mask: str) -> Autoencoder:
    """Return a net that never sees hidden pixels, for projection and code optimization."""
    return Autoencoder(
        30,
        hidden=(500, 250) if len(preset.hidden) > 1 else preset.hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        learning_rate=5e-3,
        max_epochs=preset.epochs,
        batch_size=256,
        validation_fraction=0.0,
        random_state=seed,
    )


def trained(preset: Preset, seed: int, mask: str) -> Autoencoder:
    """Return a net trained on hidden pixels, which fills them in by one pass."""
    kind, _, value = mask.partition(":")
    if kind == "missing":
        corruption: Any = Missing(float(value), alpha=1.0, beta=0.1)
    else:
        corruption = Patches(0.4, 0.6, alpha=1.0, beta=0.1)
    return Autoencoder(
        preset.width,
        hidden=preset.hidden,
        corruption=corruption,
        loss=SquaredError(link="logistic"),
        augmentation=Affine(until=0.7),
        linear_start=False,
        max_epochs=preset.epochs,
        batch_size=256,
        learning_rate=2e-3,
        validation_fraction=0.0,
        random_state=seed,
    )


def convolutional(preset: Preset, seed: int, mask: str) -> ConvolutionalAutoencoder:
    """Return a net for larger images, trained on hidden squares."""
    return ConvolutionalAutoencoder(
        preset.width,
        channels=preset.channels,
        corruption=Patches(0.25, 0.4, alpha=1.0, beta=0.1),
        loss=SquaredError(link="logistic"),
        augmentation=Affine(flip=0.5, until=0.7),
        linear_start=False,
        max_epochs=preset.epochs,
        batch_size=32,
        learning_rate=1e-3,
        validation_fraction=0.0,
        random_state=seed,
    )


Nets = tuple[tuple[str, Build, tuple[str, ...]], ...]
"""Name, builder and methods of each net."""

_LAST = "net trained on hidden pixels"
NETS: dict[str, Nets] = {
    "digits": (("plain net", plain, ("projection", "code")), (_LAST, trained, ("pass",))),
    "cats": (("plain net", plain, ("projection",)), (_LAST, convolutional, ("pass",))),
}


def digits(preset: Preset) -> tuple[DenseSource, np.ndarray]:
    train, _, test, _ = load_images("mnist")
    return _images(train[: preset.n_train], (28, 28)), test[: preset.n_test]


def cats(preset: Preset) -> tuple[DenseSource, np.ndarray] | None:
    """Return the cat faces if they are available; they state no license."""
    folder = local_folder()
    path = None if folder is None else folder / "cat_faces" / "cats64.npz"
    if not preset.n_cats or path is None or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        data, offsets, is_test = file["data"], file["offsets"], file["is_test"]
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(data[a:b].tobytes())).convert("RGB")).reshape(-1)
            for a, b in zip(offsets[:-1], offsets[1:], strict=True)
        ]
    )
    train = images[~is_test][: preset.n_cats]
    return _images(train, (64, 64, 3)), images[is_test][: preset.n_test]


def _images(x: np.ndarray, shape: tuple[int, ...]) -> DenseSource:
    source = DenseSource(x)
    source.image_shape = shape
    return source


def measured(
    train: DenseSource,
    test: np.ndarray,
    mask: str,
    nets: dict[str, tuple[Any, tuple[str, ...]]],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield the squared error of every fill on hidden pixels, in units of [0, 1]."""
    shape = train.image_shape
    assert shape is not None
    hidden = drawn_mask(mask, len(test), test.shape[1], shape, seed=seed)
    x, where = torch.from_numpy(test / np.float32(255)), torch.from_numpy(hidden)
    scaling = next(iter(nets.values()))[0].model_.scaling
    baselines = fit_baselines(scaling, train, seed=seed)
    fills: Iterator[tuple[str, Any]] = baselines.fills(torch.where(where, 0.0, x), where)

    def with_nets() -> Iterator[tuple[str, Any]]:
        yield from fills
        if test.shape[1] <= _WIDE:
            yield "Gaussian, full covariance", gaussian_fill(x, where, baselines.rows)
        for name, (net, methods) in nets.items():
            for method in methods:
                filled = net.inpaint(test, hidden, method=method, random_state=seed).reshape(
                    test.shape
                )
                yield f"{name}, {method}", torch.from_numpy(filled / np.float32(255))

    started = time.perf_counter()
    for name, fill in with_nets():
        each = (fill - x)[where].square()
        row = {"mask": mask, "fill": name, "error": float(each.mean(dtype=torch.float64))}
        row["seconds"] = round(time.perf_counter() - started, 1)
        print(row, file=sys.stderr, flush=True)
        yield row
        started = time.perf_counter()


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Fit the nets for every data set and mask, and measure every fill."""
    preset = PRESETS[name]
    jobs: list[tuple[str, Any, tuple[str, ...]]] = [
        ("digits", digits(preset), ("quadrant", "missing:0.5"))
    ]
    faces = cats(preset)
    if faces is not None:
        jobs.append(("cats", faces, ("square:20",)))
    rows: list[dict[str, Any]] = []
    for data, (train, test), masks in jobs:
        kept: dict[Any, Any] = {}  # one plain net serves all masks
        for mask in masks:
            nets = {}
            for net_name, build, methods in NETS[data]:
                key = net_name if build is plain else (net_name, mask)
                if key not in kept:
                    kept[key] = build(preset, seed, mask).fit(train)
                nets[net_name] = kept[key], methods
            found = list(measured(train, test, mask, nets, seed))
            mean = found[0]["error"]
            rows += [{"data": data, **row, "of mean fill": row["error"] / mean} for row in found]
            if output is not None:
                _draw(
                    nets, train, test, mask, seed, output / f"{data}-{mask.replace(':', '-')}.png"
                )
    return {
        "preset": name,
        "seed": seed,
        "unit": f"mean squared error of a hidden value in [0, 1]; {preset.n_test} test images",
        "rows": rows,
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
