"""Fill in hidden cells of tables with Narrows and scikit-learn's imputers, all at their defaults.

The tables are the normal rows of ADBench's "Classical" folder, at most 1,000 per table, and three
of scikit-learn. By default every second file is read: the settings of `CodeImputer` were chosen on
these. `--half other` reads the other files, and none of scikit-learn's tables.

Hidden cells are drawn at random, and the imputer is fitted to the table that it fills in. Errors
are root mean squared errors of the hidden cells in standard deviations of their columns; seconds
are processor seconds of `fit_transform` on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from machine import described, versions
from sklearn import datasets
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from narrows import CodeImputer

RESULTS = Path(__file__).parent / "results" / "imputing.md"
MOST_ROWS, MOST_COLUMNS = 1_000, 100
SHARES = (0.1, 0.3, 0.5)
IMPUTERS = {
    "CodeImputer": lambda seed: CodeImputer(keep_empty_features=True, random_state=seed),
    "IterativeImputer": lambda seed: IterativeImputer(keep_empty_features=True, random_state=seed),
    "20-NN": lambda seed: KNNImputer(n_neighbors=20, keep_empty_features=True),
    "mean": lambda seed: SimpleImputer(keep_empty_features=True),
}


def tables(half):
    first = {"tuned": 0, "other": 1}[half]
    files = sorted((Path(os.environ["NARROWS_DATA"]) / "adbench_classical").glob("*.npz"))
    for file in files[first::2]:
        held = np.load(file)
        x = held["X"][held["y"] == 0].astype(np.float64)
        x = x[:, x.std(axis=0) > 0]
        x = x[np.random.default_rng(0).permutation(len(x))[:MOST_ROWS]]
        yield file.stem, x[:, x.std(axis=0) > 0]
    for name in ("wine", "breast_cancer", "diabetes") if half == "tuned" else ():
        yield name, getattr(datasets, f"load_{name}")().data


def measured(x, share, seed):
    """Return squared errors per row, processor seconds, and the number of hidden cells."""
    hidden = np.random.default_rng(1000 * seed + round(100 * share)).random(x.shape) < share
    squares, seconds = {}, {}
    for name, made in IMPUTERS.items():
        if name == "IterativeImputer" and x.shape[1] > MOST_COLUMNS:
            continue
        started = time.process_time()
        filled = made(seed).fit_transform(np.where(hidden, np.nan, x))
        seconds[name] = time.process_time() - started
        squares[name] = (np.square((filled - x) / x.std(axis=0)) * hidden).sum(axis=1)
    return squares, seconds, hidden.sum()


def row(name, x, share, seeds):
    found = [measured(x, share, seed) for seed in range(seeds)]
    cells = []
    for imputer in IMPUTERS:
        if imputer not in found[0][0]:
            cells += ["-", "-"]
            continue
        errors = [np.sqrt(squares[imputer].sum() / n) for squares, _, n in found]
        cells += [f"{np.mean(errors):.3f}", f"{np.mean([s[imputer] for _, s, _ in found]):.2f}"]
    ahead = "-"
    if "IterativeImputer" in found[0][0]:
        gaps = [(s["CodeImputer"] - s["IterativeImputer"]) / n for s, _, n in found]
        error = np.sqrt(sum(len(gap) * gap.var() for gap in gaps)) / len(gaps)
        ahead = f"{np.mean([gap.sum() for gap in gaps]):+.3f} ± {error:.3f}"
    shape = f"{name}, {x.shape[0]} x {x.shape[1]}"
    return f"| {shape} | {share:.0%} | {' | '.join(cells)} | {ahead} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=("tuned", "other"), default="tuned")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    measured(np.random.default_rng(0).standard_normal((200, 4)), 0.2, 0)  # imports
    columns = [part for name in IMPUTERS for part in (name, "s")]
    lines = [
        f"| table | hidden | {' | '.join(columns)} | difference |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for name, x in tables(given.half):
        seeds = given.seeds if x.shape[1] <= MOST_COLUMNS else 1
        for share in SHARES:
            lines.append(row(name, x, share, seeds))
            print(lines[-1], flush=True)
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    head = [
        "# Imputing",
        "",
        f"Written by `python benchmarks/imputing.py --half {given.half}`. {described()}",
        versions(["torch", "scikit-learn", "numpy"]),
        "",
        f"{about} The last column is the squared error of a cell by `CodeImputer` minus that by "
        "`IterativeImputer`, with the standard error over the rows; below 0 `CodeImputer` is "
        "ahead.",
        "",
    ]
    path = RESULTS if given.half == "tuned" else RESULTS.with_stem("imputing_other")
    path.write_text("\n".join([*head, *lines]) + "\n")


if __name__ == "__main__":
    main()
