"""Makhzani and Frey (2014): k-sparse codes, and dictionaries without dead units.

First the paper's nets on MNIST: logistic regression on the frozen codes, for k = 70, 40, 25, 10.
Then Gao et al. (2024): a dictionary 16 times as wide as its rows with k = 32, most of whose units
die without the reviving loss. Run as `narrows reproduce makhzani2014-ksparse`, or on its own.
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
from narrows.cli.paper import main
from narrows.data.datasets import load_images

HERE = Path(__file__).parent

# rows: training images; dictionary: training images and epochs of the 1,024 atoms.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"rows": 500, "ks": (25,), "units": 100, "epochs": 1,
              "dictionary": {"rows": 300, "max_epochs": 1}},
    "fast": {"rows": 3000, "ks": (70, 40, 25, 10), "units": 1000, "epochs": 5,
             "dictionary": {"rows": 10_000, "max_epochs": 15}},
    "best": {"rows": 10_000, "ks": (70, 40, 25, 10), "units": 1000, "epochs": 10,
             "dictionary": {"rows": 20_000, "max_epochs": 20}},
}  # fmt: skip

WIDTH = 64  # width of the dictionary's rows
TIMES = 16
ATOMS = 32


def sparse_nets(preset: str, seed: int) -> list[dict[str, Any]]:
    """Return the held-out error of logistic regression on pixels, and on codes for every k."""
    settings = PRESETS[preset]
    train, train_y, test, test_y = load_images("mnist")
    train, train_y = train[: settings["rows"]], train_y[: settings["rows"]]
    if preset == "smoke":
        test, test_y = test[:300], test_y[:300]
    rows = [{"k": None, "error": wrong(train / 255, train_y, test / 255, test_y)}]
    for k in settings["ks"]:
        net = SparseAutoencoder(
            settings["units"],
            sparsity="top_k",
            k=k,
            loss="squared_error",
            linear_start=False,
            max_epochs=settings["epochs"],
            validation_fraction=0.0,
            batch_size=64,
            learning_rate=2e-3,
            random_state=seed,
        ).fit(train)
        codes, held_out = net.transform(train), net.transform(test)
        on_test, health = net.evaluate(test), net.inspect(test)
        rows.append({
            "k": k,
            "error": wrong(codes, train_y, held_out, test_y),
            "normalized_error": on_test.squared_error / on_test.variance,
            "l0": health.code.l0,
            "never_on": never_on(held_out),
            "filled_in": health.copying.filled_in,
        })  # fmt: skip
    return rows


def wrong(train: np.ndarray, train_y: np.ndarray, test: np.ndarray, test_y: np.ndarray) -> float:
    """Return the held-out error rate of logistic regression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # limited to 100 steps on purpose
        classifier = LogisticRegression(max_iter=100, C=0.1).fit(train, train_y)
    return 1 - classifier.score(test, test_y)


def never_on(codes: np.ndarray) -> float:
    """Return the share of units that are 0 in every row."""
    return float((codes == 0).all(axis=0).mean())


def dictionaries(preset: str, seed: int) -> list[dict[str, Any]]:
    """Measure a 16 times overcomplete dictionary with and without the reviving loss."""
    settings = dict(PRESETS[preset]["dictionary"])
    train, _, test, _ = load_images("mnist")
    train = train[: settings.pop("rows")]
    pca = LinearAutoencoder(WIDTH, scale="unit", max_epochs=20, random_state=seed).fit(train)
    train, test = pca.transform(train), pca.transform(test)
    rows = []
    for revive in (1 / 32, 0.0):
        net = DictionaryAutoencoder(
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
        ).fit(train)
        on_test = net.evaluate(test)
        codes = net.transform(test)
        rows.append({
            "revive": revive,
            "never_on_train": never_on(net.transform(train)),
            "never_on_test": never_on(codes),
            "l0": float((codes != 0).sum(axis=1).mean()),
            "normalized_error": on_test.squared_error / on_test.variance,
        })  # fmt: skip
    return rows


def run(preset: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train and measure both experiments."""
    started = time.perf_counter()
    published = tomllib.loads((HERE / "expected.toml").read_text())["published"]
    table = {
        "preset": preset,
        "seed": seed,
        "unit": "normalized error: squared error of a held-out row over the variance",
        "sparse": sparse_nets(preset, seed),
        "dictionary": dictionaries(preset, seed),
        "published_never_on": [published["with_revival"], published["without"]],
        "total_seconds": round(time.perf_counter() - started, 1),
        "rows": PRESETS[preset]["rows"],
        "threads": torch.get_num_threads(),
    }
    return table


def show(table: dict[str, Any]) -> str:
    lines = [
        f"{'logistic regression on':<24}{'error':>8}{'norm. error':>13}{'L0':>8}{'never on':>10}"
    ]
    for row in table["sparse"]:
        name = "pixels" if row["k"] is None else f"codes, k = {row['k']}"
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
