"""Vincent et al. (2010), Table 3: classifiers on stacked denoising autoencoders.

MNIST and basic are the real images; rot, bg-rand, rect and convex are generated like the
originals. Run as `narrows reproduce vincent2010-table3 --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from narrows import CodeClassifier, Masking, SquaredError, StackedAutoencoder
from narrows.cli.paper import columns, main
from narrows.data.datasets import load_images

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for when another program runs this file

from generators import PROBLEMS  # noqa: E402
from svm import tuned_svm_error  # noqa: E402

PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]

# Share of a layer's inputs set to 0, as published for each problem; not tuned here.
NOISE = {"mnist": 0.25, "basic": 0.1, "rot": 0.25, "bg-rand": 0.4, "rect": 0.1, "convex": 0.1}


@dataclass(frozen=True)
class Preset:
    """Rows of the generated problems, width of the three layers, and epochs."""

    problems: tuple[str, ...]
    n_train: int = 10_000
    n_held_out: int = 2_000
    n_test: int = 50_000
    width: int = 1000
    pretrain_epochs: int = 15
    epochs: int = 60
    dropout: float = 0.5
    mnist_train: int = 60_000
    plain: tuple[str, ...] = ()


PRESETS = {
    "smoke": Preset(
        ("basic", "rect"), 1_000, 200, 500, width=64, pretrain_epochs=3, epochs=20, dropout=0.1
    ),
    "fast": Preset(("basic",), 3_000, 1_000, 10_000, width=500, pretrain_epochs=8, epochs=25),
    "best": Preset(("mnist", "basic", "rot", "bg-rand", "rect", "convex"), plain=("basic",)),
}


def stacked(
    x: np.ndarray, y: np.ndarray, preset: Preset, *, noise: float | None, seed: int
) -> CodeClassifier:
    """Pretrain three layers and fine-tune all of them as a classifier with the same corruption.

    Without ``noise`` nothing is masked: the layers are plain autoencoders (SAE).
    """
    corruption = Masking(noise or 0.0)
    layers = StackedAutoencoder(
        preset.width,
        hidden=(preset.width, preset.width),
        activation="silu",
        code_activation="silu",
        corruption=corruption,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        pretrain_epochs=preset.pretrain_epochs,
        fine_tune=False,
        batch_size=128,
        learning_rate=2e-3,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(x)
    return CodeClassifier(
        FrozenEstimator(layers),
        training="fine_tuned",
        corruption=corruption,
        dropout=preset.dropout,
        max_epochs=preset.epochs,
        batch_size=128,
        learning_rate=1e-3,
        random_state=seed,
    ).fit(x, y)


def problem(name: str, preset: Preset, seed: int) -> tuple[np.ndarray, ...]:
    """Return training, held-out and test rows with their classes."""
    if name == "mnist":
        train, labels, test, test_labels = load_images("mnist")
        return train[: preset.mnist_train], labels, train[:0], labels[:0], test, test_labels
    sizes = (preset.n_train, preset.n_held_out, preset.n_test)
    x, y = PROBLEMS[name](sum(sizes), seed=seed)
    ends = np.cumsum(sizes)[:2]
    parts = zip(np.split(x, ends), np.split(y, ends), strict=True)
    return tuple(part for pair in parts for part in pair)


def row(name: str, preset: Preset, seed: int) -> dict[str, Any]:
    """Return a problem's test errors in percent, with the published ones."""
    x, y, held_out, held_out_y, test, test_y = problem(name, preset, seed)
    started = time.perf_counter()
    net = stacked(x, y, preset, noise=NOISE[name], seed=seed)
    seconds = time.perf_counter() - started
    result: dict[str, Any] = {"problem": name, "SDAE-3": 100 * (1 - net.score(test, test_y))}
    result["SAE-3"] = result["SVM-rbf"] = None
    if name in preset.plain:
        plain = stacked(x, y, preset, noise=None, seed=seed)
        result["SAE-3"] = 100 * (1 - plain.score(test, test_y))
    if len(held_out):
        scaled = [rows.astype(np.float32) / 255 for rows in (x, held_out, test)]
        error, choice = tuned_svm_error(scaled[0], y, scaled[1], held_out_y, scaled[2], test_y)
        result["SVM-rbf"] = 100 * error
        result["svm"] = choice
    result["seconds"] = round(seconds)
    result["published"] = PUBLISHED[name]
    print(result, file=sys.stderr, flush=True)
    return result


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train and measure on every problem of the preset."""
    preset = PRESETS[name]
    return {
        "preset": name,
        "seed": seed,
        "unit": "error on the test images in percent",
        "rows": [row(problem, preset, seed) for problem in preset.problems],
    }


def show(table: dict[str, Any]) -> str:
    methods = ("SVM-rbf", "SAE-3", "SDAE-3")
    rows = [
        {
            "problem": row["problem"],
            **{method: row[method] for method in methods},
            **{f"published {method}": row["published"].get(method) for method in methods},
            "seconds": row["seconds"],
        }
        for row in table["rows"]
    ]
    return f"{columns(rows)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
