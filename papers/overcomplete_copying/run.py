"""Measure copying in autoencoders with codes of 4 to 256 numbers for 64 pixels.

8 x 8 digits are encoded in 4 to 256 numbers by a plain net and by three regularized ones. The error
on clean rows falls with capacity for all of them, while the plain net loses its ability to
fill in hidden pixels. The strength of each regularization is chosen on a sixth of the training
digits, by how much is filled in at the greatest width.
Run as `narrows reproduce overcomplete-copying`, or on its own.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from narrows import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import main
from narrows.errors import CopyingWarning
from narrows.figures.saving import save_figure

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"widths": (8, 64), "max_epochs": 1},
    "fast": {"widths": (8, 32, 128, 256), "max_epochs": 15},
    "best": {"widths": (4, 8, 16, 32, 64, 128, 256), "max_epochs": 40},
}
BATCH_SIZE = 32

MEASURES = ("train", "test", "filled_in", "accuracy", "effective_rank")


CANDIDATES: dict[str, dict[str, Any]] = {
    "denoising": {f"masking {rate:g}": f"masking:{rate:g}" for rate in (0.25, 0.5, 0.1)},
    "contractive": {f"weight {weight:g}": weight for weight in (1.0, 0.1, 10.0)},
    "sparse": {f"weight {weight:g}": weight for weight in (1.0, 0.1, 10.0)},
}
"""Strengths of the regularization by net; smoke and fast compare the first two."""


def made(name: str, strength: Any, width: int, epochs: int, seed: int) -> Autoencoder:
    """Return a net with one layer each way: sigmoid units in the contractive net, else relu."""
    common: dict[str, Any] = {
        "max_epochs": epochs,
        "batch_size": BATCH_SIZE,
        "validation_fraction": 0.0,
        "random_state": seed,
        "hidden": (),
        "linear_start": False,
        "learning_rate": 2e-3,
    }
    if name == "denoising":
        return DenoisingAutoencoder(width, corruption=strength, code_activation="relu", **common)
    if name == "contractive":
        return ContractiveAutoencoder(width, weight=strength, **common)
    if name == "sparse":
        return SparseAutoencoder(width, sparsity="l1", weight=strength, **common)
    return Autoencoder(width, code_activation="relu", **common)


def chosen(study: Study[Any], x: np.ndarray, preset: str, seed: int) -> dict[str, Any]:
    """Return each net's strength of regularization; the plain net has none."""
    fit, validation = validation_split(len(x), seed=seed)
    width, epochs = max(PRESETS[preset]["widths"]), PRESETS[preset]["max_epochs"]
    strengths: dict[str, Any] = {"plain": None}
    for name, candidates in CANDIDATES.items():

        def error(strength: Any, name: str = name) -> float:
            net = made(name, strength, width, epochs, seed).fit(x[fit])
            return 1 - net.inspect(x[validation]).copying.filled_in

        first = dict(list(candidates.items())[: None if preset == "best" else 2])
        strengths[name] = study.choose(
            name, first, error,
            unit=f"1 - share filled in of {len(validation)} training digits, {width} numbers",
        )  # fmt: skip
    return strengths


def measured(net: Autoencoder, data: dict[str, np.ndarray]) -> dict[str, float]:
    """Fit the net and return its measures; errors are on clean rows, as shares of the variance."""
    net.fit(data["train"])
    on_train, on_test = net.evaluate(data["train"]), net.evaluate(data["test"])
    health = net.inspect(data["test"])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    classifier.fit(net.transform(data["train"]), data["train_y"])
    return {
        "train": on_train.squared_error / on_train.variance,
        "test": on_test.squared_error / on_test.variance,
        "filled_in": health.copying.filled_in,
        "linear": health.copying.linear,
        "copies": health.copying.copies,
        "accuracy": classifier.score(net.transform(data["test"]), data["test_y"]),
        "effective_rank": health.code.effective_rank,
    }


def half(seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return digits and classes of "train" (70%) or "test", stratified."""
    X, y = load_digits(return_X_y=True)
    train, test, train_y, test_y = train_test_split(
        X, y, test_size=0.3, random_state=seed, stratify=y
    )
    return (train, train_y) if name == "train" else (test, test_y)


def run(preset: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Measure every net at every width; draw them to ``output`` if given."""
    started = time.perf_counter()
    settings = PRESETS[preset]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CopyingWarning)  # copying is what this measures
        train, train_y = half(seed, "train")
        study = Study(lambda: half(seed, "test"), choices=CANDIDATES)
        strengths = chosen(study, train, preset, seed)
        test, test_y = study.test()
        data = {"train": train, "test": test, "train_y": train_y, "test_y": test_y}
        for width in settings["widths"]:
            for name, strength in strengths.items():
                net = made(name, strength, width, settings["max_epochs"], seed)
                rows.append({"net": name, "width": width, **measured(net, data)})
    table = {
        "preset": preset,
        "seed": seed,
        "unit": "errors: squared error on clean rows as a share of the variance",
        "total_seconds": round(time.perf_counter() - started, 1),
        "epochs": settings["max_epochs"],
        "threads": torch.get_num_threads(),
        "rows": rows,
        "choices": study.record,
    }
    if output is not None:
        save_figure(figure(rows), output / "capacity.png")
    return table


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw error, share filled in and accuracy against the width of the code."""
    drawn = Figure(figsize=(10, 3.2), dpi=150, layout="constrained")
    panels = {
        "test": "held-out error, clean rows (share of variance)",
        "filled_in": "filled in where hidden (share of variance)",
        "accuracy": "logistic regression on the codes (accuracy)",
    }
    styles = {"plain": "C3o-", "denoising": "C0s-", "contractive": "C2^--", "sparse": "C1v:"}
    for axis, (measure, title) in zip(drawn.subplots(1, 3), panels.items(), strict=True):
        for name, style in styles.items():
            points = [(row["width"], row[measure]) for row in rows if row["net"] == name]
            axis.plot(*zip(*points, strict=True), style, label=name, markersize=4, linewidth=1.2)
        axis.axvline(64, color="0.8", linewidth=1, zorder=0)
        widths = sorted({row["width"] for row in rows})
        axis.set_xscale("log", base=2)
        axis.set_xticks(widths, [str(width) for width in widths])
        axis.minorticks_off()
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("numbers in the code (64 in a digit)", fontsize=8)
        axis.tick_params(labelsize=8)
    drawn.legend(
        *drawn.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
    )
    return drawn


def show(table: dict[str, Any]) -> str:
    titles = (
        "error, train",
        "held out",
        "filled in",
        "accuracy",
        "eff. rank",
        "copies",
    )
    lines = [f"{'net':<12}{'code':>5}" + "".join(f"{title:>14}" for title in titles)]
    for row in table["rows"]:
        verdict = {True: "yes", False: "no", None: "-"}[row["copies"]]
        values = "".join(f"{row[name]:>14.3f}" for name in MEASURES)
        lines.append(f"{row['net']:<12}{row['width']:>5}{values}{verdict:>14}")
    lines.append(f"{table['unit']}; filled in: the same share, where hidden")
    lines.append(f"a linear guess fills in {table['rows'][0]['linear']:.3f}")
    lines.append(
        f"{table['epochs']} epochs, {table['total_seconds']} s, {table['threads']} threads, "
        f"seed {table['seed']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
