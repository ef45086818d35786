"""Hinton and Salakhutdinov (2006): MNIST in codes of 30 numbers, compared with PCA.

Augmentation, learning rate and weight decay are chosen on a sixth of the training images. Run as
`narrows reproduce hinton2006-digits --preset fast|good|best|pure`, or on its own.
"""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narrows import Affine, Autoencoder, LinearAutoencoder, SquaredError
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import main
from narrows.data import DenseSource
from narrows.data.datasets import load_half
from narrows.figures.rows import reconstruction_figure
from narrows.figures.saving import save_figure

HERE = Path(__file__).parent
SHAPE = (28, 28)


@dataclass(frozen=True)
class Preset:
    """``candidates``: settings of the net, compared after ``trial_epochs`` epochs."""

    epochs: int
    trial_epochs: int
    candidates: dict[str, dict[str, Any]]
    linear_epochs: int = 40
    n_train: int = 60_000
    n_test: int = 10_000


_PLAIN = {"no augmentation": {}}
_STRONG_DECAY = {
    "no augmentation, rate 0.008, weight decay 0.2": {"learning_rate": 8e-3, "weight_decay": 0.2}
}
_AFFINE = {"affine, first 0.8": {"augmentation": Affine(until=0.8)}}

# Every preset trains the lecture's net, 784-1000-500-250-30 and its mirror, with tied weights.
PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        1, 1, {**_PLAIN, "rate 0.002": {"learning_rate": 2e-3}}, 1, n_train=2_000, n_test=500
    ),
    "fast": Preset(
        10, 10,
        {"half of affine, first 0.5":
            {"augmentation": Affine(0.07, 0.06, 0.03, 0.45, until=0.5)}, **_PLAIN},
        6,
    ),
    "good": Preset(
        110, 50,
        {**_AFFINE, "affine, first 0.6": {"augmentation": Affine(until=0.6)}, **_STRONG_DECAY},
    ),
    "pure": Preset(
        60, 60,
        {**_STRONG_DECAY, "rate 0.005, weight decay 0.2": {"weight_decay": 0.2}, **_PLAIN},
    ),
    "best": Preset(
        250, 60,
        {"elastic affine, first 0.9, weight decay 0.1": {
            "augmentation": Affine(elastic=1.0, interpolation="bicubic", until=0.9),
            "weight_decay": 0.1,
         },
         "affine, first 0.9, weight decay 0.1":
            {"augmentation": Affine(until=0.9), "weight_decay": 0.1},
         **_AFFINE, **_STRONG_DECAY},
    ),
}  # fmt: skip


def images(x: np.ndarray) -> DenseSource:
    source = DenseSource(x)
    source.image_shape = SHAPE
    return source


def deep(settings: dict[str, Any], epochs: int, seed: int, *, verbose: int = 1) -> Autoencoder:
    return Autoencoder(
        n_components=30,
        hidden=(1000, 500, 250),
        tied=True,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        max_epochs=epochs,
        batch_size=256,
        validation_fraction=0.0,
        random_state=seed,
        verbose=verbose,
        **{"learning_rate": 5e-3, **settings},
    )


def chosen(study: Study, train: np.ndarray, preset: Preset, seed: int) -> dict[str, Any]:
    """Return the settings with the smallest error on a sixth of the training images."""
    fit, validation = validation_split(len(train), seed=seed)

    def error(settings: dict[str, Any]) -> float:
        net = deep(settings, preset.trial_epochs, seed, verbose=0).fit(images(train[fit]))
        return net.evaluate(images(train[validation])).squared_error

    unit = f"squared error of {len(validation)} training images, {preset.trial_epochs} epochs"
    return study.choose("net", preset.candidates, error, unit=unit)


def logistic_pca(epochs: int, seed: int) -> LinearAutoencoder:
    """Return the linear net with the Bernoulli loss: Schein, Saul, Ungar (2003)."""
    return LinearAutoencoder(
        n_components=30,
        loss="bernoulli",
        scale="unit",
        max_epochs=epochs,
        batch_size=512,
        learning_rate=2e-3,
        random_state=seed,
    )


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Choose, train, and measure on both halves; write files to ``output`` if given."""
    preset, started = PRESETS[name], time.perf_counter()
    x, _ = load_half("mnist", "train")
    x = x[: preset.n_train]
    study = Study(lambda: load_half("mnist", "test"), choices=["net"])
    settings = chosen(study, x, preset, seed)
    train = images(x)
    net = deep(settings, preset.epochs, seed).fit(train)
    seconds = sum(epoch["seconds"] for epoch in net.model_.record["epochs"])
    linear = logistic_pca(preset.linear_epochs, seed).fit(train)
    test_images, digits = study.test()
    test = images(test_images[: preset.n_test])
    on_test, on_train = net.evaluate(test), net.evaluate(train)
    linear_test, linear_train = linear.evaluate(test), linear.evaluate(train)
    published = tomllib.loads((HERE / "expected.toml").read_text())["published"]
    rows = [
        ("mean image", on_test.variance, on_train.variance, None),
        ("PCA, 30 numbers", on_test.baseline_squared_error, on_train.baseline_squared_error,
         published["pca"]),
        ("logistic PCA, 30 numbers", linear_test.squared_error, linear_train.squared_error,
         published["logistic_pca"]),
        ("deep autoencoder, 30 numbers", on_test.squared_error, on_train.squared_error,
         published["autoencoder"]),
    ]  # fmt: skip
    table = {
        "preset": name,
        "seed": seed,
        "unit": "squared error per image: summed over 784 pixels in [0, 1], averaged over images",
        "training_seconds": round(seconds, 1),
        "total_seconds": round(time.perf_counter() - started, 1),
        "epochs": net.n_epochs_,
        "precision": net.model_.record["precision"],
        "threads": torch.get_num_threads(),
        "rows": [
            dict(zip(("name", "test", "train", "published_test"), row, strict=True)) for row in rows
        ],
        "choices": study.record,
    }
    if output is not None:
        picked = [int(np.flatnonzero(digits == digit)[0]) for digit in range(10)]
        shown = torch.from_numpy(test_images[picked]).float()
        save_figure(reconstruction_figure(net.model_, shown), output / "digits.png")
        net.save(output / "model.safetensors")
    return table


def show(table: dict[str, Any]) -> str:
    lines = [f"{'':<30}{'test':>8}{'train':>8}{'published':>11}"]
    for row in table["rows"]:
        published = "" if row["published_test"] is None else f"{row['published_test']:.2f}"
        lines.append(f"{row['name']:<30}{row['test']:>8.3f}{row['train']:>8.3f}{published:>11}")
    lines.append(table["unit"])
    lines.append(
        f"training: {table['training_seconds']} s, {table['epochs']} epochs, "
        f"{table['precision']} products, {table['threads']} threads, seed {table['seed']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
