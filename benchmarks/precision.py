"""Measure seconds per epoch in float32, in bfloat16 and with precision="auto".

The three alternate, with a fit of two epochs each, of which the second counts; the table holds
medians over the turns. A format that takes three times as long as float32 is measured once. The
rows are random, since their content does not affect the time of a step. Two limits are checked on
the median ratio within a turn: "auto" takes at most 1.05 times float32's time, and if bfloat16
takes less than 0.9 times float32's time, at most 1.05 times bfloat16's. `--fast` is a small table
that checks that everything runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from machine import described, versions

from narrows import Autoencoder, ConvolutionalAutoencoder, DenoisingAutoencoder, DocumentAutoencoder

RESULTS = Path(__file__).parent / "results" / "precision.md"
PRECISIONS = ("auto", "float32", "bfloat16")
LIMIT, GAIN, HOPELESS = 1.05, 0.9, 3.0

Case = tuple[Callable[..., Any], dict[str, Any], Any]


def documents(n: int, n_words: int, rng: np.random.Generator) -> sp.csr_array:
    """Return counts of about 80 words per row, few of them common."""
    drawn = np.minimum(rng.zipf(1.3, size=(n, 80)), n_words) - 1
    rows = np.repeat(np.arange(n), 80)
    counts = sp.coo_array((np.ones(n * 80, np.float32), (rows, drawn.ravel())), (n, n_words))
    return sp.csr_array(counts)


def cases(share: float) -> dict[str, Case]:
    """Return each net with its rows, ``share`` of the full number."""
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (int(2_560 * share), 784), dtype=np.uint8)
    table = rng.normal(size=(int(12_800 * share), 40)).astype(np.float32)
    photos = rng.integers(0, 256, (int(512 * share), 32, 32, 3), dtype=np.uint8)
    texts = documents(int(2_560 * share), 5_000, rng)
    deep = {"hidden": (1000, 500, 250), "n_components": 30}
    words = {"hidden": (500, 250), "n_components": 32, "n_neighbors": 0}
    found: dict[str, Case] = {}
    for batch in (128, 256, 1024):
        for kind in ("untied", "tied"):
            found[f"784-1000-500-250-30, {kind}, batches of {batch}"] = (
                Autoencoder, {**deep, "tied": kind == "tied", "batch_size": batch}, digits,
            )  # fmt: skip
    found["40-512-256-8, denoising, batches of 128"] = (
        DenoisingAutoencoder,
        {"hidden": (512, 256), "n_components": 8, "batch_size": 128},
        table,
    )
    found["40-64-8, batches of 64 (too small to measure)"] = (
        Autoencoder, {"hidden": (64,), "n_components": 8, "batch_size": 64}, table,
    )  # fmt: skip
    found["32 x 32 x 3 images, maps of 32 and 64, batches of 64"] = (
        ConvolutionalAutoencoder,
        {"channels": (32, 64), "n_components": 32, "batch_size": 64},
        photos,
    )
    found["documents of 5,000 words, sparse, 500-250-32, batches of 128"] = (
        DocumentAutoencoder, {**words, "batch_size": 128}, texts,
    )  # fmt: skip
    return found


def epoch(case: Case, precision: str) -> tuple[float, str]:
    """Return the seconds of the second epoch of a fit, and its precision."""
    cls, arguments, X = case
    net = cls(
        **arguments,
        precision=precision,
        max_epochs=2,
        validation_fraction=0.0,
        patience=None,
        random_state=0,
    )
    record = net.fit(X).model_.record
    return record["epochs"][1]["seconds"], record["precision"]


def measure(case: Case, turns: int) -> tuple[dict[str, list[float]], str]:
    """Return each precision's seconds per turn, and what "auto" chose."""
    times: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    chosen = ""
    for turn in range(turns):
        for precision in PRECISIONS if turn % 2 else reversed(PRECISIONS):
            first = {name: values[0] for name, values in times.items() if values}
            if turn and first[precision] > HOPELESS * first["float32"]:
                continue
            seconds, used = epoch(case, precision)
            times[precision].append(seconds)
            chosen = used if precision == "auto" else chosen
    return times, chosen


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    """Return the median over the turns of the ratio of two precisions' seconds."""
    turns = zip(times[one], times[other], strict=False)  # one may have been dropped
    return statistics.median(a / b for a, b in turns)


def broken_limits(times: dict[str, list[float]]) -> list[str]:
    """Return the limits that "auto" exceeds."""
    by_float32, by_bfloat16 = (ratio(times, "auto", other) for other in ("float32", "bfloat16"))
    broken = []
    if by_float32 > LIMIT:
        broken.append(f"{by_float32:.2f} of float32's time")
    if ratio(times, "bfloat16", "float32") < GAIN and by_bfloat16 > LIMIT:
        broken.append(f"{by_bfloat16:.2f} of bfloat16's time")
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--fast", action="store_true", help="an eighth of the rows, one turn")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    output = arguments.output or (None if arguments.fast else RESULTS)
    heading = ["net", *(f"{p}, s per epoch" for p in PRECISIONS), '"auto" chose', "limits"]
    lines = [
        "# Precision: seconds per epoch",
        "",
        __doc__.split("\n\n")[1].strip(),
        "",
        described(),
    ]
    lines += ["", f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    failed = False
    for name, case in cases(0.125 if arguments.fast else 1.0).items():
        times, chosen = measure(case, 1 if arguments.fast else arguments.turns)
        broken = broken_limits(times)
        failed |= bool(broken)
        cells = [
            name,
            *(f"{statistics.median(times[p]):.3f}" for p in PRECISIONS),
            chosen,
            "; ".join(broken) or "kept",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += ["", versions(["torch", "numpy"]), ""]
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("\n".join(lines))
    return int(failed and not arguments.fast)


if __name__ == "__main__":
    sys.exit(main())
