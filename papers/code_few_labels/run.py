"""Classify with few labels: frozen, fine-tuned and joint encoders.

A code is learned from all images without their labels; then 100 or 1,000 labels are revealed, the
same number for each class. The same net is used as a classifier in four ways: its code frozen under
a head, fine-tuned from the code, trained jointly on both losses, and trained from scratch. A
support vector machine on pixels is the baseline. The first three are measured again with the labels
propagated to other images along the graph of nearest codes; propagation on pixels shows what the
code adds. Every method's settings are chosen on a sixth of the training images, with other draws of
the labels. Run as `narrows reproduce code-few-labels --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from narrows import Affine, Autoencoder, CodeClassifier, SquaredError
from narrows.applications.heads.label_propagation import neighbor_graph, propagate_labels
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_half


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    epochs: int
    draws: int
    labels: tuple[int, ...]
    data: tuple[str, ...]
    pool: int
    """Number of images that labels are propagated to."""
    hidden: tuple[int, ...] = (1000, 500, 250)
    head_epochs: int | None = None
    """None: the default of the heads, 3,000 steps on few labels."""
    trial_draws: int = 1
    n_candidates: int = 2


PRESETS = {
    "smoke": Preset(1_000, 300, 5, 1, (50,), ("mnist",), 150, (128, 64, 32), 100),
    "fast": Preset(10_000, 2_000, 10, 2, (100, 1000), ("mnist", "fashion_mnist"), 5_000),
    "best": Preset(
        60_000, 10_000, 30, 10, (100, 1000), ("mnist", "fashion_mnist"), 20_000, trial_draws=3,
        n_candidates=3,
    ),
}  # fmt: skip
_JOINT_ROWS = 5_000
_SETTINGS = {"random_state": 0, "validation_fraction": 0.0}


def code(x: np.ndarray, hidden: tuple[int, ...], epochs: int, seed: int) -> Autoencoder:
    """Return the lecture's net, down to 30 numbers and back, trained without labels."""
    return _net(hidden, epochs=epochs, learning_rate=5e-3, seed=seed).fit(_images(x))


def untrained(x: np.ndarray, hidden: tuple[int, ...], seed: int) -> Autoencoder:
    """Return the same net untrained: its initial weights, moved by 1e-12 at most."""
    return _net(hidden, epochs=1, learning_rate=1e-12, seed=seed).fit(_images(x[:1000]))


def _net(hidden: tuple[int, ...], *, epochs: int, learning_rate: float, seed: int) -> Autoencoder:
    return Autoencoder(
        30,
        hidden=hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        augmentation=Affine(until=1.0),
        linear_start=False,
        max_epochs=epochs,
        batch_size=256,
        learning_rate=learning_rate,
        validation_fraction=0.0,
        random_state=seed,
    )


def _images(x: np.ndarray) -> DenseSource:
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return images


_JOINT = {"training": "joint", "layer": 1, "max_epochs": 8, "batch_size": 128}
_SPREAD = {"n_neighbors": 10}
_SVM = {"C 10": {"C": 10.0}, "C 1": {"C": 1.0}, "C 100": {"C": 100.0}}
_DECAY = {f"weight decay {w:g}": {"weight_decay": w} for w in (0.1, 3.0, 0.0)}
_SHALLOW = {"training": "frozen", "hidden": (128,), "dropout": 0.2, "max_epochs": 15}
_REBUILD = {f"reconstruction {w:g}": {"reconstruction_weight": w} for w in (0.01, 0.1, 0.001)}
_EPOCHS = {f"{n} epochs": {"max_epochs": n} for n in (5, 10, 3)}
_RATES = {f"rate {rate:g}": {"learning_rate": rate} for rate in (2e-3, 5e-4, 5e-3)}

Candidates = dict[str, dict[str, Any]]
METHODS: dict[str, tuple[str, dict[str, Any], Candidates]] = {
    "SVM on pixels": ("svm", {"on": "pixels"}, _SVM),
    "net from scratch": ("head", {"training": "fine_tuned", "on": "fresh"}, _RATES),
    "code, frozen": ("head", {"training": "frozen"}, _DECAY),
    "second layer, frozen": ("head", {"training": "frozen", "layer": 1}, _DECAY),
    "SVM on the code": ("svm", {"on": "code"}, _SVM),
    "code, fine-tuned": ("head", {"training": "fine_tuned"}, _RATES),
    "code, joint": ("joint", {**_JOINT, "weight_decay": 0.1}, _REBUILD),
    "pixels, labels propagated": (
        "pixels", {}, {f"{k} neighbors": {"k": k} for k in (10, 5, 20)},
    ),
    "code, frozen, labels propagated": (
        "propagate", {**_SHALLOW, **_SPREAD}, {
            "128 units": {},
            "linear": {"hidden": (), "dropout": 0.0},
            "20 neighbors": {"n_neighbors": 20},
        },
    ),
    "code, fine-tuned, labels propagated": (
        "propagate", {"training": "fine_tuned", **_SPREAD}, _EPOCHS,
    ),
    "code, joint, labels propagated": (
        "propagate", {"training": "joint", "max_epochs": 5, **_SPREAD}, _REBUILD,
    ),
}  # fmt: skip
"""Each method's kind, what it fixes, and candidates for the rest, the one of before first."""

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From labeled row numbers and their labels to classes of the queries."""


@dataclass(frozen=True)
class Rows:
    """Images to learn from and to classify, and the nets trained on the former."""

    x: np.ndarray
    queries: np.ndarray
    net: Autoencoder
    fresh: Autoencoder


def method(kind: str, settings: dict[str, Any], of: Rows, preset: Preset) -> Predict:
    """Return a way to classify the queries from few labels."""
    x, net = of.x, of.net
    settings = dict(settings)

    def with_unlabeled(
        labeled: np.ndarray, y: np.ndarray, n: int, repeats: int = 1
    ) -> tuple[Any, Any]:
        """Return the labeled rows and n others, and their labels, -1 for the others."""
        others = np.setdiff1d(np.random.default_rng(len(labeled)).permutation(len(x))[:n], labeled)
        rows = np.concatenate([np.tile(labeled, repeats), others])
        return rows, np.concatenate([np.tile(y, repeats), np.full(len(others), -1)])

    def head(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        more = {"max_epochs": preset.head_epochs, **settings}
        start = of.fresh if more.pop("on", None) == "fresh" else net
        return CodeClassifier(start, **_SETTINGS, **more).fit(x[labeled], y).predict(of.queries)

    def joint(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        # an epoch repeats the labeled images a few times, the others once
        n_others = min(_JOINT_ROWS, 10 * preset.pool)
        repeats = max(1, n_others // (4 * len(labeled)))
        rows, known = with_unlabeled(labeled, y, n_others, repeats)
        more = {**_SETTINGS, "missing_label": -1, **settings}
        return CodeClassifier(net, **more).fit(x[rows], known).predict(of.queries)

    def propagate(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, known = with_unlabeled(labeled, y, preset.pool)
        more = {**_SETTINGS, "missing_label": -1, **settings}
        return CodeClassifier(net, **more).fit(x[rows], known).predict(of.queries)

    def pixels(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, known = with_unlabeled(labeled, y, preset.pool)
        shares = x[rows] / np.float32(255)
        graph = neighbor_graph(shares, settings["k"])
        propagated = propagate_labels(graph, known).argmax(axis=1)
        near = KNeighborsClassifier(5).fit(shares, propagated)
        return near.predict(of.queries / np.float32(255))

    if kind == "svm":
        on_code = settings["on"] == "code"
        a, b = (net.transform(v) if on_code else v / 255 for v in (x, of.queries))
        return lambda labeled, y: SVC(C=settings["C"]).fit(a[labeled], y).predict(b)
    return {"head": head, "joint": joint, "propagate": propagate, "pixels": pixels}[kind]


def draw_labeled(y: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Return n row numbers, the same number for each class."""
    each = n // 10
    return np.concatenate([draw.permutation(np.flatnonzero(y == c))[:each] for c in range(10)])


def errors(
    predict: Predict, y: np.ndarray, truth: np.ndarray, n: int, draws: Iterable[int], seed: int
) -> list[float]:
    """Return the error of each draw of n labels in percent."""
    found = []
    for draw in draws:
        labeled = draw_labeled(y, n, np.random.default_rng([seed, n, draw]))
        found.append(100 * float((predict(labeled, y[labeled]) != truth).mean()))
    return found


def rows_of(x: np.ndarray, queries: np.ndarray, preset: Preset, seed: int) -> Rows:
    net = code(x, preset.hidden, preset.epochs, seed)
    return Rows(x, queries, net, untrained(x, preset.hidden, seed))


def chosen(
    study: Study[Any], x: np.ndarray, y: np.ndarray, preset: Preset, seed: int
) -> dict[str, dict[str, Any]]:
    """Return every method's settings, chosen on a sixth of the training images."""
    fit, validation = validation_split(len(x), seed=seed, y=y)
    of = rows_of(x[fit], x[validation], preset, seed)
    # the draws of the measurement are counted from 0
    draws = range(1000, 1000 + preset.trial_draws)
    found = {}
    for name, (kind, fixed, candidates) in METHODS.items():

        def error(more: dict[str, Any], kind: str = kind, fixed: dict[str, Any] = fixed) -> float:
            predict = method(kind, {**fixed, **more}, of, preset)
            return float(np.mean([
                np.mean(errors(predict, y[fit], y[validation], n, draws, seed))
                for n in preset.labels
            ]))  # fmt: skip

        first = dict(list(candidates.items())[: preset.n_candidates])
        unit = f"error in percent of {len(validation)} training images"
        found[name] = {**fixed, **study.choose(name, first, error, unit=unit)}
    return found


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Learn the codes, then measure every method at every number of labels."""
    preset, table, choices = PRESETS[name], [], []
    for data in preset.data:
        train, labels = (part[: preset.n_train] for part in load_half(data, "train"))
        labels = labels.astype(int)
        study = Study(lambda data=data: load_half(data, "test"), choices=METHODS)
        settings = chosen(study, train, labels, preset, seed)
        test, test_labels = (part[: preset.n_test] for part in study.test())
        of = rows_of(train, test, preset, seed)
        if output is not None:
            of.net.save(output / f"{data}.safetensors")
        for method_name, (kind, _, _) in METHODS.items():
            predict = method(kind, settings[method_name], of, preset)
            result: dict[str, Any] = {"data": data, "method": method_name}
            started = time.perf_counter()
            for n in preset.labels:
                found = errors(predict, labels, test_labels, n, range(preset.draws), seed)
                result[str(n)], result[f"+- {n}"] = float(np.mean(found)), float(np.std(found))
            each = (time.perf_counter() - started) / (preset.draws * len(preset.labels))
            table.append({**result, "seconds": round(each, 1)})
            print(table[-1], file=sys.stderr, flush=True)
        choices += [{**c, "choice": f"{data}: {c['choice']}"} for c in study.record]
    return {
        "preset": name,
        "seed": seed,
        "unit": f"error on the test images in percent, mean and standard deviation of "
        f"{preset.draws} draws of the labels; seconds per draw",
        "rows": table,
        "choices": choices,
    }


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'])}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
