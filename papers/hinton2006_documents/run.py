"""Hinton and Salakhutdinov (2006): document codes of 10 numbers and maps of 2, compared with LSA.

The net's settings, LSA's weighting, and how many neighbors smooth LSA's codes are chosen on a sixth
of the training documents, before the test documents are read.
Run as `narrows reproduce hinton2006-documents --preset fast|paper|best|...`, or on its own;
`--help` lists all presets.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from corpora import CORPORA, Corpus, Half

from narrows import DocumentAutoencoder
from narrows.applications.retrieval.baselines import (
    WEIGHTINGS,
    lsa_codes,
    pca_codes,
    smoothed_codes,
    weighted,
)
from narrows.applications.retrieval.metrics import (
    RetrievalResult,
    measure_retrieval,
    plane_accuracy,
)
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.figures.maps import map_figure
from narrows.figures.retrieval import retrieval_figure
from narrows.figures.saving import save_figure

EVERY = 10


@dataclass(frozen=True)
class Preset:
    """Which documents to use, and candidates for the net, for LSA and for smoothing its codes.

    Candidate nets are compared after ``trial_epochs`` epochs.
    """

    corpus: str
    epochs: int
    trial_epochs: int
    nets: dict[str, dict[str, Any]]
    weightings: tuple[str, ...] = ("log_tfidf", "tfidf")
    smoothing: tuple[int, ...] = (3, 10, 30)
    batch_size: int | str = 512


_LAYERS = {
    "hidden": (500, 250, 125), "linear_start": False, "corruption": "identity",
    "learning_rate": 2e-3,
}  # fmt: skip
"""The paper's shape, from random weights; candidates change it."""

_NEIGHBORS = {f"TF-IDF, {n} neighbors": {"n_neighbors": n} for n in (10, 20)}
_ALONE = {"TF-IDF": {"n_neighbors": 0}}
_PROPORTIONS = {"proportions": {"scale": "proportions", "n_neighbors": 0}}  # as in the paper
_FEW = {**_NEIGHBORS, **_ALONE}

PRESETS = {
    "smoke": Preset(
        "made", 2, 1,
        {"one layer": {"hidden": (32,)}, "faster": {"hidden": (32,), "learning_rate": 5e-3}},
        smoothing=(3, 10), batch_size="auto",
    ),
    "fast": Preset("arxiv", 6, 1, {**_ALONE, **_PROPORTIONS}, smoothing=(3, 10)),
    "paper": Preset(
        "arxiv", 15, 3,
        {**_PROPORTIONS, "rate 0.004": {**_PROPORTIONS["proportions"], "learning_rate": 4e-3}},
    ),
    "best": Preset(
        "arxiv", 12, 4, {**_NEIGHBORS, **_ALONE, **_PROPORTIONS}, WEIGHTINGS, (1, 3, 10, 30, 100)
    ),
    "weightings": Preset("arxiv", 1, 1, {**_ALONE, **_PROPORTIONS}, WEIGHTINGS),
    "reuters": Preset("reuters", 40, 40, _FEW, WEIGHTINGS, batch_size="auto"),
    "newsgroups": Preset("newsgroups", 40, 40, _FEW, WEIGHTINGS, batch_size="auto"),
    "rcv1": Preset("rcv1", 12, 4, {**_NEIGHBORS, **_ALONE}),
}  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """The settings of the nets, the weighting of LSA and its smoothing, by the width of the code.

    Nets have 10 and 2 numbers; LSA has 10, 50 and 2, of which 10 and 50 are smoothed.
    """

    nets: dict[int, dict[str, Any]]
    weightings: dict[int, str]
    smoothing: dict[int, int]


def chosen(study: Study[Half], preset: Preset, train: Half, seed: int) -> Chosen:
    """Choose everything on a sixth of the training documents, with their categories."""
    fit, held_out = validation_split(train.counts.shape[0], seed=seed)
    known, held = train[fit], train[held_out]

    def imprecision(rows: Any) -> float:
        return 1 - float(np.mean(precision(rows, held.labels).precision))

    def wrong_on_map(rows: Any) -> float:
        return 1 - plane_accuracy(rows, held.labels)

    def net_codes(settings: dict[str, Any], width: int) -> np.ndarray:
        model = net(preset, settings, width, preset.trial_epochs, seed).fit(known.counts)
        return model.transform(held.counts)

    def lsa(weighting: str, width: int) -> list[np.ndarray]:
        return lsa_codes(
            known.counts, held.counts, n_components=width, weighting=weighting, seed=seed
        )

    units = {10: "1 - mean precision", 2: "1 - accuracy of the nearest neighbor"}
    errors = {10: imprecision, 50: imprecision, 2: wrong_on_map}
    nets, weightings, smoothing = {}, {}, {}
    for width in (10, 2):
        nets[width] = study.choose(
            f"net, {width} numbers", preset.nets,
            lambda settings, width=width: errors[width](net_codes(settings, width)),
            unit=f"{units[width]} of {len(held_out)} training documents, "
            f"{preset.trial_epochs} epochs",
        )  # fmt: skip
    for width in (10, 50, 2):
        weightings[width] = study.choose(
            f"LSA's weighting, {width} numbers", {name: name for name in preset.weightings},
            lambda name, width=width: errors[width](lsa(name, width)[1]),
            unit=units.get(width, units[10]),
        )  # fmt: skip
    for width in (10, 50):
        codes = lsa(weightings[width], width)
        smoothing[width] = study.choose(
            f"neighbors that smooth LSA, {width} numbers",
            {str(k): k for k in preset.smoothing},
            lambda k, codes=codes: imprecision(smoothed_codes(*codes, n_neighbors=k)[1]),
            unit=units[10],
        )
    return Chosen(nets, weightings, smoothing)


CHOICES = (
    "net, 10 numbers", "net, 2 numbers",
    *(f"LSA's weighting, {width} numbers" for width in (10, 50, 2)),
    *(f"neighbors that smooth LSA, {width} numbers" for width in (10, 50)),
)  # fmt: skip


def net(
    preset: Preset, settings: dict[str, Any], n_components: int, epochs: int, seed: int
) -> DocumentAutoencoder:
    return DocumentAutoencoder(
        n_components,
        max_epochs=epochs,
        batch_size=preset.batch_size,
        validation_fraction=0.0,
        random_state=seed,
        **{**_LAYERS, **settings},
    )


def precision(rows: Any, labels: Any) -> RetrievalResult:
    """Measure retrieval: every tenth document is a query against the other nine."""
    query = np.arange(rows.shape[0]) % EVERY == 0
    of_queries, of_base = np.flatnonzero(query), np.flatnonzero(~query)
    return measure_retrieval(rows[of_queries], rows[of_base], labels[of_queries], labels[of_base])


def retrieval(
    of: Chosen, codes: np.ndarray, train: Half, test: Half, seed: int
) -> dict[str, RetrievalResult]:
    """Measure every method on the test half; ``codes`` are the net's."""
    results: dict[str, RetrievalResult] = {}

    def measure(name: str, rows: Any) -> None:
        results[name] = precision(rows, test.labels)
        print(name, [round(p, 4) for p in results[name].precision], file=sys.stderr, flush=True)

    measure("autoencoder, 10", codes)
    for width in (10, 50):
        name = of.weightings[width]
        lsa = lsa_codes(train.counts, test.counts, n_components=width, weighting=name, seed=seed)
        measure(f"LSA of {name}, {width}", lsa[1])
        k = of.smoothing[width]
        measure(
            f"LSA of {name}, {width}, smoothed over {k}", smoothed_codes(*lsa, n_neighbors=k)[1]
        )
    for weighting in ("tfidf", "log_tfidf"):
        rows = weighted(train.counts, test.counts, weighting=weighting)[1]
        measure(f"{weighting}, {rows.shape[1]}", rows)
    return results


def maps(
    weighting: str, codes: np.ndarray, corpus: Corpus, test: Half, seed: int, output: Path | None
) -> dict[str, float]:
    """Return the nearest-neighbor accuracy of every map; draw them to ``output`` if given."""
    train = corpus.train.counts
    lsa = lsa_codes(train, test.counts, n_components=2, weighting=weighting, seed=seed)[1]
    drawn = {
        "autoencoder": codes,
        "PCA of log(1 + count)": pca_codes(train, test.counts, seed=seed)[1],
        f"LSA of {weighting}": lsa,
    }
    if output is not None:
        labels = test.labels
        first = labels.indices[labels.indptr[:-1].clip(max=labels.nnz - 1)]
        classes = [corpus.groups[label] for label in first]
        save_figure(map_figure(drawn, labels, classes=classes), output / "maps.png")
    return {name: plane_accuracy(xy, test.labels) for name, xy in drawn.items()}


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train nets with 10 and with 2 numbers on one half, and measure on the other."""
    preset = PRESETS[name]
    corpus = CORPORA[preset.corpus]()
    study = Study(corpus.load_test, choices=CHOICES)
    of = chosen(study, preset, corpus.train, seed)
    models, seconds = {}, {}
    for width in (10, 2):
        started = time.perf_counter()
        model = net(preset, of.nets[width], width, preset.epochs, seed)
        models[width] = model.fit(corpus.train.counts)
        seconds[f"autoencoder, {width}"] = round(time.perf_counter() - started)
    test = study.test()
    codes = {width: model.transform(test.counts) for width, model in models.items()}
    results = retrieval(of, codes[10], corpus.train, test, seed)
    if output is not None:
        save_figure(retrieval_figure(results), output / "retrieval.png")
    accuracies = maps(of.weightings[2], codes[2], corpus, test, seed, output)
    rows = [
        {"retrieved": method, **dict(zip(map(str, result.cutoffs), result.precision, strict=True))}
        for method, result in results.items()
    ]
    first = next(iter(results.values()))
    return {
        "preset": name,
        "seed": seed,
        "n_train": corpus.train.counts.shape[0],
        "n_queries": first.n_queries,
        "n_base": first.n_base,
        "rows": rows,
        "maps": accuracies,
        "training_seconds": seconds,
        "choices": study.record,
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
