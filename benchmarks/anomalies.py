"""Anomalies in the 21 tables of ADBench's "Classical" folder: narrows beside PyOD, in one run.

Needs PyOD, which is no dependency of the development set: run it in an environment of its own
(`pip install "pyod>=2" tqdm torch scikit-learn safetensors click`, and narrows by PYTHONPATH).

Every table is split 70 : 30, stratified, once a seed. "contaminated" trains on the larger part
with its anomalies, "clean" on its normal rows; both are tested on the smaller part. Tables of more
than 10,000 rows are drawn down to that many, with the share of their anomalies, but at least 30 of
them, which only smtp would otherwise lack. All detectors have their defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from machine import described, versions
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

RESULTS = Path(__file__).parent / "results" / "anomalies.md"
PROTOCOLS = ("contaminated", "clean")
MOST_ROWS, FEWEST_ANOMALIES = 10_000, 30


def ours(x, seed):
    from narrows import AnomalyDetector

    detector = AnomalyDetector(random_state=seed).fit(x)
    return detector, lambda rows: -detector.score_samples(rows)


def pyods(module, name, **arguments):
    def made(x, seed):
        from importlib import import_module

        more = {} if name == "KNN" else {"random_state": seed}
        detector = getattr(import_module(f"pyod.models.{module}"), name)(**arguments, **more)
        return detector.fit(x), detector.decision_function

    return made


def standardized(method):
    def made(x, seed):
        scaler = StandardScaler().fit(x)
        detector, score = method(scaler.transform(x), seed)
        return detector, lambda rows: score(scaler.transform(rows))

    return made


def pca(x, seed):
    """Return a score by all principal axes that have a variance, each by its own.

    PyOD's PCA divides by the variance of every axis: a constant column makes all its scores inf.
    """
    scaler = StandardScaler().fit(x)
    axes = PCA(random_state=seed).fit(scaler.transform(x))
    some = axes.explained_variance_ > 1e-9 * axes.explained_variance_[0]

    def score(rows):
        h = axes.transform(scaler.transform(rows))[:, some]
        return (h**2 / axes.explained_variance_[some]).sum(axis=1)

    return axes, score


METHODS = {
    "narrows": ours,
    "AutoEncoder": pyods("auto_encoder", "AutoEncoder", verbose=0),
    "PCA": pyods("pca", "PCA"),
    "PCA, no empty axes": pca,
    "IForest": pyods("iforest", "IForest"),
    "kNN": pyods("knn", "KNN"),
    "kNN, standardized": standardized(pyods("knn", "KNN")),
}


def tables(seed: int):
    """Yield name, rows and labels of every table, the smallest first."""
    folder = Path(os.environ["NARROWS_DATA"]) / "adbench_classical"
    for path in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_size):
        with np.load(path) as held:
            x, y = held["X"].astype(np.float64), held["y"].ravel().astype(int)
        if len(x) > MOST_ROWS:
            rng = np.random.default_rng(seed)
            odd, normal = (rng.permutation(np.flatnonzero(y == label)) for label in (1, 0))
            n_odd = max(round(MOST_ROWS * y.mean()), FEWEST_ANOMALIES)
            drawn = np.sort(np.concatenate([odd[:n_odd], normal[: MOST_ROWS - n_odd]]))
            x, y = x[drawn], y[drawn]
        yield path.stem.partition("_")[2], x, y


def measure(method, train, test, y, seed: int) -> dict[str, float]:
    started = time.process_time()
    detector, score = method(train, seed)
    fitted = time.process_time()
    scores = np.nan_to_num(score(test), posinf=1e300)
    found = {"auroc": roc_auc_score(y, scores), "fit": fitted - started}
    if hasattr(detector, "p_values"):
        found["false_alarms"] = float((detector.predict(test[y == 0]) == -1).mean())
    return found


def run(log: Path, seeds: int, names: list[str]) -> list[dict]:
    """Append what the log has not got yet, a line a fit, and return all of it."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(r["seed"], r["table"], r["protocol"], r["method"]) for r in lines}
    with log.open("a") as file:
        for seed in range(seeds):
            for table, x, y in tables(seed):
                train, test, y_train, y_test = train_test_split(
                    x, y, test_size=0.3, stratify=y, random_state=seed
                )
                for protocol in PROTOCOLS:
                    rows = train if protocol == "contaminated" else train[y_train == 0]
                    for name in names:
                        key = (seed, table, protocol, name)
                        if key in done:
                            continue
                        found = measure(METHODS[name], rows, test, y_test, seed)
                        head = dict(zip(("seed", "table", "protocol", "method"), key, strict=True))
                        lines.append({**head, "rows": len(x), "features": x.shape[1], **found})
                        print(json.dumps(lines[-1]), file=file, flush=True)
    return lines


def report(lines: list[dict]) -> str:
    """Return the page: means, then every table."""
    cells = defaultdict(lambda: defaultdict(list))
    for line in lines:
        for what in ("auroc", "fit", "false_alarms"):
            if what in line:
                cells[what, line["protocol"], line["method"]][line["table"]].append(line[what])
    shapes = {line["table"]: (line["rows"], line["features"]) for line in lines}

    def mean(what: str, protocol: str, method: str, table: str | None = None) -> float:
        held = cells[what, protocol, method]
        return float(np.mean([np.mean(held[t]) for t in ([table] if table else held)]))

    methods = [m for m in METHODS if any(line["method"] == m for line in lines)]
    seeds = len({line["seed"] for line in lines})
    out = [
        "# Anomalies",
        "",
        f"Written by `python benchmarks/anomalies.py`. {described()}",
        versions(["pyod", "torch", "scikit-learn", "numpy"]),
        "",
        (__doc__ or "").split("\n\n")[2].replace("\n", " ").strip(),
        "",
        f"AUROC in %, the mean of {len(shapes)} tables and {seeds} splits; seconds are of one "
        "thread's processor time for a fit, the mean of the tables.",
        "",
        "| | contaminated | clean | seconds a fit |",
        "|---|---|---|---|",
    ]
    for method in methods:
        values = [f"{100 * mean('auroc', p, method):.1f}" for p in PROTOCOLS]
        out.append(f"| {method} | {' | '.join(values)} | {mean('fit', PROTOCOLS[0], method):.2f} |")
    out += [
        "",
        "PyOD's PCA divides by the variance of every axis, and gives every row the same infinite "
        "score where a column is constant (50.0 below); the other line leaves such axes out. The "
        "defaults of narrows were chosen on these tables (docs/anomalies.md), those of the others "
        "were not.",
    ]
    if "narrows" in methods:
        out += ["", "Mean lead over the tables, ± its standard error:", ""]
        for other in methods[1:]:
            out += _lead(cells, other)
        out += [
            "",
            "Of the normal rows that were held back, narrows' `predict` (alpha 0.05) called "
            f"{100 * mean('false_alarms', 'clean', 'narrows'):.1f}% anomalies after clean "
            f"training, {100 * mean('false_alarms', 'contaminated', 'narrows'):.1f}% after "
            "contaminated.",
        ]
    for protocol in PROTOCOLS:
        out += ["", f"## {protocol.capitalize()} training", ""]
        out += [
            f"| table | rows x features | {' | '.join(methods)} |",
            "|---" * (len(methods) + 2) + "|",
        ]
        for table, (rows, features) in shapes.items():
            values = [100 * mean("auroc", protocol, method, table) for method in methods]
            best = max(values)
            shown = [f"**{v:.1f}**" if v == best else f"{v:.1f}" for v in values]
            out.append(f"| {table} | {rows:,} x {features:,} | {' | '.join(shown)} |")
    return "\n".join(out) + "\n"


def _lead(cells, other: str) -> list[str]:
    """Return by how much narrows leads, and how sure that is over the tables."""
    said = []
    for protocol in PROTOCOLS:
        mine, theirs = (cells["auroc", protocol, method] for method in ("narrows", other))
        leads = np.array([100 * (np.mean(mine[t]) - np.mean(theirs[t])) for t in mine])
        error = leads.std(ddof=1) / np.sqrt(len(leads))
        said.append(
            f"{leads.mean():+.1f} ± {error:.1f} {protocol}, on {(leads > 0).sum()} tables ahead"
        )
    return [f"- over {other}: {'; '.join(said)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--log", type=Path, default=Path("anomalies.jsonl"),
                        help="what is done; a run that was stopped goes on")  # fmt: skip
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    page = report(run(given.log, given.seeds, given.methods))
    given.output.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
