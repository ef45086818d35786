"""Match pairs of Fashion-MNIST classes that were never labeled.

Codes are learned from all training images of Fashion-MNIST without labels. Then 100, 1,000 or all
labels of seven classes are revealed; unlabeled rows only define the origin. Test pairs come from
the other three classes, half of them of one class, for ten choices of the three in which every
class is left out three times. The same closed-form matcher reads pixels, principal components, the
lecture's code 784-1000-500-250-30 and narrower ones; distances that use no labels are baselines.
For each choice of three classes, one width of the code and one of PCA are also chosen on pairs of
three of the other seven, from a sixth of the training images.
Run as `narrows reproduce fashion-matching --preset fast|good|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from narrows import Affine, Autoencoder, CodeMatcher, SquaredError
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data import DenseSource
from narrows.data.datasets import load_half
from narrows.fitting.pair_calibration import (
    PairModel,
    Pairs,
    area_under_curve,
    calibrated,
    calibration_error,
    drawn_pairs,
    measure_classes,
)
from narrows.fitting.pair_metric import metric_of_classes, of_length_1

_TRUTHS = 10_000
"""Test pairs per split."""

_JOINTLY = "matcher on a code of 6 numbers, trained jointly"

_REBUILT = 4_000
"""Unlabeled rows that joint training reconstructs."""

_FEWER = 10_000
"""Most labels for a matcher on pixels or one trained jointly, since both are slow."""

Judge = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Any]]
"""From labeled row numbers and their classes to embedded test rows and the odds."""


@dataclass(frozen=True)
class Preset:
    """``joint``: the number of splits on which the encoder is trained too."""

    n_train: int
    n_test: int
    epochs: int
    splits: int
    labels: tuple[int | None, ...]
    joint: int
    hidden: tuple[int, ...] = (1000, 500, 250)
    """Hidden widths for the code of 30 numbers; narrower codes omit the first."""
    widths: tuple[int, ...] = (30, 10, 6)
    inner: int = 3
    """Choices of three of the seven labeled classes on which widths are compared."""


PRESETS = {
    "smoke": Preset(1_000, 500, 10, 2, (None,), 0, (256, 128, 64), (30, 6), 1),
    "fast": Preset(10_000, 2_000, 10, 4, (100, 1000, None), 0, widths=(30, 6), inner=1),
    "good": Preset(60_000, 10_000, 10, 10, (100, 1000, None), 0),
    "best": Preset(60_000, 10_000, 30, 10, (100, 1000, None), 10),
}


def unseen(split: int, seed: int) -> np.ndarray:
    """Return the three classes of a split; ten splits leave out every class three times."""
    order = np.random.default_rng(seed).permutation(10)
    return order[(split + np.array([0, 1, 3])) % 10]


def code(x: np.ndarray, width: int, hidden: tuple[int, ...], epochs: int, seed: int) -> Autoencoder:
    """Return a net and its mirror, trained without labels."""
    images = DenseSource(x)
    images.image_shape = (28, 28)
    return Autoencoder(
        width,
        hidden=hidden,
        tied=True,
        loss=SquaredError(link="logistic"),
        augmentation=Affine(until=1.0),
        linear_start=False,
        max_epochs=epochs,
        batch_size=256,
        learning_rate=3e-3,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(images)


def squared(rows: np.ndarray, pairs: Pairs) -> np.ndarray:
    return np.square(rows[pairs.first] - rows[pairs.second]).sum(axis=1)


def matcher(train: np.ndarray, test: np.ndarray, seed: int, *, repeats: int = 5) -> Judge:
    """Return what a frozen CodeMatcher computes, on any features; most rows are unlabeled."""
    shift = train.mean(axis=0, dtype=np.float64)

    def judge(labeled: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, Any]:
        rows = train[labeled].astype(np.float64)

        def learn(rest: np.ndarray) -> Callable[[Pairs], np.ndarray]:
            embedded = metric_of_classes(rows, rest, shift=shift).embed(rows)
            return lambda pairs: squared(embedded, pairs)

        generator = np.random.default_rng(seed)
        folds = measure_classes(y, learn, 5, repeats, generator=generator)
        return metric_of_classes(rows, y, shift=shift).embed(test), calibrated(*folds).odds

    return judge


def joint(net: Autoencoder, train: np.ndarray, test: np.ndarray, seed: int) -> Judge:
    """Return a matcher whose encoder is trained on pairs and on 4,000 unlabeled rows."""

    def judge(labeled: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, Any]:
        others = np.random.default_rng(seed).permutation(len(train))[:_REBUILT]
        others = np.setdiff1d(others, labeled)
        rows = np.concatenate([train[labeled], train[others]])
        known = np.concatenate([y, np.full(len(others), -1)])
        epochs = 6 if len(labeled) <= _REBUILT else 3  # about 700 steps
        fitted = CodeMatcher(
            net, training="joint", max_epochs=epochs, batch_size=64, random_state=seed
        ).fit(rows, known)
        return fitted.transform(test), PairModel(fitted.intercept_, fitted.slope_)

    return judge


def codes_of(x: np.ndarray, preset: Preset, seed: int) -> dict[int, Autoencoder]:
    """Return a net for each width."""
    hidden = {width: preset.hidden if width == 30 else preset.hidden[1:] for width in preset.widths}
    return {w: code(x, w, layers, preset.epochs, seed) for w, layers in hidden.items()}


def pca_of(x: np.ndarray, preset: Preset, seed: int) -> dict[int, PCA]:
    return {
        width: PCA(width, svd_solver="randomized", random_state=seed).fit(x)
        for width in preset.widths
    }


def choose_widths(
    study: Study[Any], train: np.ndarray, y: np.ndarray, preset: Preset, seed: int
) -> list[dict[str, int]]:
    """Return the widths of the code and of PCA for every split.

    They are compared by a matcher that learns from some of the split's seven labeled classes, on
    pairs of the three others of these seven, from validation rows.
    """
    fit, validation = validation_split(len(train), seed=seed, y=y)
    nets = codes_of(train[fit], preset, seed)
    shares = [train[at].astype(np.float32) / 255 for at in (fit, validation)]
    maps = pca_of(shares[0], preset, seed)
    spaces = {
        "code": {w: (net.transform(train[fit]), net.transform(train[validation]))
                 for w, net in nets.items()},
        "PCA": {w: (pca.transform(shares[0]), pca.transform(shares[1]))
                for w, pca in maps.items()},
    }  # fmt: skip

    def error(rows: tuple[np.ndarray, np.ndarray], split: int) -> float:
        labeled = np.setdiff1d(np.arange(10), unseen(split, seed))
        areas = []
        for inner in range(preset.inner):
            draw = np.random.default_rng([seed, split, inner])
            left_out = draw.permutation(labeled)[:3]
            seen = np.setdiff1d(labeled, left_out)
            known = draw.permutation(np.flatnonzero(np.isin(y[fit], seen)))[:1000]
            hidden = np.where(np.isin(y[validation], left_out), y[validation], -1)
            pairs = drawn_pairs(hidden, _TRUTHS, generator=draw)
            e, _ = matcher(*rows, seed, repeats=1)(known, y[fit][known])
            areas.append(area_under_curve(-squared(e, pairs), pairs.same))
        return 1 - float(np.mean(areas))

    unit = f"1 - area under the ROC curve, pairs of {len(validation)} training images"
    chosen: list[dict[str, int]] = []
    for split in range(preset.splits):
        chosen.append({})
        for kind, of_widths in spaces.items():
            chosen[-1][kind] = study.choose(
                f"{kind}, split {split + 1}", {f"{w} numbers": w for w in of_widths},
                lambda w, of_widths=of_widths, split=split: error(of_widths[w], split), unit=unit,
            )  # fmt: skip
    return chosen


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Choose widths, learn the codes, then measure every method at every number of labels."""
    preset, started = PRESETS[name], time.perf_counter()
    train, y = (part[: preset.n_train] for part in load_half("fashion_mnist", "train"))
    y = y.astype(int)
    choices = [f"{kind}, split {i + 1}" for i in range(preset.splits) for kind in ("code", "PCA")]
    study = Study(lambda: load_half("fashion_mnist", "test"), choices=choices)
    chosen = choose_widths(study, train, y, preset, seed)
    code_started = time.perf_counter()
    nets = codes_of(train, preset, seed)
    code_seconds = time.perf_counter() - code_started
    net = nets[6]
    if output is not None:
        net.save(output / "model.safetensors")
    test, test_y = (part[: preset.n_test] for part in study.test())
    test_y = test_y.astype(int)
    pixels = train.astype(np.float32) / 255, test.astype(np.float32) / 255
    spaces = {"pixels": pixels}
    for width, pca in pca_of(pixels[0], preset, seed).items():
        spaces[f"PCA-{width}"] = pca.transform(pixels[0]), pca.transform(pixels[1])
    for width, of in nets.items():
        spaces[f"a code of {width} numbers"] = of.transform(train), of.transform(test)
    spaces["the layer before the 6"] = net.features(train, -2), net.features(test, -2)
    found: dict[str, dict[str, list[float]]] = {}
    probabilities: dict[tuple[str, str], list[np.ndarray]] = {}

    def note(method: str, column: str, value: float) -> None:
        found.setdefault(method, {}).setdefault(column, []).append(value)

    for split in range(preset.splits):
        left_out = unseen(split, seed)
        draw = np.random.default_rng([seed, split])
        hidden = np.where(np.isin(test_y, left_out), test_y, -1)
        pairs = drawn_pairs(hidden, _TRUTHS, generator=draw)
        for space, (rows, queries) in spaces.items():
            centered = of_length_1(queries - rows.mean(axis=0))
            for method, e in (("distance", queries), ("cosine", centered)):
                auc = area_under_curve(-squared(e, pairs), pairs.same)
                note(f"{method} on {space}", "no labels", auc)
        order = draw.permutation(np.flatnonzero(~np.isin(y, left_out)))
        picked = {
            "matcher on the chosen code": f"matcher on a code of {chosen[split]['code']} numbers",
            "matcher on the chosen PCA": f"matcher on PCA-{chosen[split]['PCA']}",
        }
        for n in preset.labels:
            column = "all" if n is None else str(n)
            judges = {
                f"matcher on {space}": matcher(*rows, seed, repeats=1 if space == "pixels" else 5)
                for space, rows in spaces.items()
            }
            if split < preset.joint:
                judges[_JOINTLY] = joint(net, train, test, seed)
            measured = {}
            for method, judge in judges.items():
                slow = method in ("matcher on pixels", _JOINTLY)
                labeled = order[:n][:_FEWER] if slow else order[:n]
                e, odds = judge(labeled, y[labeled])
                apart = squared(e.astype(np.float64), pairs)
                measured[method] = apart, odds.probability(apart)
            measured |= {method: measured[of] for method, of in picked.items()}
            for method, (apart, probability) in measured.items():
                note(method, column, area_under_curve(-apart, pairs.same))
                note(method, f"ECE {column}", calibration_error(probability, pairs.same))
                probabilities.setdefault((method, column), []).append(
                    np.stack([probability, pairs.same])
                )
        print(f"split {split + 1}: {left_out.tolist()}", file=sys.stderr, flush=True)
    for (method, column), parts in probabilities.items():
        probability, same = np.concatenate(parts, axis=1)
        note(method, f"pooled {column}", calibration_error(probability, same))
    of_labels = ["all" if n is None else str(n) for n in preset.labels]
    names = ["no labels"] + [f"{of}{n}" for of in ("", "ECE ", "pooled ") for n in of_labels]
    table = []
    for method, values in found.items():
        means = {c: float(np.mean(values[c])) if c in values else None for c in names}
        table.append({"method": method, **means})
    return {
        "preset": name,
        "seed": seed,
        "unit": "area under the ROC curve for pairs of three unseen classes, and expected "
        f"calibration error (ECE), means over {preset.splits} choices of the three; pooled: ECE of "
        "the pairs of all choices together",
        "code_seconds": round(code_seconds, 1),
        "total_seconds": round(time.perf_counter() - started, 1),
        "rows": table,
        "choices": study.record,
    }


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'], digits=4)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
