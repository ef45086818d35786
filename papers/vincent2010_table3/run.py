"""Vincent et al. (2010), Table 3: classifiers on stacked denoising autoencoders.

MNIST and basic are the real images; rot, bg-rand, rect and convex are generated like the
originals. The activation is chosen on held-out training images, for each problem and for each kind
of pretraining. Run as `narrows reproduce vincent2010-table3 --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from narrows import CodeClassifier, Masking, SquaredError, StackedAutoencoder
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data.datasets import load_half

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for when another program runs this file

from generators import PROBLEMS  # noqa: E402
from svm import tuned_svm  # noqa: E402

PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]

# Share of a layer's inputs set to 0, as published for each problem; not tuned here.
NOISE = {"mnist": 0.25, "basic": 0.1, "rot": 0.25, "bg-rand": 0.4, "rect": 0.1, "convex": 0.1}

CANDIDATES = {"SiLU": "silu", "ReLU": "relu"}
METHODS = ("SDAE-3", "SAE-3", "no pretraining")
"""Layers pretrained on masked inputs, on whole ones, and from their random start."""


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
    trial_epochs: int = 20
    """Epochs of fine-tuning after which candidates are compared, or the full number if less."""
    candidates: tuple[str, ...] = ("SiLU", "ReLU")


PRESETS = {
    "smoke": Preset(
        ("basic", "rect"), 1_000, 200, 500, width=64, pretrain_epochs=3, epochs=20, dropout=0.1
    ),
    "fast": Preset(
        ("basic",), 3_000, 1_000, 10_000, width=500, pretrain_epochs=8, epochs=25, trial_epochs=10
    ),
    "best": Preset(("mnist", "basic", "rot", "bg-rand", "rect", "convex")),
}


def stacked(
    x: np.ndarray, y: np.ndarray, preset: Preset, activation: str, method: str, *,
    noise: float, epochs: int, seed: int,
) -> CodeClassifier:  # fmt: skip
    """Pretrain three layers as ``method`` says, and fine-tune all of them as a classifier.

    Fine-tuning is the same for every method: it masks as many inputs as pretraining does for
    SDAE-3. Without pretraining the layers are fitted to 1,000 rows at a learning rate of 1e-12,
    which leaves them at their random start.
    """
    untrained = method == "no pretraining"
    layers = StackedAutoencoder(
        preset.width,
        hidden=(preset.width, preset.width),
        activation=activation,
        code_activation=activation,
        loss=SquaredError(link="logistic"),
        linear_start=False,
        learning_rate=2e-3,
        corruption=Masking(noise if method == "SDAE-3" else 0.0),
        pretrain_epochs=1 if untrained else preset.pretrain_epochs,
        pretrain_learning_rate=1e-12 if untrained else None,
        fine_tune=False,
        batch_size=128,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(x[:1000] if untrained else x)
    return CodeClassifier(
        FrozenEstimator(layers),
        training="fine_tuned",
        corruption=Masking(noise),
        dropout=preset.dropout,
        max_epochs=epochs,
        batch_size=128,
        learning_rate=1e-3,
        random_state=seed,
    ).fit(x, y)


Labeled = tuple[np.ndarray, np.ndarray]


def problem(name: str, preset: Preset, seed: int) -> tuple[Labeled, Labeled, Any]:
    """Return training and held-out rows with their classes, and a function for the test rows.

    MNIST has no held-out rows: its 60,000 training images all train the final nets.
    """
    if name == "mnist":
        x, y = (part[: preset.mnist_train] for part in load_half("mnist", "train"))
        return (x, y), (x[:0], y[:0]), lambda: load_half("mnist", "test")
    sizes = (preset.n_train, preset.n_held_out, preset.n_test)
    ends = np.cumsum((0, *sizes))
    made = cache(lambda n: PROBLEMS[name](n, seed=seed))

    def part(at: int) -> Labeled:
        # rows do not depend on later ones, except that convex shuffles its classes over all rows
        x, y = made(ends[-1] if name == "convex" else ends[at + 1])
        return x[ends[at] : ends[at + 1]], y[ends[at] : ends[at + 1]]

    return part(0), part(1), lambda: part(2)


def row(name: str, preset: Preset, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a problem's test errors in percent, with the published ones, and its choices."""
    (x, y), (held_out, held_out_y), load_test = problem(name, preset, seed)
    settings = {"noise": NOISE[name], "seed": seed}
    if len(held_out):
        known, held = (x, y), (held_out, held_out_y)
    else:
        fit, validation = validation_split(len(x), seed=seed, y=y)
        known, held = (x[fit], y[fit]), (x[validation], y[validation])
    trial = min(preset.trial_epochs, preset.epochs)
    choices = [f"activation, {method}" for method in METHODS]
    study = Study(load_test, choices=[*choices, *(["SVM"] if len(held_out) else [])])
    nets: dict[str, CodeClassifier] = {}
    seconds: dict[str, float] = {}
    for method, choice in zip(METHODS, choices, strict=True):
        activation = study.choose(
            choice, {name: CANDIDATES[name] for name in preset.candidates},
            lambda activation, method=method: 100 * (1 - stacked(
                *known, preset, activation, method, epochs=trial, **settings
            ).score(*held)),
            unit=f"error in percent of {len(held[0])} training images, {trial} epochs",
        )  # fmt: skip
        started = time.perf_counter()
        nets[method] = stacked(x, y, preset, activation, method, epochs=preset.epochs, **settings)
        seconds[method] = time.perf_counter() - started
    svm = None
    if len(held_out):
        svm = tuned_svm(study, as_shares(x), y, as_shares(held_out), held_out_y)
    test, test_y = study.test()
    result: dict[str, Any] = {"problem": name}
    for method, net in nets.items():
        result[method] = 100 * (1 - net.score(test, test_y))
    result["SVM-rbf"] = None if svm is None else 100 * svm.error(as_shares(test), test_y)
    result["seconds"] = round(seconds["SDAE-3"])
    result["published"] = PUBLISHED[name]
    print(result, file=sys.stderr, flush=True)
    return result, [{**c, "choice": f"{name}: {c['choice']}"} for c in study.record]


def as_shares(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float32) / 255


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train and measure on every problem of the preset."""
    preset = PRESETS[name]
    found = [row(problem, preset, seed) for problem in preset.problems]
    return {
        "preset": name,
        "seed": seed,
        "unit": "error on the test images in percent",
        "rows": [result for result, _ in found],
        "choices": [choice for _, choices in found for choice in choices],
    }


def show(table: dict[str, Any]) -> str:
    methods = ("SVM-rbf", *METHODS[::-1])
    rows = [
        {
            "problem": row["problem"],
            **{method: row[method] for method in methods},
            **{
                f"published {method}": row["published"].get(method)
                for method in methods
                if method != "no pretraining"
            },
            "seconds": row["seconds"],
        }
        for row in table["rows"]
    ]
    return f"{columns(rows)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
