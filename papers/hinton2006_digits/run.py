"""Hinton and Salakhutdinov (2006): MNIST in codes of 30 numbers, compared with PCA.

Run as `narrows reproduce hinton2006-digits --preset fast|good|best|pure`, or on its own.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narrows import Affine, Autoencoder, LinearAutoencoder, SquaredError
from narrows.cli.paper import main
from narrows.data import DenseSource
from narrows.data.datasets import load_images
from narrows.figures.rows import reconstruction_figure
from narrows.figures.saving import save_figure

HERE = Path(__file__).parent
SHAPE = (28, 28)

# Every preset trains the lecture's net, 784-1000-500-250-30 and its mirror, with tied weights.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"max_epochs": 1, "augmentation": None},
    "fast": {
        "max_epochs": 10,
        "augmentation": Affine(0.07, 0.06, 0.03, 0.45, until=0.5),
    },
    "good": {"max_epochs": 110, "augmentation": Affine(until=0.8)},
    "pure": {"max_epochs": 60, "learning_rate": 8e-3, "weight_decay": 0.2},
    "best": {
        "max_epochs": 250,
        "augmentation": Affine(elastic=1.0, interpolation="bicubic", until=0.9),
        "weight_decay": 0.1,
    },
}


def images(preset: str) -> tuple[DenseSource, DenseSource]:
    """Return the 60,000 training and 10,000 test images (a few of each for "smoke")."""
    train, _, test, _ = load_images("mnist")
    if preset == "smoke":
        train, test = train[:2000], test[:500]
    sources = DenseSource(train), DenseSource(test)
    for source in sources:
        source.image_shape = SHAPE
    return sources


def deep(preset: str, seed: int) -> Autoencoder:
    return Autoencoder(
        n_components=30,
        hidden=(1000, 500, 250),
        tied=True,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        batch_size=256,
        validation_fraction=0.0,
        random_state=seed,
        verbose=1,
        **{"learning_rate": 5e-3, **PRESETS[preset]},
    )


def logistic_pca(preset: str, seed: int) -> LinearAutoencoder:
    """Return the linear net with the Bernoulli loss: Schein, Saul, Ungar (2003)."""
    return LinearAutoencoder(
        n_components=30,
        loss="bernoulli",
        scale="unit",
        max_epochs={"smoke": 1, "fast": 6}.get(preset, 40),
        batch_size=512,
        learning_rate=2e-3,
        random_state=seed,
    )


def run(preset: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train and measure on training and test images; write files to ``output`` if given."""
    train, test = images(preset)
    started = time.perf_counter()
    net = deep(preset, seed).fit(train)
    seconds = sum(epoch["seconds"] for epoch in net.model_.record["epochs"])
    on_test, on_train = net.evaluate(test), net.evaluate(train)
    linear = logistic_pca(preset, seed).fit(train)
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
        "preset": preset,
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
    }
    if output is not None:
        save_figure(reconstruction_figure(net.model_, first_of_each_digit()), output / "digits.png")
        net.save(output / "model.safetensors")
    return table


def first_of_each_digit() -> torch.Tensor:
    _, _, test, labels = load_images("mnist")
    picked = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    return torch.from_numpy(test[picked]).float()


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
