"""Hinton and Salakhutdinov (2006): document codes of 10 numbers and maps of 2, compared with LSA.

Run as `narrows reproduce hinton2006-documents --preset fast|paper|best|...`, or on its own;
`--help` lists all presets.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from corpora import CORPORA, Corpus

from narrows import DocumentAutoencoder
from narrows.applications.retrieval.baselines import WEIGHTINGS, lsa_codes, pca_codes, weighted
from narrows.applications.retrieval.metrics import (
    RetrievalResult,
    measure_retrieval,
    plane_accuracy,
)
from narrows.cli.paper import columns, main
from narrows.figures.maps import map_figure
from narrows.figures.retrieval import retrieval_figure
from narrows.figures.saving import save_figure

EVERY = 10


@dataclass(frozen=True)
class Preset:
    """Which documents to use, how many to train on (None: all), and the net's settings.

    ``weightings`` are tried for LSA; ``map_net`` changes the net with 2 numbers.
    """

    corpus: str
    net: dict[str, Any]
    n_train: int | None = None
    weightings: tuple[str, ...] = ("log_tfidf",)
    map_net: dict[str, Any] = field(default_factory=dict)


PAPER = {"scale": "proportions"}  # counts divided by their sum
BEST = {"n_neighbors": 10, "batch_size": 512}

PRESETS = {
    "smoke": Preset("made", {"max_epochs": 2, "hidden": (32,)}),
    "fast": Preset("arxiv", {"max_epochs": 6, "batch_size": 512}),
    "paper": Preset("arxiv", {**PAPER, "max_epochs": 15, "batch_size": 512}),
    "best": Preset("arxiv", {**BEST, "max_epochs": 12}, weightings=("log_tfidf", "tfidf")),
    "weightings": Preset("arxiv", {"max_epochs": 1, "batch_size": 512}, weightings=WEIGHTINGS),
    "reuters": Preset("reuters", {"n_neighbors": 10, "max_epochs": 40}, weightings=WEIGHTINGS),
    "newsgroups": Preset(
        "newsgroups", {"n_neighbors": 10, "max_epochs": 40}, weightings=WEIGHTINGS
    ),
    "rcv1": Preset("rcv1", {**BEST, "max_epochs": 12}),
}


def net(preset: Preset, n_components: int, seed: int) -> DocumentAutoencoder:
    changes = {**preset.net, **(preset.map_net if n_components == 2 else {})}
    return DocumentAutoencoder(
        n_components, validation_fraction=0.0, random_state=seed, verbose=2, **changes
    )


def fitted(preset: Preset, corpus: Corpus, n_components: int, seed: int) -> tuple[np.ndarray, int]:
    """Return the codes of the test documents and the training time in seconds."""
    started = time.perf_counter()
    train = corpus.train[: preset.n_train]
    model = net(preset, n_components, seed)
    model.fit(train)
    seconds = round(time.perf_counter() - started)
    return model.transform(corpus.test), seconds


def retrieval(
    preset: Preset, corpus: Corpus, seed: int
) -> tuple[dict[str, RetrievalResult], dict[str, int]]:
    """Measure every method: every tenth test document is a query against the other nine."""
    query = np.arange(corpus.test.shape[0]) % EVERY == 0
    labels = corpus.test_labels
    of_queries, of_base = labels[np.flatnonzero(query)], labels[np.flatnonzero(~query)]
    results: dict[str, RetrievalResult] = {}

    def measure(name: str, rows: Any) -> None:
        results[name] = measure_retrieval(
            rows[np.flatnonzero(query)], rows[np.flatnonzero(~query)], of_queries, of_base
        )
        print(name, [round(p, 4) for p in results[name].precision if p is not None],
              file=sys.stderr, flush=True)  # fmt: skip

    codes, seconds = fitted(preset, corpus, 10, seed)
    measure("autoencoder, 10", codes)
    for weighting in preset.weightings:
        lsa = lsa_codes(corpus.train, corpus.test, n_components=50, weighting=weighting, seed=seed)[
            1
        ]
        measure(f"LSA of {weighting}, 10", lsa[:, :10])
        measure(f"LSA of {weighting}, 50", lsa)
    for weighting in ("tfidf", "log_tfidf"):
        measure(f"{weighting}, {corpus.test.shape[1]}",
                weighted(corpus.train, corpus.test, weighting=weighting)[1])  # fmt: skip
    return results, {"autoencoder, 10": seconds}


def maps(
    preset: Preset, corpus: Corpus, seed: int, output: Path | None
) -> tuple[dict[str, float], int]:
    """Return the nearest-neighbor accuracy of every map; draw them to ``output`` if given."""
    codes, seconds = fitted(preset, corpus, 2, seed)
    lsa = {
        f"LSA of {weighting}": lsa_codes(
            corpus.train, corpus.test, n_components=2, weighting=weighting, seed=seed
        )[1]
        for weighting in preset.weightings
    }
    pca = {"PCA of log(1 + count)": pca_codes(corpus.train, corpus.test, seed=seed)[1]}
    drawn = {"autoencoder": codes, **pca, **lsa}
    accuracies = {name: plane_accuracy(xy, corpus.test_labels) for name, xy in drawn.items()}
    if output is not None:
        best = max(lsa, key=lambda name: accuracies[name])
        shown = {"autoencoder": codes, **pca, best: lsa[best]}
        first = corpus.test_labels.indices[corpus.test_labels.indptr[:-1].clip(
            max=corpus.test_labels.nnz - 1)]  # fmt: skip
        classes = [corpus.groups[label] for label in first]
        figure = map_figure(shown, corpus.test_labels, classes=classes)
        save_figure(figure, output / "maps.png")
    return accuracies, seconds


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train nets with 10 and with 2 numbers on one half, and measure on the other."""
    preset = PRESETS[name]
    corpus = CORPORA[preset.corpus]()
    results, seconds = retrieval(preset, corpus, seed)
    if output is not None:
        save_figure(retrieval_figure(results), output / "retrieval.png")
    accuracies, map_seconds = maps(preset, corpus, seed, output)
    rows = [
        {"retrieved": method, **dict(zip(map(str, result.cutoffs), result.precision, strict=True))}
        for method, result in results.items()
    ]
    first = next(iter(results.values()))
    return {
        "preset": name,
        "seed": seed,
        "n_train": corpus.train[: preset.n_train].shape[0],
        "n_queries": first.n_queries,
        "n_base": first.n_base,
        "rows": rows,
        "maps": accuracies,
        "training_seconds": {**seconds, "autoencoder, 2": map_seconds},
    }


def show(table: dict[str, Any]) -> str:
    maps = [{"map": name, "accuracy": accuracy} for name, accuracy in table["maps"].items()]
    return (
        f"{columns(table['rows'], digits=3)}\n"
        f"fraction of the documents retrieved that share a category with the query; mean over "
        f"{table['n_queries']} queries against {table['n_base']} documents, none of them among the "
        f"{table['n_train']} trained on; seed {table['seed']}\n\n"
        f"{columns(maps, digits=3)}\n"
        "documents whose nearest neighbor on the map shares a category with them\n"
        f"seconds of training: {table['training_seconds']}"
    )


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
