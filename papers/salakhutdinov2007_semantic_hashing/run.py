"""Salakhutdinov and Hinton (2007, 2009): hash documents to 16 to 128 bits.

Reuters-21578 (ModApte) and 20 Newsgroups (by date): training documents are the base, test documents
the queries; `--preset random` splits at random instead. The net's settings are chosen with a sixth
of the training documents as queries, before the test documents are read. Run as
`narrows reproduce salakhutdinov2007-semantic-hashing --preset fast|best|random`, or on its own.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from baselines import BASELINES, bits_of, tfidf

from narrows import SemanticHasher
from narrows.applications.retrieval.baselines import lsa_codes
from narrows.applications.retrieval.metrics import RetrievalResult, measure_retrieval
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data.datasets import local_folder
from narrows.data.readers.labels import label_matrix
from narrows.errors import ResourceError
from narrows.text import Analyzer, Vocabulary

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]
BITS = (16, 32, 64, 128)
LSA_WIDTH = 128

CANDIDATES: dict[str, dict[str, Any]] = {
    "50 neighbors by code": {"n_neighbors": 50, "neighbors_by": "code", "noise": 3.0},
    "20 neighbors by code": {"n_neighbors": 20, "neighbors_by": "code", "noise": 3.0},
    "20 neighbors by TF-IDF": {"n_neighbors": 20, "neighbors_by": "rows", "noise": 3.0},
    "50 neighbors by TF-IDF": {"n_neighbors": 50, "neighbors_by": "rows", "noise": 3.0},
    "50 neighbors by code, less noise": {"n_neighbors": 50, "neighbors_by": "code", "noise": 1.5},
}


@dataclass(frozen=True)
class Preset:
    sets: tuple[str, ...]
    bits: tuple[int, ...]
    most_epochs: int = 30
    n_documents: int | None = None
    at_random: bool = False  # a tenth of the documents are queries, as in the published papers
    n_topics: int | None = None  # keep the most frequent topics of Reuters
    candidates: tuple[str, ...] = tuple(CANDIDATES)
    trial_bits: int = 32  # candidates are compared at this width, and all widths use the chosen one


PRESETS = {
    "smoke": Preset(
        ("reuters",), (16,), 4, 600,
        candidates=("20 neighbors by TF-IDF", "50 neighbors by TF-IDF"), trial_bits=16,
    ),
    "fast": Preset(
        ("reuters",), BITS, candidates=("50 neighbors by code", "20 neighbors by TF-IDF")
    ),
    "best": Preset(("reuters", "newsgroups"), BITS),
    "random": Preset(("reuters", "newsgroups"), BITS, at_random=True),
    "topics": Preset(("reuters",), BITS, at_random=True, n_topics=20),
}  # fmt: skip


@dataclass(frozen=True)
class Half:
    """Counts of the words of the vocabulary, and labels, both CSR with a row per document."""

    counts: Any
    labels: Any

    def __getitem__(self, rows: Any) -> Half:
        return Half(self.counts[rows], self.labels[rows])


def collection(name: str, preset: Preset, seed: int) -> tuple[Half, Callable[[], Half]]:
    """Return the training half, and a function that returns the test half.

    The vocabulary (the 10,000 commonest words) and the topics are those of the training half; test
    documents without any of these topics are left out.
    """
    train = _half(name, "train", preset, seed)
    counted = Counter(label for document in train for label in document["labels"])
    topics = {topic for topic, _ in counted.most_common(preset.n_topics)}
    train = _of_topics(train, topics)[: preset.n_documents]
    words = Analyzer(token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
    vocabulary, counts = Vocabulary.learn(
        [d["text"] for d in train], words, max_features=10_000, min_df=2
    )
    labels, names = label_matrix([d["labels"] for d in train])

    def load_test() -> Half:
        test = _of_topics(_half(name, "test", preset, seed), set(names))[: preset.n_documents]
        # the rows of the training half keep the columns in order
        both, _ = label_matrix([d["labels"] for d in [*train, *test]])
        return Half(vocabulary.count([d["text"] for d in test]), both[len(train) :])

    return Half(counts, labels), load_test


def _half(name: str, half: str, preset: Preset, seed: int) -> list[dict[str, Any]]:
    """Return the text and the labels of the documents of one half."""
    documents = _documents({"reuters": "reuters21578", "newsgroups": "20newsgroups"}[name])
    documents = [d for d in documents if d["split"] in ("train", "test")]
    if preset.at_random:
        draws = np.random.default_rng(seed).random(len(documents))
        for document, draw in zip(documents, draws, strict=True):
            document["split"] = "test" if draw < 0.1 else "train"
    documents = [d for d in documents if d["split"] == half]
    if name == "reuters":
        return [{"text": f"{d['title']}\n{d['text']}", "labels": d["topics"]} for d in documents]
    return [{"text": d["text"], "labels": [d["group"]]} for d in documents]


def _of_topics(documents: list[dict[str, Any]], topics: set[str]) -> list[dict[str, Any]]:
    """Return the documents with any of these topics, and these topics only."""
    kept = [{**d, "labels": [t for t in d["labels"] if t in topics]} for d in documents]
    return [d for d in kept if d["labels"]]


def _documents(name: str) -> list[dict[str, Any]]:
    folder = local_folder()
    path = None if folder is None else folder / name / "docs.jsonl.gz"
    if path is None or not path.is_file():
        raise ResourceError(f"{name}: set NARROWS_DATA to a folder that holds {name}/.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measured(train: Half, test: Half, base: Any, queries: Any) -> RetrievalResult:
    """Return retrieval precision; ties among bits are averaged over all orders."""
    ties = "random" if base.dtype == np.uint8 else "row"
    return measure_retrieval(
        queries, base, test.labels, train.labels, cutoffs=(1, 10, 100), ties=ties
    )


def fitted(settings: dict[str, Any], preset: Preset, n_bits: int, seed: int, counts: Any) -> Any:
    """Return the fitted net; few bits need more epochs."""
    epochs = min(30 if n_bits <= 16 else 20, preset.most_epochs)
    return SemanticHasher(
        n_bits,
        hidden=(500,),
        linear_start=False,
        learning_rate=2e-3,
        weight_decay=1.0,
        max_epochs=epochs,
        batch_size=128,
        validation_fraction=0.0,
        random_state=seed,
        **settings,
    ).fit(counts)


def chosen(study: Study[Half], preset: Preset, train: Half, seed: int) -> dict[str, Any]:
    """Return the net's settings, chosen with a sixth of the training documents as queries."""
    fit, held_out = validation_split(train.counts.shape[0], seed=seed)
    base, queries = train[fit], train[held_out]

    def error(settings: dict[str, Any]) -> float:
        hasher = fitted(settings, preset, preset.trial_bits, seed, base.counts)
        bits = hasher.hash(base.counts), hasher.hash(queries.counts)
        precision = measured(base, queries, *bits).precision_at_100
        assert precision is not None
        return 100 * (1 - precision)

    unit = f"100 - precision@100 in percent, {len(held_out)} training documents, "
    unit += f"{preset.trial_bits} bits"
    candidates = {name: CANDIDATES[name] for name in preset.candidates}
    return study.choose("net", candidates, error, unit=unit)


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    preset = PRESETS[name]
    rows: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    for set_name in preset.sets:
        train, load_test = collection(set_name, preset, seed)
        study = Study(load_test, choices=["net"])
        settings = chosen(study, preset, train, seed)
        hashers, seconds = {}, {}
        for n_bits in preset.bits:
            started = time.perf_counter()
            hashers[n_bits] = fitted(settings, preset, n_bits, seed, train.counts)
            seconds[n_bits] = round(time.perf_counter() - started)
        test = study.test()
        width = min(LSA_WIDTH, train.counts.shape[0] - 1)
        lsa = lsa_codes(train.counts, test.counts, n_components=width, seed=seed)
        methods: dict[str, dict[int | None, RetrievalResult]] = {
            "TF-IDF": {None: measured(train, test, *tfidf(train.counts, test.counts))},
            f"LSA, {width} numbers": {None: measured(train, test, *lsa)},
        }
        for baseline in BASELINES:
            methods[baseline] = {
                n_bits: measured(train, test, *bits_of(baseline, *lsa, n_bits, seed))
                for n_bits in preset.bits
            }
        ours: dict[int | None, RetrievalResult] = {}
        for n_bits, hasher in hashers.items():
            bits = hasher.hash(train.counts), hasher.hash(test.counts)
            ours[n_bits] = measured(train, test, *bits)
            message = f"{ours[n_bits].precision_at_100}, {seconds[n_bits]} s"
            print(f"{set_name}, {n_bits} bits: {message}", file=sys.stderr, flush=True)
        methods["SemanticHasher"] = ours
        choices += [{**c, "choice": f"{set_name}: {c['choice']}"} for c in study.record]
        for method, results in methods.items():
            rows.append(_row(set_name, method, results, preset))
        for paper, values in PUBLISHED.items():
            published = dict(zip(BITS, values[set_name], strict=True))
            rows.append(
                {"set": set_name, "method": f"{paper} (published)",
                 **{f"{n} bits": published[n] for n in preset.bits}}
            )  # fmt: skip
    unit = "precision@100 in percent: training documents that share a label with a test document"
    return {"preset": name, "seed": seed, "unit": unit, "rows": rows, "choices": choices}


def _row(
    set_name: str, method: str, results: dict[int | None, RetrievalResult], preset: Preset
) -> dict[str, Any]:
    """Return a table row; methods without bits have the same value at every width."""
    figures = {}
    for n_bits in preset.bits:
        result = results.get(n_bits, results.get(None))
        assert result is not None and result.precision_at_100 is not None
        figures[f"{n_bits} bits"] = 100 * result.precision_at_100
    return {"set": set_name, "method": method, **figures}


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'], digits=1)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
