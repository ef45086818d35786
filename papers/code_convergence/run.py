"""How fast a classifier learns: from pixels, from random features, from PCA, and from a code.

The lecture: "a classifier on the bottleneck converges very fast". The same classifier reads the
same digits as 784 pixels, as 30 numbers of an untrained net, as 30 numbers of PCA, and as the 30
numbers of a code, each standardised; the learning rate is the best of several for each of them, by
rows held out. Its test accuracy is measured many times an epoch. Run as
`narrows reproduce code-convergence --preset fast|best -o FOLDER`, which draws the curves too.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Generator, Tensor

from narrows import Affine, Autoencoder
from narrows.cli.paper import columns, main
from narrows.code_task import Head, HeadTask
from narrows.data import DenseSource
from narrows.data.scaling import Scaling
from narrows.datasets import load_images
from narrows.training.trainer import Trainer


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    code_epochs: int
    epochs: int
    draws: int
    data: tuple[str, ...] = ("mnist", "fashion_mnist")


PRESETS = {
    "smoke": Preset(1_000, 300, 5, 3, 1, ("mnist",)),
    "fast": Preset(10_000, 2_000, 10, 10, 1, ("mnist",)),
    "best": Preset(60_000, 10_000, 30, 20, 5),
}
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
CLASSIFIERS = {"linear": (), "128 hidden units": (128,)}
_BATCH = 100
_WITHIN = 0.95
_GROWTH = 1.15
"""Accuracy is measured after step 1, and then whenever the steps have grown by this factor."""


@dataclass
class Curve:
    """Accuracy (percent) after so many epochs and seconds of training."""

    epochs: list[float]
    seconds: list[float]
    accuracy: list[float]

    def reached(self, accuracy: float) -> tuple[float, float]:
        """Return epochs and seconds at which an accuracy was first reached."""
        at = next(i for i, value in enumerate(self.accuracy) if value >= accuracy)
        return self.epochs[at], self.seconds[at]


def learned(
    train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor,
    *, hidden: tuple[int, ...], rate: float, epochs: int, seed: int,
) -> Curve:  # fmt: skip
    """Train the classifier at a constant rate, measuring it on the way."""
    generator = Generator().manual_seed(seed)
    head = Head(train.shape[1], [*hidden, 10], activation="relu", generator=generator)
    head.start_at(train)
    source = DenseSource(train)
    source.targets = labels
    trainer = Trainer(
        HeadTask(head, classification=True), Scaling("none"), learning_rate=rate,
        precision="float32", device=torch.device("cpu"), seed=seed,
    )  # fmt: skip
    curve, seconds, steps, due = Curve([], [], []), 0.0, 0, 1
    total = epochs * source.n_batches(_BATCH)
    for _ in range(epochs):
        for batch in source.shuffled(_BATCH, generator=trainer.sampler):
            started = time.perf_counter()
            trainer.step(batch, factor=1.0)
            seconds += time.perf_counter() - started
            steps += 1
            if steps >= due or steps == total:
                due = max(due + 1, int(due * _GROWTH))
                with torch.no_grad():
                    right = head(test).argmax(dim=1) == test_labels
                curve.epochs.append(steps / source.n_batches(_BATCH))
                curve.seconds.append(seconds)
                curve.accuracy.append(100 * float(right.float().mean()))
    return curve


def spaces(train: np.ndarray, test: np.ndarray, epochs: int, seed: int) -> dict[str, Any]:
    """Return what the classifier reads, training and test rows of each kind."""
    x, z = (rows.astype(np.float32) / 255 for rows in (train, test))
    pca = PCA(30, random_state=seed).fit(x)
    trained = _net(epochs, 5e-3, seed).fit(_images(train))
    fresh = _net(1, 1e-12, seed).fit(_images(train[:1000]))
    return {
        "784 pixels": (x, z),
        "30 random features": (fresh.transform(train), fresh.transform(test)),
        "PCA, 30 numbers": (pca.transform(x), pca.transform(z)),
        "code, 30 numbers": (trained.transform(train), trained.transform(test)),
    }


def _net(epochs: int, learning_rate: float, seed: int) -> Autoencoder:
    return Autoencoder(
        30, hidden=(1000, 500, 250), tied=True, augmentation=Affine(until=1.0), max_epochs=epochs,
        batch_size=256, learning_rate=learning_rate, validation_fraction=0.0, random_state=seed,
    )  # fmt: skip


def _images(x: np.ndarray) -> DenseSource:
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return images


def best_rate(train: Tensor, labels: Tensor, **settings: Any) -> float:
    """Return the rate with the best accuracy at the end on the last sixth of the rows."""
    cut = len(train) * 5 // 6
    held_out = train[cut:], labels[cut:]
    ends = [
        learned(train[:cut], labels[:cut], *held_out, rate=rate, **settings).accuracy[-1]
        for rate in RATES
    ]
    return RATES[int(np.argmax(ends))]


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    preset, table, curves = PRESETS[name], [], {}
    for data in preset.data:
        train, labels, test, test_labels = load_images(data)
        train, labels = train[: preset.n_train], labels[: preset.n_train]
        test, test_labels = test[: preset.n_test], test_labels[: preset.n_test]
        y, test_y = (torch.from_numpy(v.astype(np.int64)) for v in (labels, test_labels))
        read = spaces(train, test, preset.code_epochs, seed)
        for classifier, hidden in CLASSIFIERS.items():
            for space, rows in read.items():
                a, b = (torch.from_numpy(np.ascontiguousarray(r, np.float32)) for r in rows)
                settings = {"hidden": hidden, "epochs": preset.epochs, "seed": seed}
                rate = best_rate(a, y, **settings)
                found = []
                for repeat in range(preset.draws):
                    settings["seed"] = seed + repeat
                    curve = learned(a, y, b, test_y, rate=rate, **settings)
                    final = curve.accuracy[-1]
                    found.append((final, *curve.reached(_WITHIN * final)))
                    curves.setdefault((data, classifier), {}).setdefault(space, curve)
                final, epochs, seconds = np.mean(found, axis=0)
                table.append({
                    "data": data, "classifier": classifier, "reads": space, "rate": f"{rate:g}",
                    "final accuracy": float(final), "epochs to 95% of it": float(epochs),
                    "seconds to 95% of it": float(seconds),
                })  # fmt: skip
                print(table[-1], file=sys.stderr, flush=True)
    if output is not None:
        draw(curves, output / "curves.png")
    return {
        "preset": name,
        "seed": seed,
        "unit": f"percent of test images; means of {preset.draws} draws of weights and batches",
        "rows": table,
    }


def draw(curves: dict[tuple[str, str], dict[str, Curve]], path: Path) -> None:
    """Draw accuracy against epochs and against seconds, a line of panels for each classifier."""
    from matplotlib.figure import Figure

    from narrows.applications.figures import save_figure

    figure = Figure(figsize=(9, 2.6 * len(curves) + 0.4), dpi=110, layout="constrained")
    axes = figure.subplots(len(curves), 2, squeeze=False, sharey="row")
    for line, ((data, classifier), of_spaces) in zip(axes, curves.items(), strict=True):
        for axis, unit in zip(line, ("epochs", "seconds"), strict=True):
            for i, (space, curve) in enumerate(of_spaces.items()):
                color = ("0.45", "C1", "C2", "C0")[i % 4]
                axis.plot(getattr(curve, unit), curve.accuracy, color=color, label=space, lw=1.5)
            axis.set(xscale="log", xlabel=unit, title=f"{data}, {classifier}")
            axis.grid(alpha=0.3)
        line[0].set_ylabel("test accuracy, %")
        line[0].legend(fontsize=7, loc="lower right")
    save_figure(figure, path)


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'])}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
