"""Classify with few labels: frozen, fine-tuned and joint encoders.

A code is learned from all images without their labels; then 100 or 1,000 labels are revealed, the
same number for each class. The same net is used as a classifier in four ways: its code frozen under
a head, fine-tuned from the code, trained jointly on both losses, and trained from scratch. A
support vector machine on pixels is the baseline. The first three are measured again with the labels
propagated to other images along the graph of nearest codes; propagation on pixels shows what the
code adds. Run as `narrows reproduce code-few-labels --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from narrows import Affine, Autoencoder, CodeClassifier, SquaredError
from narrows.applications.heads.label_propagation import neighbor_graph, propagate_labels
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_images


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


PRESETS = {
    "smoke": Preset(1_000, 300, 5, 1, (50,), ("mnist",), 150, (128, 64, 32), 100),
    "fast": Preset(10_000, 2_000, 10, 2, (100, 1000), ("mnist", "fashion_mnist"), 5_000),
    "best": Preset(60_000, 10_000, 30, 10, (100, 1000), ("mnist", "fashion_mnist"), 20_000),
}
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


def methods(
    net: Autoencoder,
    fresh: Autoencoder,
    x: np.ndarray,
    test: np.ndarray,
    pool: int,
    epochs: int | None,
) -> dict[str, Any]:
    """Return functions from labeled row numbers and their labels to test classes, by name."""

    def head(autoencoder: Autoencoder, training: str, **more: Any) -> Any:
        settings = {**_SETTINGS, "max_epochs": epochs, "training": training, **more}

        def predict(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
            return CodeClassifier(autoencoder, **settings).fit(x[labeled], y).predict(test)

        return predict

    def joint(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        # an epoch repeats the labeled images a few times, the others once
        n_others = min(_JOINT_ROWS, 10 * pool)
        repeats = max(1, n_others // (4 * len(labeled)))
        rows, known = with_unlabeled(labeled, y, n_others, repeats)
        settings = {"training": "joint", "reconstruction_weight": 0.01, "weight_decay": 0.1}
        settings |= {"layer": 1, "missing_label": -1, "max_epochs": 8, "batch_size": 128}
        return CodeClassifier(net, **_SETTINGS, **settings).fit(x[rows], known).predict(test)

    def propagate(training: str, **more: Any) -> Any:
        settings = {"missing_label": -1, "n_neighbors": 10, "training": training, **more}

        def predict(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
            rows, known = with_unlabeled(labeled, y, pool)
            return CodeClassifier(net, **_SETTINGS, **settings).fit(x[rows], known).predict(test)

        return predict

    def with_unlabeled(
        labeled: np.ndarray, y: np.ndarray, n: int, repeats: int = 1
    ) -> tuple[Any, Any]:
        """Return the labeled rows and n others, and their labels, -1 for the others."""
        others = np.setdiff1d(np.random.default_rng(len(labeled)).permutation(len(x))[:n], labeled)
        rows = np.concatenate([np.tile(labeled, repeats), others])
        return rows, np.concatenate([np.tile(y, repeats), np.full(len(others), -1)])

    def svm(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        return SVC(C=10.0).fit(x[labeled] / 255, y).predict(test / 255)

    codes, test_codes = net.transform(x), net.transform(test)

    def svm_on_code(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        return SVC(C=10.0).fit(codes[labeled], y).predict(test_codes)

    def propagate_on_pixels(labeled: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, known = with_unlabeled(labeled, y, pool)
        pixels = x[rows] / np.float32(255)
        propagated = propagate_labels(neighbor_graph(pixels, 10), known).argmax(axis=1)
        near = KNeighborsClassifier(5).fit(pixels, propagated)
        return near.predict(test / np.float32(255))

    return {
        "SVM on pixels": svm,
        "net from scratch": head(fresh, "fine_tuned"),
        "code, frozen": head(net, "frozen", weight_decay=0.1),
        "second layer, frozen": head(net, "frozen", weight_decay=3.0, layer=1),
        "SVM on the code": svm_on_code,
        "code, fine-tuned": head(net, "fine_tuned"),
        "code, joint": joint,
        "pixels, labels propagated": propagate_on_pixels,
        "code, frozen, labels propagated": propagate(
            "frozen", hidden=(128,), dropout=0.2, max_epochs=15
        ),
        "code, fine-tuned, labels propagated": propagate("fine_tuned", max_epochs=5),
        "code, joint, labels propagated": propagate(
            "joint", reconstruction_weight=0.01, max_epochs=5
        ),
    }


def draw_labeled(y: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
    """Return n row numbers, the same number for each class."""
    each = n // 10
    return np.concatenate([draw.permutation(np.flatnonzero(y == c))[:each] for c in range(10)])


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Learn the codes, then measure every method at every number of labels."""
    preset, table = PRESETS[name], []
    for data in preset.data:
        train, labels, test, test_labels = load_images(data)
        train, labels = train[: preset.n_train], labels[: preset.n_train].astype(int)
        test, test_labels = test[: preset.n_test], test_labels[: preset.n_test]
        net = code(train, preset.hidden, preset.epochs, seed)
        if output is not None:
            net.save(output / f"{data}.safetensors")
        fresh = untrained(train, preset.hidden, seed)
        for method, predict in methods(
            net, fresh, train, test, preset.pool, preset.head_epochs
        ).items():
            result: dict[str, Any] = {"data": data, "method": method}
            started = time.perf_counter()
            for n in preset.labels:
                errors = []
                for draw in range(preset.draws):
                    labeled = draw_labeled(labels, n, np.random.default_rng([seed, n, draw]))
                    predictions = predict(labeled, labels[labeled])
                    errors.append(100 * float((predictions != test_labels).mean()))
                result[str(n)], result[f"+- {n}"] = float(np.mean(errors)), float(np.std(errors))
            each = (time.perf_counter() - started) / (preset.draws * len(preset.labels))
            table.append({**result, "seconds": round(each, 1)})
            print(table[-1], file=sys.stderr, flush=True)
    return {
        "preset": name,
        "seed": seed,
        "unit": f"error on the test images in percent, mean and standard deviation of "
        f"{preset.draws} draws of the labels; seconds per draw",
        "rows": table,
    }


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'])}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
