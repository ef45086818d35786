"""Kingma et al. (2014): many digits, few labels.

A code is learned from 60,000 digits without their labels; 100 or 1,000 of them are then told, the
same number of each class, and the test digits are to be named: by neighbors and by support vector
machines, on pixels and on codes, and by spreading the labels along the graph of neighbors, which
sees the digits without labels too, as the published TSVM does. Run as
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

from narrows import Affine, Autoencoder
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
    """Return a net as the lecture's, to 30 numbers and its mirror, trained without labels."""
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return Autoencoder(
        30,
        hidden=hidden,
        tied=True,
        augmentation=Affine(until=1.0),
        max_epochs=epochs,
        batch_size=256,
        learning_rate=5e-3,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(images)


class Spread:
    """Labels spread along the graph of nearest neighbors, and from there to new rows.

    Zhou, Bousquet, Lal, Weston, Scholkopf (2004), "Learning with local and global consistency".
    Neither the graph nor the neighbors of the test rows know the labels: both are made once for
    all draws.
    """

    def __init__(self, x: np.ndarray, test: np.ndarray) -> None:
        self._near = (
            NearestNeighbors(n_neighbors=_NEIGHBORS).fit(x).kneighbors(test, return_distance=False)
        )
        self._graph = neighbor_graph(x, _NEIGHBORS)

    def predict(self, y: np.ndarray) -> np.ndarray:
        """Return classes of the test rows; y holds -1 where a label is not known."""
        reached = propagate_labels(self._graph, y, alpha=0.99)
        return reached[self._near].sum(axis=1).argmax(axis=1)


def ways(x: np.ndarray, test: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return, by name, functions from the row numbers of the labels told to the test classes."""
    spread = Spread(x, test)

    def neighbor(told: np.ndarray) -> np.ndarray:
        return KNeighborsClassifier(1).fit(x[told], y[told]).predict(test)

    def machine(told: np.ndarray) -> np.ndarray:
        return SVC(C=10.0).fit(x[told], y[told]).predict(test)

    def spreading(told: np.ndarray) -> np.ndarray:
        known = np.full(len(y), -1)
        known[told] = y[told]
        return spread.predict(known)

    return {"nearest neighbor": neighbor, "SVM": machine, "label spreading": spreading}


def told(y: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Return n row numbers, as many of each class."""
    each = n // 10
    return np.concatenate([draw.permutation(np.flatnonzero(y == c))[:each] for c in range(10)])


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Learn the code, then measure every way for every number of labels."""
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
        f"{way} on {space}": predict
        for space, rows in spaces.items()
        for way, predict in ways(*rows, labels).items()
    }
    if output is not None:
        net.save(output / "model.safetensors")
    table = []
    for way, predict in methods.items():
        result: dict[str, Any] = {"method": way}
        for n in preset.labels:
            errors = []
            for draw in range(preset.draws):
                shown = told(labels, n, np.random.default_rng([seed, n, draw]))
                said = predict(shown)
                errors.append(100 * float((said != test_labels).mean()))
            result[str(n)], result[f"+- {n}"] = float(np.mean(errors)), float(np.std(errors))
        print(result, file=sys.stderr, flush=True)
        table.append(result)
    for way, errors in PUBLISHED["errors"].items():
        spare = {f"+- {n}": None for n in preset.labels}
        of_labels = {str(n): errors.get(str(n)) for n in preset.labels}
        table.append({"method": f"published: {way}", **of_labels, **spare})
    return {
        "preset": name,
        "seed": seed,
        "unit": f"percent of the test images named wrong, mean and deviation of {preset.draws} "
        "draws of the labels",
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
