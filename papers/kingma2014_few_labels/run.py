"""Kingma et al. (2014): classify digits with few labels.

A code is learned from 60,000 unlabeled digits; then 100 or 1,000 labels are revealed, the same
number for each class. The test digits are classified by nearest neighbors and by support vector
machines, on pixels and on codes, and by propagating the labels along the graph of neighbors, which
also uses the unlabeled digits, as the published TSVM does. Run as
`narrows reproduce kingma2014-few-labels --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.svm import SVC

from narrows import Affine, Autoencoder, SquaredError
from narrows.applications.heads.label_propagation import neighbor_graph, propagate_labels
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_images

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]
_NEIGHBORS = 10


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    epochs: int
    draws: int
    labels: tuple[int, ...]
    hidden: tuple[int, ...] = (1000, 500, 250)


PRESETS = {
    "smoke": Preset(1_000, 500, 15, 2, (50,), (256, 128, 64)),
    "fast": Preset(10_000, 2_000, 10, 3, (100, 1000)),
    "best": Preset(60_000, 10_000, 30, 10, (100, 600, 1000, 3000)),
}


def code(x: np.ndarray, hidden: tuple[int, ...], epochs: int, seed: int) -> Autoencoder:
    """Return the lecture's net, down to 30 numbers and back, trained without labels."""
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return Autoencoder(
        30,
        hidden=hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        augmentation=Affine(until=1.0),
        linear_start=False,
        max_epochs=epochs,
        batch_size=256,
        learning_rate=5e-3,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(images)


class Propagation:
    """Propagate labels along the graph of nearest neighbors, and from there to new rows.

    Zhou, Bousquet, Lal, Weston, Scholkopf (2004), "Learning with local and global consistency".
    Neither the graph nor the neighbors of the test rows depend on the labels, so both are computed
    once for all draws.
    """

    def __init__(self, x: np.ndarray, test: np.ndarray) -> None:
        self._nearest = (
            NearestNeighbors(n_neighbors=_NEIGHBORS).fit(x).kneighbors(test, return_distance=False)
        )
        self._graph = neighbor_graph(x, _NEIGHBORS)

    def predict(self, y: np.ndarray) -> np.ndarray:
        """Return classes of the test rows; y is -1 where the label is unknown."""
        reached = propagate_labels(self._graph, y, alpha=0.99)
        return reached[self._nearest].sum(axis=1).argmax(axis=1)


def classifiers(x: np.ndarray, test: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return functions from labeled row numbers to test classes, by name."""
    propagation = Propagation(x, test)

    def neighbor(labeled: np.ndarray) -> np.ndarray:
        return KNeighborsClassifier(1).fit(x[labeled], y[labeled]).predict(test)

    def svm(labeled: np.ndarray) -> np.ndarray:
        return SVC(C=10.0).fit(x[labeled], y[labeled]).predict(test)

    def propagate(labeled: np.ndarray) -> np.ndarray:
        known = np.full(len(y), -1)
        known[labeled] = y[labeled]
        return propagation.predict(known)

    return {"nearest neighbor": neighbor, "SVM": svm, "label propagation": propagate}


def draw_labeled(y: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Return n row numbers, the same number for each class."""
    each = n // 10
    return np.concatenate([draw.permutation(np.flatnonzero(y == c))[:each] for c in range(10)])


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Learn the code, then measure every method at every number of labels."""
    preset = PRESETS[name]
    train, labels, test, test_labels = load_images("mnist")
    train, labels = train[: preset.n_train], labels[: preset.n_train].astype(int)
    test, test_labels = test[: preset.n_test], test_labels[: preset.n_test]
    started = time.perf_counter()
    net = code(train, preset.hidden, preset.epochs, seed)
    seconds = time.perf_counter() - started
    spaces = {
        "pixels": (train.astype(np.float32) / 255, test.astype(np.float32) / 255),
        "code": (net.transform(train), net.transform(test)),
    }
    methods = {
        f"{method} on {space}": predict
        for space, rows in spaces.items()
        for method, predict in classifiers(*rows, labels).items()
    }
    if output is not None:
        net.save(output / "model.safetensors")
    table = []
    for method, predict in methods.items():
        result: dict[str, Any] = {"method": method}
        for n in preset.labels:
            errors = []
            for draw in range(preset.draws):
                labeled = draw_labeled(labels, n, np.random.default_rng([seed, n, draw]))
                predictions = predict(labeled)
                errors.append(100 * float((predictions != test_labels).mean()))
            result[str(n)], result[f"+- {n}"] = float(np.mean(errors)), float(np.std(errors))
        print(result, file=sys.stderr, flush=True)
        table.append(result)
    for method, errors in PUBLISHED["errors"].items():
        spare = {f"+- {n}": None for n in preset.labels}
        of_labels = {str(n): errors.get(str(n)) for n in preset.labels}
        table.append({"method": f"published: {method}", **of_labels, **spare})
    return {
        "preset": name,
        "seed": seed,
        "unit": f"error on the test images in percent, mean and standard deviation of "
        f"{preset.draws} draws of the labels",
        "code_seconds": round(seconds, 1),
        "rows": table,
    }


def show(table: dict[str, Any]) -> str:
    keys = list(table["rows"][0])
    names = ["method", *(key for key in keys if key.isdigit())]
    names = [name for key in names for name in (key, f"+- {key}") if name in keys]
    rows = [{name: row[name] for name in names} for row in table["rows"]]
    return f"{columns(rows)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
