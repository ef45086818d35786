"""Salakhutdinov and Hinton (2007, 2009): hash documents to 16 to 128 bits.

Reuters-21578 (ModApte) and 20 Newsgroups (by date): training documents are the base, test documents
the queries; `--preset random` splits at random instead. Run as
`narrows reproduce salakhutdinov2007-semantic-hashing --preset fast|best|random`, or on its own.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from baselines import BASELINES, bits_of, tfidf

from narrows import SemanticHasher
from narrows.applications.retrieval.baselines import lsa_codes
from narrows.applications.retrieval.metrics import RetrievalResult, measure_retrieval
from narrows.cli.paper import columns, main
from narrows.data.datasets import local_folder
from narrows.data.readers.labels import label_matrix
from narrows.errors import ResourceError
from narrows.text import Analyzer, Vocabulary

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]
BITS = (16, 32, 64, 128)
LSA_WIDTH = 128


@dataclass(frozen=True)
class Preset:
    sets: tuple[str, ...]
    bits: tuple[int, ...]
    most_epochs: int = 30
    n_documents: int | None = None
    at_random: bool = False  # a tenth of the documents are queries, as in the published papers
    n_topics: int | None = None  # keep the most frequent topics of Reuters


PRESETS = {
    "smoke": Preset(("reuters",), (16,), most_epochs=4, n_documents=600),
    "fast": Preset(("reuters",), BITS),
    "best": Preset(("reuters", "newsgroups"), BITS),
    "random": Preset(("reuters", "newsgroups"), BITS, at_random=True),
    "topics": Preset(("reuters",), BITS, at_random=True, n_topics=20),
}


@dataclass(frozen=True)
class Collection:
    """Counts of the training half's 10,000 commonest words, and labels, for both halves."""

    train: Any
    test: Any
    train_labels: Any
    test_labels: Any


def collection(name: str, preset: Preset, seed: int) -> Collection:
    documents = _documents({"reuters": "reuters21578", "newsgroups": "20newsgroups"}[name])
    documents = [d for d in documents if d["split"] in ("train", "test")]
    if preset.at_random:
        for document, draw in zip(
            documents, np.random.default_rng(seed).random(len(documents)), strict=True
        ):
            document["split"] = "test" if draw < 0.1 else "train"
    halves = [[d for d in documents if d["split"] == half] for half in ("train", "test")]
    if name == "reuters":
        counted = [Counter(t for d in half for t in d["topics"]) for half in halves]
        common = {topic for topic, _ in counted[0].most_common(preset.n_topics)}
        for document in documents:
            document["text"] = f"{document['title']}\n{document['text']}"
            document["labels"] = [t for t in document["topics"] if t in common and t in counted[1]]
    else:
        for document in documents:
            document["labels"] = [document["group"]]
    train, test = ([d for d in half if d["labels"]][: preset.n_documents] for half in halves)
    words = Analyzer(token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
    vocabulary, counts = Vocabulary.learn(
        [d["text"] for d in train], words, max_features=10_000, min_df=2
    )
    labels, _ = label_matrix([d["labels"] for d in [*train, *test]])
    return Collection(
        counts,
        vocabulary.count([d["text"] for d in test]),
        labels[: len(train)],
        labels[len(train) :],
    )


def _documents(name: str) -> list[dict[str, Any]]:
    folder = local_folder()
    path = None if folder is None else folder / name / "docs.jsonl.gz"
    if path is None or not path.is_file():
        raise ResourceError(f"{name}: set NARROWS_DATA to a folder that holds {name}/.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measured(of: Collection, train: Any, test: Any) -> RetrievalResult:
    """Return retrieval precision; ties among bits are averaged over all orders."""
    ties = "random" if train.dtype == np.uint8 else "row"
    return measure_retrieval(
        test, train, of.test_labels, of.train_labels, cutoffs=(1, 10, 100), ties=ties
    )


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    preset = PRESETS[name]
    rows: list[dict[str, Any]] = []
    for set_name in preset.sets:
        of = collection(set_name, preset, seed)
        width = min(LSA_WIDTH, of.train.shape[0] - 1)
        lsa = lsa_codes(of.train, of.test, n_components=width, seed=seed)
        methods = {
            "TF-IDF": {None: measured(of, *tfidf(of.train, of.test))},
            f"LSA, {width} numbers": {None: measured(of, *lsa)},
        }
        for baseline in BASELINES:
            methods[baseline] = {
                n_bits: measured(of, *bits_of(baseline, *lsa, n_bits, seed))
                for n_bits in preset.bits
            }
        ours: dict[int | None, RetrievalResult] = {}
        for n_bits in preset.bits:
            started = time.perf_counter()
            hasher = SemanticHasher(
                n_bits, validation_fraction=0.0, random_state=seed, **settings(preset, n_bits)
            )
            hasher.fit(of.train)
            ours[n_bits] = measured(of, hasher.hash(of.train), hasher.hash(of.test))
            seconds = round(time.perf_counter() - started)
            message = f"{set_name}, {n_bits} bits: {ours[n_bits].precision_at_100}, {seconds} s"
            print(message, file=sys.stderr, flush=True)
        methods["SemanticHasher"] = ours
        for method, results in methods.items():
            rows.append(_row(set_name, method, results, preset))
        for paper, values in PUBLISHED.items():
            published = dict(zip(BITS, values[set_name], strict=True))
            rows.append(
                {"set": set_name, "method": f"{paper} (published)",
                 **{f"{n} bits": published[n] for n in preset.bits}}
            )  # fmt: skip
    unit = "precision@100 in percent: training documents that share a label with a test document"
    return {"preset": name, "seed": seed, "unit": unit, "rows": rows}


def settings(preset: Preset, n_bits: int) -> dict[str, Any]:
    """Return the net's settings; few bits need more epochs."""
    return {
        "n_neighbors": 50,
        "neighbors_by": "code",
        "noise": 3.0,
        "max_epochs": min(30 if n_bits <= 16 else 20, preset.most_epochs),
        "batch_size": 128,
    }


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
