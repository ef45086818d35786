"""Measure document training, encoding, LSA, and a vocabulary of 100,000 words.

The counts are the arXiv abstracts in NARROWS_DATA (294,025 documents, 2,000 stems) if available,
otherwise synthetic ones of the same shape. The plain loop is the same net, 2000-500-250-125-10 and
its mirror, in ordinary PyTorch: a Dataset that densifies a row, a DataLoader, Adam, log_softmax.
LSA is the truncated SVD of TF-IDF of log(1 + count); smoothed, each code is averaged with its
nearest training codes, as in papers/hinton2006_documents.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from machine import described, versions

RESULTS = Path(__file__).parent / "results" / "documents.md"
BATCH = 512

COMMON = r"""
import json, os, re, sys, time
from pathlib import Path
import numpy as np, scipy.sparse as sp, torch

def made(n, words, rng):
    # word frequencies as in texts: the r-th commonest about 1 / r, 48 different ones a document
    p = 1 / np.arange(1, words + 1); p /= p.sum()
    indices = rng.choice(words, size=(n, 60), p=p)
    rows = np.repeat(np.arange(n), 60)
    x = sp.csr_matrix((np.ones(rows.size, np.float32), (rows, indices.ravel())), shape=(n, words))
    x.sum_duplicates()
    return sp.csr_array(x)

def counts(n, words):
    folder = os.environ.get("NARROWS_DATA")
    path = Path(folder or "") / "arxiv_abstracts" / "counts_train.npz"
    if words == 2000 and folder and path.is_file():
        return sp.csr_array(sp.load_npz(path))[:n].astype(np.float32), "arXiv abstracts"
    return made(n, words, np.random.default_rng(0)), "synthetic documents"

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

n, words, batch, epochs = map(int, sys.argv[1:5])
X, what = counts(n, words)
result = {"documents": X.shape[0], "words": X.shape[1], "what": what}
"""

NARROWS = (
    COMMON
    + r"""
from narrows import DocumentAutoencoder
ae = DocumentAutoencoder(10, hidden=(500, 250, 125), linear_start=False, corruption="identity",
                         max_epochs=epochs, batch_size=batch, learning_rate=2e-3,
                         validation_fraction=0.0, random_state=0, precision=sys.argv[5],
                         sampled_words=int(sys.argv[6]))
started = time.perf_counter()
ae.fit(X)
result["total"] = time.perf_counter() - started
passes = [epoch["seconds"] for epoch in ae.model_.record["epochs"]]
result["seconds"] = sorted(passes)[len(passes) // 2]
result["peak_mb"] = peak()
result["precision"] = ae.model_.record["precision"]
times = []
for _ in range(5):
    started = time.perf_counter()
    ae.transform(X)
    times.append(time.perf_counter() - started)
result["encode"] = X.shape[0] / sorted(times)[2]
print(json.dumps(result))
"""
)

PLAIN = (
    COMMON
    + r"""
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self):
        return X.shape[0]
    def __getitem__(self, i):
        start, stop = X.indptr[i], X.indptr[i + 1]
        row = np.zeros(X.shape[1], np.float32)
        row[X.indices[start:stop]] = X.data[start:stop]
        return row / max(row.sum(), 1)

torch.manual_seed(0)
widths = [X.shape[1], 500, 250, 125, 10]
layers = []
for a, b in [*zip(widths, widths[1:]), *zip(widths[::-1], widths[-2::-1])]:
    layers += [nn.Linear(a, b), nn.SiLU()]
del layers[7], layers[-1]  # linear code, linear output
net = nn.Sequential(*layers)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
started = time.perf_counter()
for x in DataLoader(Rows(), batch_size=batch, shuffle=True):
    loss = -(x * net(x).log_softmax(dim=1)).sum(dim=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
result["seconds"] = time.perf_counter() - started
result["peak_mb"] = peak()
print(json.dumps(result))
"""
)

LSA = (
    COMMON
    + r"""
from narrows.applications.retrieval.baselines import lsa_codes, smoothed_codes
started = time.perf_counter()
codes, queries = lsa_codes(X, X[:QUERIES], n_components=50)
result["seconds"] = time.perf_counter() - started
started = time.perf_counter()
smoothed_codes(codes, queries, n_neighbors=10)
result["smoothing"] = (len(codes) + len(queries)) / (time.perf_counter() - started)
result["peak_mb"] = peak()
print(json.dumps(result))
""".replace("QUERIES", "10_000")
)


def child(script: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=294_025)
    parser.add_argument("--large", type=int, default=50_000, help="documents of 100,000 words")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    n = arguments.documents
    turns = [
        (
            child(NARROWS, n, 2000, BATCH, 1, "auto", 0),
            child(NARROWS, n, 2000, BATCH, 1, "float32", 0),
            child(PLAIN, n, 2000, BATCH, 1),
        )
        for _ in range(arguments.turns)
    ]
    ours, in_float32, plain = (
        sorted(results, key=lambda r: r["seconds"])[len(results) // 2]
        for results in zip(*turns, strict=True)
    )
    lines = [
        "# Documents: training time, memory, encoding speed",
        "",
        f"Written by `python benchmarks/documents.py`. {described()}",
        versions(["narrows", "torch", "numpy", "scipy"]),
        "",
        f"A training pass over {ours['documents']:,} documents ({ours['what']}, {ours['words']:,} "
        f"words) through 2000-500-250-125-10 and its mirror, batches of {BATCH}; median of "
        f"{arguments.turns} interleaved runs, each in its own process. Peak memory includes the "
        "counts.",
        "",
        "| | seconds per pass | times as fast | peak memory, MB |",
        "|---|---|---|---|",
    ]
    for name, result in (
        (f"narrows, precision auto ({ours['precision']})", ours),
        ("narrows, float32", in_float32),
        ("plain loop, DataLoader of densified rows", plain),
    ):
        ratio = plain["seconds"] / result["seconds"]
        lines.append(
            f"| {name} | {result['seconds']:.1f} | {ratio:.1f} | {result['peak_mb']:,.0f} |"
        )
    lsa = child(LSA, n, 2000, BATCH, 1)
    encode = max(ours["encode"], in_float32["encode"])
    lines += [
        "",
        f"Encoding from CSR: {encode:,.0f} documents per second (median of five).",
        "",
        f"LSA with 50 numbers: {lsa['seconds']:.1f} s to fit and encode, "
        f"{lsa['peak_mb']:,.0f} MB at peak. Smoothed over 10 neighbors: "
        f"{lsa['smoothing']:,.0f} codes per second, each compared with all training codes.",
        "",
    ]
    if arguments.large:
        lines += large(arguments.large)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


def large(n: int) -> list[str]:
    """Measure a vocabulary of 100,000 words."""
    batch = 1024
    results = {
        "all words in the softmax": child(NARROWS, n, 100_000, batch, 1, "auto", 0),
        "words of the batch and 2,000 others in the softmax": child(
            NARROWS, n, 100_000, batch, 1, "auto", 2000
        ),
    }
    dense = n * 100_000 * 4 / 2**30
    lines = [
        f"A vocabulary of 100,000 words, {n:,} documents, batches of {batch}:",
        "",
        "| | seconds per pass | peak memory, MB | encoding, documents per second |",
        "|---|---|---|---|",
    ]
    for name, result in results.items():
        lines.append(
            f"| {name} | {result['seconds']:.1f} | {result['peak_mb']:,.0f} | "
            f"{result['encode']:,.0f} |"
        )
    lines += ["", f"Densified, these counts alone would take {dense:,.0f} GiB."]
    return lines


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
