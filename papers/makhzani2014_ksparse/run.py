"""Makhzani and Frey (2014): k-sparse codes, and dictionaries without dead units.

First the paper's nets on MNIST: logistic regression on the frozen codes, for k = 70, 40, 25, 10.
Then Gao et al. (2024): a dictionary 16 times as wide as its rows with k = 32, most of whose units
die without the reviving loss. The classifier's regularization and the best k are chosen on a sixth
of the training images; the dictionary's high learning rate is not chosen, since it is what kills
units. Run as `narrows reproduce makhzani2014-ksparse`, or on its own.
"""

from __future__ import annotations

import time
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from narrows import DictionaryAutoencoder, LinearAutoencoder, SparseAutoencoder
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import main
from narrows.data.datasets import load_half

HERE = Path(__file__).parent

# rows: training images; dictionary: training images and epochs of the 1,024 atoms.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"rows": 500, "test": 300, "ks": (25, 10), "units": 100, "epochs": 1,
              "dictionary": {"rows": 300, "max_epochs": 1}},
    "fast": {"rows": 3000, "ks": (70, 40, 25, 10), "units": 1000, "epochs": 5,
             "dictionary": {"rows": 10_000, "max_epochs": 15}},
    "best": {"rows": 10_000, "ks": (70, 40, 25, 10), "units": 1000, "epochs": 10,
             "dictionary": {"rows": 20_000, "max_epochs": 20}},
}  # fmt: skip

WIDTH = 64  # width of the dictionary's rows
TIMES = 16
ATOMS = 32


COSTS = {"C 0.1": 0.1, "C 1": 1.0, "C 0.01": 0.01}
PIXELS = "pixels"


def sparse_net(preset: str, k: int, x: np.ndarray, seed: int) -> SparseAutoencoder:
    settings = PRESETS[preset]
    return SparseAutoencoder(
        settings["units"],
        sparsity="top_k",
        k=k,
        loss="squared_error",
        linear_start=False,
        max_epochs=settings["epochs"],
        learning_rate=2e-3,
        validation_fraction=0.0,
        batch_size=64,
        random_state=seed,
    ).fit(x)


def space_of(k: int | None) -> str:
    return PIXELS if k is None else f"codes, k = {k}"


def chosen(
    study: Study[Any], preset: str, x: np.ndarray, y: np.ndarray, seed: int
) -> tuple[dict[str, float], int]:
    """Return the classifier's C in each space, and the best k."""
    fit, validation = validation_split(len(x), seed=seed, y=y)
    known_y, held_y = y[fit], y[validation]
    unit = f"error of {len(validation)} training images"
    costs, errors = {}, {}
    ks = PRESETS[preset]["ks"]
    for k in (None, *ks):
        known, held = x[fit] / 255, x[validation] / 255
        if k is not None:
            net = sparse_net(preset, k, x[fit], seed)
            known, held = net.transform(x[fit]), net.transform(x[validation])
        tried = {
            cost: wrong(classifier(known, known_y, cost), held, held_y) for cost in COSTS.values()
        }
        space = space_of(k)
        costs[space] = study.choose(f"C on {space}", COSTS, tried.__getitem__, unit=unit)
        errors[k] = tried[costs[space]]
    best = study.choose("k", {f"k = {k}": k for k in ks}, errors.__getitem__, unit=unit)
    return costs, best


def sparse_rows(
    preset: str, nets: dict[int, SparseAutoencoder], classifiers: dict[str, LogisticRegression],
    best: int, test: np.ndarray, test_y: np.ndarray,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the test error of logistic regression on pixels, and on codes for every k."""
    rows: list[dict[str, Any]] = [
        {"k": None, "error": wrong(classifiers[PIXELS], test / 255, test_y)}
    ]
    for k, net in nets.items():
        codes, on_test, health = net.transform(test), net.evaluate(test), net.inspect(test)
        rows.append({
            "k": k,
            "chosen": k == best,
            "error": wrong(classifiers[space_of(k)], codes, test_y),
            "normalized_error": on_test.squared_error / on_test.variance,
            "l0": health.code.l0,
            "never_on": never_on(codes),
            "filled_in": health.copying.filled_in,
        })  # fmt: skip
    return rows


def classifier(x: np.ndarray, y: np.ndarray, cost: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # limited to 100 steps on purpose
        return LogisticRegression(max_iter=100, C=cost).fit(x, y)


def wrong(fitted: LogisticRegression, x: np.ndarray, y: np.ndarray) -> float:
    """Return the error rate on other rows."""
    return 1 - float(fitted.score(x, y))


def never_on(codes: np.ndarray) -> float:
    """Return the share of units that are 0 in every row."""
    return float((codes == 0).all(axis=0).mean())


def dictionaries(preset: str, seed: int, x: np.ndarray) -> tuple[Any, dict[float, Any]]:
    """Return the map to the dictionary's rows, and the nets with and without the reviving loss."""
    settings = dict(PRESETS[preset]["dictionary"])
    x = x[: settings.pop("rows")]
    pca = LinearAutoencoder(WIDTH, scale="unit", max_epochs=20, random_state=seed).fit(x)
    rows = pca.transform(x)
    nets = {
        revive: DictionaryAutoencoder(
            TIMES * WIDTH,
            k=ATOMS,
            revive=revive,
            dead_after=5000,
            batch_size=128,
            learning_rate=0.1,
            scale="center",
            validation_fraction=0.0,
            random_state=seed,
            **settings,
        ).fit(rows)
        for revive in (1 / 32, 0.0)
    }
    on_train = {revive: never_on(net.transform(rows)) for revive, net in nets.items()}
    return pca, {revive: (net, on_train[revive]) for revive, net in nets.items()}


def dictionary_rows(pca: Any, nets: dict[float, Any], test: np.ndarray) -> list[dict[str, Any]]:
    rows, test = [], pca.transform(test)
    for revive, (net, on_train) in nets.items():
        on_test, codes = net.evaluate(test), net.transform(test)
        rows.append({
            "revive": revive,
            "never_on_train": on_train,
            "never_on_test": never_on(codes),
            "l0": float((codes != 0).sum(axis=1).mean()),
            "normalized_error": on_test.squared_error / on_test.variance,
        })  # fmt: skip
    return rows


def run(preset: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train and measure both experiments."""
    started = time.perf_counter()
    published = tomllib.loads((HERE / "expected.toml").read_text())["published"]
    settings = PRESETS[preset]
    every, every_y = load_half("mnist", "train")
    x, y = every[: settings["rows"]], every_y[: settings["rows"]]
    spaces = [space_of(k) for k in (None, *settings["ks"])]
    study = Study(
        lambda: load_half("mnist", "test"), choices=[*(f"C on {space}" for space in spaces), "k"]
    )
    costs, best = chosen(study, preset, x, y, seed)
    nets = {k: sparse_net(preset, k, x, seed) for k in settings["ks"]}
    classifiers = {PIXELS: classifier(x / 255, y, costs[PIXELS])} | {
        space_of(k): classifier(net.transform(x), y, costs[space_of(k)]) for k, net in nets.items()
    }
    pca, atoms = dictionaries(preset, seed, every)
    test, test_y = (part[: settings.get("test")] for part in study.test())
    return {
        "preset": preset,
        "seed": seed,
        "unit": "normalized error: squared error of a held-out row over the variance",
        "sparse": sparse_rows(preset, nets, classifiers, best, test, test_y),
        "dictionary": dictionary_rows(pca, atoms, test),
        "published_never_on": [published["with_revival"], published["without"]],
        "total_seconds": round(time.perf_counter() - started, 1),
        "rows": settings["rows"],
        "threads": torch.get_num_threads(),
        "choices": study.record,
    }


def show(table: dict[str, Any]) -> str:
    lines = [
        f"{'logistic regression on':<24}{'error':>8}{'norm. error':>13}{'L0':>8}{'never on':>10}"
    ]
    for row in table["sparse"]:
        name = space_of(row["k"]) + (", chosen" if row.get("chosen") else "")
        line = f"{name:<24}{row['error']:>8.2%}"
        if row["k"] is not None:
            line += f"{row['normalized_error']:>13.4f}{row['l0']:>8.1f}{row['never_on']:>10.1%}"
        lines.append(line)
    title = f"{TIMES * WIDTH:,} atoms of {WIDTH}, k = {ATOMS}"
    lines += [
        "",
        f"{title:<24}{'never on: train':>16}{'test':>8}{'published':>11}"
        f"{'norm. error':>13}{'L0':>8}",
    ]
    for row, reference in zip(table["dictionary"], table["published_never_on"], strict=True):
        name = f"revive = {row['revive']:g}"
        lines.append(
            f"{name:<24}{row['never_on_train']:>16.1%}{row['never_on_test']:>8.1%}{reference:>11.0%}"
            f"{row['normalized_error']:>13.4f}{row['l0']:>8.1f}"
        )
    lines.append(table["unit"])
    lines.append(
        f"{table['rows']} training images, {table['total_seconds']} s, {table['threads']} threads, "
        f"seed {table['seed']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
