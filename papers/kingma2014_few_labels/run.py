"""Kingma et al. (2014): classify digits with few labels.

A code is learned from 60,000 unlabeled digits; then 100 or 1,000 labels are revealed, the same
number for each class. The test digits are classified by nearest neighbors and by support vector
machines, on pixels and on codes, and by propagating the labels along the graph of neighbors, which
also uses the unlabeled digits, as the published TSVM does. The settings of the code and of the
classifiers are chosen on a sixth of the training images, with other draws of the labels. Run as
`narrows reproduce kingma2014-few-labels --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.svm import SVC

from narrows import Affine, Autoencoder, SquaredError
from narrows.applications.heads.label_propagation import neighbor_graph, propagate_labels
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_half

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]

CODES = {"rate 0.005": 5e-3, "rate 0.003": 3e-3}
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "nearest neighbor": {"1 neighbor": 1, "3 neighbors": 3},
    "SVM": {"C 10": 10.0, "C 1": 1.0, "C 100": 100.0},
    "label propagation": {"10 neighbors": 10, "5 neighbors": 5, "20 neighbors": 20},
}
"""Candidates by method; they are compared at the smallest number of labels."""


@dataclass(frozen=True)
class Preset:
    n_train: int
    n_test: int
    epochs: int
    draws: int
    labels: tuple[int, ...]
    trial_draws: int = 2
    hidden: tuple[int, ...] = (1000, 500, 250)


PRESETS = {
    "smoke": Preset(1_000, 500, 15, 2, (50,), 1, (256, 128, 64)),
    "fast": Preset(10_000, 2_000, 10, 3, (100, 1000)),
    "best": Preset(60_000, 10_000, 30, 10, (100, 600, 1000, 3000), 5),
}


def code(x: np.ndarray, preset: Preset, learning_rate: float, seed: int) -> Autoencoder:
    """Return the lecture's net, down to 30 numbers and back, trained without labels."""
    return Autoencoder(
        30,
        hidden=preset.hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        augmentation=Affine(until=1.0),
        linear_start=False,
        max_epochs=preset.epochs,
        batch_size=256,
        learning_rate=learning_rate,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(_images(x))


def _images(x: np.ndarray) -> DenseSource:
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return images


class Propagation:
    """Propagate labels along the graph of nearest neighbors, and from there to query rows.

    Zhou, Bousquet, Lal, Weston, Scholkopf (2004), "Learning with local and global consistency".
    Neither the graph nor the neighbors of the queries depend on the labels, so both are computed
    once for all draws.
    """

    def __init__(self, x: np.ndarray, queries: np.ndarray, n_neighbors: int) -> None:
        near = NearestNeighbors(n_neighbors=n_neighbors).fit(x)
        self._nearest = near.kneighbors(queries, return_distance=False)
        self._graph = neighbor_graph(x, n_neighbors)

    def predict(self, y: np.ndarray) -> np.ndarray:
        """Return classes of the queries; y is -1 where the label is unknown."""
        reached = propagate_labels(self._graph, y, alpha=0.99)
        return reached[self._nearest].sum(axis=1).argmax(axis=1)


Predict = Callable[[np.ndarray], np.ndarray]
"""From labeled row numbers to classes of the queries."""


def classifier(
    method: str, setting: Any, x: np.ndarray, y: np.ndarray, queries: np.ndarray
) -> Predict:
    if method == "label propagation":
        propagation = Propagation(x, queries, setting)

        def propagate(labeled: np.ndarray) -> np.ndarray:
            known = np.full(len(y), -1)
            known[labeled] = y[labeled]
            return propagation.predict(known)

        return propagate

    def fitted(labeled: np.ndarray) -> np.ndarray:
        model = KNeighborsClassifier(setting) if method == "nearest neighbor" else SVC(C=setting)
        return model.fit(x[labeled], y[labeled]).predict(queries)

    return fitted


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
        found.append(100 * float((predict(labeled) != truth).mean()))
    return found


SPACES = ("pixels", "code")


def rows_in(space: str, net: Autoencoder, images: np.ndarray) -> np.ndarray:
    return net.transform(images) if space == "code" else images.astype(np.float32) / 255


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Learn the code, then measure every method at every number of labels."""
    preset = PRESETS[name]
    train, labels = (part[: preset.n_train] for part in load_half("mnist", "train"))
    labels = labels.astype(int)
    methods = [(method, space) for space in SPACES for method in CLASSIFIERS]
    choices = ["code", *(f"{method} on {space}" for method, space in methods)]
    study = Study(lambda: load_half("mnist", "test"), choices=choices)
    fit, validation = validation_split(len(train), seed=seed, y=labels)
    trials: dict[float, Autoencoder] = {}

    def code_error(rate: float) -> float:
        trials[rate] = code(train[fit], preset, rate, seed)
        return trials[rate].evaluate(_images(train[validation])).squared_error

    unit = f"squared error of {len(validation)} training images"
    rate = study.choose("code", CODES, code_error, unit=unit)
    # the draws of the measurement are counted from 0
    draws = range(1000, 1000 + preset.trial_draws)
    n = preset.labels[0]
    settings = {}
    for method, space in methods:
        known, held = (rows_in(space, trials[rate], train[at]) for at in (fit, validation))

        def method_error(setting: Any, method=method, known=known, held=held) -> float:
            predict = classifier(method, setting, known, labels[fit], held)
            return float(np.mean(errors(predict, labels[fit], labels[validation], n, draws, seed)))

        settings[method, space] = study.choose(
            f"{method} on {space}", CLASSIFIERS[method], method_error,
            unit=f"error in percent of {len(validation)} training images, {n} labels",
        )  # fmt: skip
    started = time.perf_counter()
    net = code(train, preset, rate, seed)
    seconds = time.perf_counter() - started
    if output is not None:
        net.save(output / "model.safetensors")
    test, test_labels = (part[: preset.n_test] for part in study.test())
    table = []
    for method, space in methods:
        x, queries = (rows_in(space, net, images) for images in (train, test))
        predict = classifier(method, settings[method, space], x, labels, queries)
        result: dict[str, Any] = {"method": f"{method} on {space}"}
        for n in preset.labels:
            found = errors(predict, labels, test_labels, n, range(preset.draws), seed)
            result[str(n)], result[f"+- {n}"] = float(np.mean(found)), float(np.std(found))
        print(result, file=sys.stderr, flush=True)
        table.append(result)
    for method, published in PUBLISHED["errors"].items():
        spare = {f"+- {n}": None for n in preset.labels}
        of_labels = {str(n): published.get(str(n)) for n in preset.labels}
        table.append({"method": f"published: {method}", **of_labels, **spare})
    return {
        "preset": name,
        "seed": seed,
        "unit": f"error on the test images in percent, mean and standard deviation of "
        f"{preset.draws} draws of the labels",
        "code_seconds": round(seconds, 1),
        "rows": table,
        "choices": study.record,
    }


def show(table: dict[str, Any]) -> str:
    keys = list(table["rows"][0])
    names = ["method", *(key for key in keys if key.isdigit())]
    names = [name for key in names for name in (key, f"+- {key}") if name in keys]
    rows = [{name: row[name] for name in names} for row in table["rows"]]
    return f"{columns(rows)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
