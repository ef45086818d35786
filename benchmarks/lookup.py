"""Measure lookup of binary codes by hash, flat and HNSW indexes against faiss as the base grows.

The base is synthetic: 32-bit codes in clouds (4,096 centers, each bit flipped with probability
0.1), with queries from the same clouds; or real packed codes, `--codes file.npy`, of which a
thousand are the queries. Single queries: median and 99th percentile. Batches: time per query, and
overhead over calling faiss directly on the same codes for the same answers, as the median over
paired alternating runs. `hash` is compared with `IndexBinaryHash` at the radius that gives nine of
ten queries their ten hits, and the rest fewer. Floats are the alternative to bits: 10 numbers per
code, cosine by `IndexFlatIP`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from machine import described, versions

from narrows.indexing.float_index import FloatIndex
from narrows.indexing.graph_index import _SEARCH
from narrows.indexing.kinds import make_index

N_BITS = 32
K = 10
N_QUERIES = 1000
RESULTS = Path(__file__).parent / "results" / "lookup.md"


def made(n: int, seed: int) -> np.ndarray:
    """Return packed codes (n, 4) around 4,096 centers, which are the same for every seed."""
    centers = np.random.default_rng(0).integers(0, 256, (4096, N_BITS // 8), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    codes = np.empty((n, N_BITS // 8), dtype=np.uint8)
    for start in range(0, n, 500_000):
        part = codes[start : start + 500_000]
        flips = np.packbits(rng.random((len(part), N_BITS), dtype=np.float32) < 0.1, axis=1)
        part[:] = centers[rng.integers(0, len(centers), len(part))] ^ flips
    return codes


def one_by_one(search: Callable[[np.ndarray], Any], queries: np.ndarray) -> tuple[float, float]:
    """Return the median and 99th percentile time of single queries, in microseconds."""
    search(queries[:1])
    times = []
    for i in range(len(queries)):
        started = time.perf_counter()
        search(queries[i : i + 1])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6, float(np.quantile(times, 0.99)) * 1e6


def in_turn(runs: list[Callable[[], Any]], times: int) -> tuple[list[float], list[float]]:
    """Return each run's median seconds, and its median ratio to the last run of the same turn."""
    seconds = np.empty((times, len(runs)))
    for turn in range(times):
        for place, run in enumerate(runs):
            started = time.perf_counter()
            run()
            seconds[turn, place] = time.perf_counter() - started
    ratios = np.median(seconds / seconds[:, -1:], axis=0)
    return np.median(seconds, axis=0).tolist(), ratios.tolist()


def direct(kind: str, index: Any, codes: np.ndarray, queries: np.ndarray) -> Any:
    """Return a search that calls the faiss index behind ``kind`` directly."""
    if kind == "flat":
        flat = faiss.IndexBinaryFlat(index.n_bits)
        flat.add(codes)
        return lambda q: flat.search(q, K)
    if kind == "hnsw":
        effort: Any = faiss
        parameters = effort.SearchParametersHNSW(efSearch=_SEARCH)
        # reuse the index's graph, since building another takes minutes
        return lambda q: index.graph.search(q, K, params=parameters)
    n_address = min(index.n_bits, max(1, len(codes).bit_length() - 1))
    table = faiss.IndexBinaryHash(index.n_bits, n_address)
    table.add(codes)
    farthest = index.search(queries, K).distances[:, -1]
    table.nflip = int(np.quantile(farthest, 0.9))
    return lambda q: table.search(q, K)


def row(kind: str, codes: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> str:
    index = make_index(8 * codes.shape[1], kind)
    started = time.perf_counter()
    index.add(np.arange(len(codes)), codes)
    index.search(queries[:1], K)
    built = time.perf_counter() - started
    median, slowest = one_by_one(lambda q: index.search(q, K), queries)
    plain = direct(kind, index, codes, queries)
    plain(queries[:1])
    times = 9 if len(codes) <= 1_000_000 else 3
    (indexed, plain_faiss), (ratio, _) = in_turn(
        [lambda: index.search(queries, K), lambda: plain(queries)], times
    )
    recall = float((index.search(queries, K).distances == truth).mean())
    each = 1e6 / len(queries)
    return (
        f"| {len(codes):,} | {kind} | {built:.2f} | {median:.0f} | {slowest:.0f} | "
        f"{indexed * each:.0f} | {plain_faiss * each:.0f} | {100 * (ratio - 1):+.1f}% | "
        f"{recall:.3f} |"
    )


def float_row(n: int) -> str:
    rng = np.random.default_rng(1)
    codes = rng.standard_normal((n, 10), dtype=np.float32)
    queries = rng.standard_normal((N_QUERIES, 10), dtype=np.float32)
    index = FloatIndex(10)
    started = time.perf_counter()
    index.add(np.arange(n), codes)
    index.search(queries[:1], K)
    built = time.perf_counter() - started
    some = queries[:200]
    median, slowest = one_by_one(lambda q: index.search(q, K), some)
    plain = faiss.IndexFlatIP(10)
    plain.add(index.rows.codes)
    (indexed, plain_faiss), (ratio, _) = in_turn(
        [lambda: index.search(queries, K), lambda: plain.search(queries, K)],
        5 if n <= 1_000_000 else 1,
    )
    each = 1e6 / len(queries)
    return (
        f"| {n:,} | cosine, 10 floats | {built:.2f} | {median:.0f} | {slowest:.0f} | "
        f"{indexed * each:.0f} | {plain_faiss * each:.0f} | {100 * (ratio - 1):+.1f}% | 1.000 |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=(1e5, 1e6, 1e7))
    parser.add_argument("--codes", type=Path, help=".npy of packed codes, uint8 (n, n_bits // 8)")
    parser.add_argument("--kinds", nargs="+", default=("flat", "hash", "hnsw"))
    parser.add_argument(
        "--hnsw-up-to",
        type=float,
        default=1e6,
        help="most rows for HNSW, which takes long to build",
    )
    parser.add_argument("--floats-up-to", type=float, default=1e7, help="most rows for floats")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    lines = ["# Lookup: time per query", "", " ".join(__doc__.split("\n\n")[1].split()), ""]
    lines += [described(), ""]
    lines += [
        "| base | kind | build, s | single, median us | single, p99 us | batch, us per query | "
        "faiss, us per query | overhead | recall@10 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    if arguments.codes:
        real = np.load(arguments.codes, allow_pickle=False)
        chosen = np.random.default_rng(0).permutation(len(real))
        bases = [(real[chosen[:-N_QUERIES]], real[chosen[-N_QUERIES:]])]
    else:
        bases = ((made(int(n), 1), made(N_QUERIES, 2)) for n in arguments.sizes)
    for codes, queries in bases:
        flat = faiss.IndexBinaryFlat(8 * codes.shape[1])
        flat.add(codes)
        truth = flat.search(queries, K)[0]
        for kind in arguments.kinds:
            if kind == "hnsw" and len(codes) > arguments.hnsw_up_to:
                continue
            lines.append(row(kind, codes, queries, truth))
            print(lines[-1], flush=True)
        if not arguments.codes and len(codes) <= arguments.floats_up_to:
            lines.append(float_row(len(codes)))
            print(lines[-1], flush=True)
    lines += ["", versions(["faiss-cpu", "numpy"]), ""]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
