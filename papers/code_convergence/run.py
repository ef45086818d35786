"""Compare how fast a classifier learns from pixels, random features, PCA and a code.

The lecture: "a classifier on the bottleneck converges very fast". The same classifier is trained on
the same images represented as 784 pixels, raw and standardized, as 30 outputs of an untrained net,
as 30 PCA components, and as a code of 30 numbers, by plain stochastic gradient descent and by Adam.
The target is 95% of the final accuracy on raw pixels. Each input uses the learning rate that
reaches the target soonest on a sixth of the training images, with PCA and the code fitted to the
rest; the test images are read after that. Run as
`narrows reproduce code-convergence --preset fast|best -o FOLDER`, which also draws the curves.
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
from torch.nn import functional as F

from narrows import Affine, Autoencoder, SquaredError
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_half
from narrows.objectives.code_task import Head, mean_and_std


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    code_epochs: int
    epochs: int
    draws: int
    data: tuple[str, ...] = ("mnist", "fashion_mnist")
    hidden: tuple[int, ...] = (1000, 500, 250)
    """Hidden widths of the autoencoder."""


PRESETS = {
    "smoke": Preset(1_200, 300, 5, 3, 1, ("mnist",), (128, 64, 32)),
    "fast": Preset(10_000, 2_000, 10, 10, 1, ("mnist",)),
    "best": Preset(60_000, 10_000, 30, 5, 3),
}
RATES = {
    "SGD": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "Adam": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
CLASSIFIERS = {"linear": (), "128 hidden units": (128,)}
RAW = "784 pixels"
SPACES = (
    RAW, "784 pixels, standardized", "30 random features", "PCA, 30 numbers", "code, 30 numbers",
)  # fmt: skip
_BATCH = 100
_WITHIN = 0.95
_GROWTH = 1.08
"""Accuracy is measured after step 1, then each time the steps have grown by this factor."""


@dataclass
class Curve:
    """Accuracy (percent) against epochs and seconds of training."""

    epochs: list[float]
    seconds: list[float]
    accuracy: list[float]

    def reached(self, accuracy: float) -> tuple[float, float]:
        """Return epochs and seconds when an accuracy was first reached; infinite if never."""
        for epochs, seconds, value in zip(self.epochs, self.seconds, self.accuracy, strict=True):
            if value >= accuracy:
                return epochs, seconds
        return float("inf"), float("inf")


@dataclass(frozen=True)
class Task:
    """Training rows and classes, test rows and classes, and whether to standardize."""

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor
    standardize: bool


def train_classifier(
    task: Task, hidden: tuple[int, ...], optimizer: str, rate: float, epochs: int, seed: int
) -> Curve:
    """Train the classifier at a constant rate and record its learning curve."""
    generator = Generator().manual_seed(seed)
    head = Head(task.train.shape[1], [*hidden, 10], activation="relu", generator=generator)
    if task.standardize:
        mean, std = mean_and_std(task.train)
        head.shift.copy_(mean)
        head.scale.copy_(std)
    kind = torch.optim.SGD if optimizer == "SGD" else torch.optim.Adam
    descent = kind(head.parameters(), lr=rate)
    curve, seconds, steps, due = Curve([], [], []), 0.0, 0, 1
    of_epoch = -(-len(task.train) // _BATCH)
    for _ in range(epochs):
        for rows in torch.randperm(len(task.train), generator=generator).split(_BATCH):
            started = time.perf_counter()
            loss = F.cross_entropy(head(task.train[rows]), task.labels[rows])
            descent.zero_grad()
            loss.backward()
            descent.step()
            seconds += time.perf_counter() - started
            steps += 1
            if steps >= due or steps == epochs * of_epoch:
                due = max(due + 1, int(due * _GROWTH))
                with torch.no_grad():
                    right = head(task.test).argmax(dim=1) == task.test_labels
                curve.epochs.append(steps / of_epoch)
                curve.seconds.append(seconds)
                curve.accuracy.append(100 * float(right.float().mean()))
    return curve


def spaces(train: np.ndarray, test: np.ndarray, preset: Preset, seed: int) -> dict[str, Any]:
    """Return the two in each representation; those learned are fitted to ``train``."""
    x, z = (rows.astype(np.float32) / 255 for rows in (train, test))
    pca = PCA(30, random_state=seed).fit(x)
    trained = _net(preset.hidden, preset.code_epochs, 5e-3, seed).fit(_images(train))
    fresh = _net(preset.hidden, 1, 1e-12, seed).fit(_images(train[:1000]))
    both = [
        (x, z),
        (x, z),
        (fresh.transform(train), fresh.transform(test)),
        (pca.transform(x), pca.transform(z)),
        (trained.transform(train), trained.transform(test)),
    ]
    return dict(zip(SPACES, both, strict=True))


def _net(hidden: tuple[int, ...], epochs: int, learning_rate: float, seed: int) -> Autoencoder:
    return Autoencoder(
        30, hidden=hidden, tied=True, loss=SquaredError(link="logistic"),
        augmentation=Affine(until=1.0), linear_start=False, max_epochs=epochs, batch_size=256,
        learning_rate=learning_rate, validation_fraction=0.0, random_state=seed,
    )  # fmt: skip


def _images(x: np.ndarray) -> DenseSource:
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return images


def tasks_of(
    rows: tuple[np.ndarray, np.ndarray], held: tuple[np.ndarray, np.ndarray], preset: Preset,
    seed: int,
) -> dict[str, Task]:  # fmt: skip
    """Return the task in each representation, from images and classes of both parts."""
    y, held_y = (torch.from_numpy(part[1].astype(np.int64)) for part in (rows, held))
    tasks = {}
    for space, both in spaces(rows[0], held[0], preset, seed).items():
        a, b = (torch.from_numpy(np.ascontiguousarray(r, np.float32)) for r in both)
        tasks[space] = Task(a, y, b, held_y, standardize=space != RAW)
    return tasks


def delay(curve: Curve, target: float) -> float:
    """Return the epochs to the target, or else all epochs plus the points missing at the end."""
    epochs = curve.reached(target)[0]
    return epochs if np.isfinite(epochs) else curve.epochs[-1] + target - curve.accuracy[-1]


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    preset, table, drawn, choices = PRESETS[name], [], {}, []
    for data in preset.data:
        train, labels = (part[: preset.n_train] for part in load_half(data, "train"))
        settings = [(c, o, s) for c in CLASSIFIERS for o in RATES for s in SPACES]
        study = Study(lambda data=data: load_half(data, "test"), choices=map(", ".join, settings))
        fit, validation = validation_split(len(train), seed=seed, y=labels)
        held = train[validation], labels[validation]
        trials = tasks_of((train[fit], labels[fit]), held, preset, seed)
        rates, targets = {}, {}
        for classifier, optimizer, space in settings:
            tried = {
                rate: train_classifier(
                    trials[space], CLASSIFIERS[classifier], optimizer, rate, preset.epochs, seed
                )
                for rate in RATES[optimizer]
            }
            if space == RAW:
                ends = [curve.accuracy[-1] for curve in tried.values()]
                targets[classifier, optimizer] = _WITHIN * max(ends)
            target = targets[classifier, optimizer]
            rates[classifier, optimizer, space] = study.choose(
                ", ".join((classifier, optimizer, space)), {f"{r:g}": r for r in tried},
                lambda rate, tried=tried, target=target: delay(tried[rate], target),
                unit=f"epochs to the target on {len(validation)} training images, or else all "
                "epochs plus the points missing",
            )  # fmt: skip
        test = tuple(part[: preset.n_test] for part in study.test())
        tasks = tasks_of((train, labels), test, preset, seed)
        for (classifier, optimizer, space), rate in rates.items():
            found = [
                train_classifier(
                    tasks[space], CLASSIFIERS[classifier], optimizer, rate, preset.epochs,
                    seed + repeat,
                )
                for repeat in range(preset.draws)
            ]  # fmt: skip
            table.append(
                {"data": data, "classifier": classifier, "optimizer": optimizer,
                 "input": space, "rate": f"{rate:g}",
                 **_measured(found, targets[classifier, optimizer])}
            )  # fmt: skip
            print(table[-1], file=sys.stderr, flush=True)
            if optimizer == "SGD":
                drawn.setdefault((data, classifier), {})[space] = found[0]
        choices += [{**c, "choice": f"{data}, {c['choice']}"} for c in study.record]
    if output is not None:
        draw(drawn, output / "curves.png")
    return {
        "preset": name,
        "seed": seed,
        "unit": "accuracy in percent; the target is 95% of the final accuracy on raw pixels at "
        f"their best rate; means of {preset.draws} draws of weights and batches",
        "rows": table,
        "choices": choices,
    }


def _measured(found: list[Curve], target: float) -> dict[str, float | None]:
    ends = [curve.accuracy[-1] for curve in found]
    epochs, seconds = np.mean([curve.reached(target) for curve in found], axis=0)
    own = np.mean([c.reached(_WITHIN * end)[0] for c, end in zip(found, ends, strict=True)])
    return {
        "final accuracy": float(np.mean(ends)),
        "target": target,
        "epochs to the target": float(epochs) if np.isfinite(epochs) else None,  # never
        "seconds": float(seconds) if np.isfinite(seconds) else None,
        "epochs to 95% of its own final accuracy": float(own),
    }


def draw(curves: dict[tuple[str, str], dict[str, Curve]], path: Path) -> None:
    """Draw accuracy against epochs and against seconds, one row of panels per classifier."""
    from matplotlib.figure import Figure

    from narrows.figures.saving import save_figure

    figure = Figure(figsize=(9, 2.6 * len(curves) + 0.4), dpi=110, layout="constrained")
    axes = figure.subplots(len(curves), 2, squeeze=False, sharey="row")
    for line, ((data, classifier), of_spaces) in zip(axes, curves.items(), strict=True):
        for axis, unit in zip(line, ("epochs", "seconds"), strict=True):
            for i, (space, curve) in enumerate(of_spaces.items()):
                color = ("0.2", "0.6", "C1", "C2", "C0")[i % 5]
                axis.plot(getattr(curve, unit), curve.accuracy, color=color, label=space, lw=1.5)
            axis.set(xscale="log", xlabel=unit, title=f"{data}, {classifier}, SGD")
            axis.grid(alpha=0.3)
        line[0].set_ylabel("test accuracy, %")
        line[0].legend(fontsize=7, loc="lower right")
    save_figure(figure, path)


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'], digits=3)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
