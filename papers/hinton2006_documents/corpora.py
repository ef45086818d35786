"""Load the document collections of this paper: counts and categories, in two halves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.data.datasets import local_folder
from narrows.data.readers.labels import label_matrix
from narrows.errors import ResourceError
from narrows.text import Analyzer, Vocabulary

__all__ = ["CORPORA", "Corpus"]


@dataclass(frozen=True)
class Corpus:
    """``train`` and ``test`` counts as CSR; labels of the test rows as CSR of ones; label names.

    ``groups`` maps every label to a coarser one, which colors the maps.
    """

    train: Any
    test: Any
    test_labels: Any
    label_names: list[str]
    groups: list[str]


def arxiv() -> Corpus:
    """588,050 titles and abstracts in two halves: 2,000 stems, 176 categories in 38 groups."""
    folder = _folder("arxiv_abstracts")
    meta = json.loads((folder / "meta.json").read_text())
    train, test = (
        sp.csr_array(sp.load_npz(folder / f"counts_{half}.npz")) for half in ("train", "test")
    )
    with np.load(folder / "counts_test.npz") as arrays:
        indices, indptr = arrays["label_indices"].astype(np.int32), arrays["label_indptr"]
    names = meta["label_names"]
    labels = sp.csr_array(
        (np.ones(len(indices), np.uint8), indices, indptr), shape=(test.shape[0], len(names))
    )
    groups = meta["label_groups"]
    groups = [name.partition(".")[0] for name in names] if len(groups) != len(names) else groups
    return Corpus(train, test, labels, names, list(groups))


def reuters() -> Corpus:
    """Reuters-21578, ModApte: 7,770 and 3,019 stories, the 90 topics found in both halves."""
    documents = [d for d in _lines("reuters21578") if d["split"] in ("train", "test")]
    halves = [[d for d in documents if d["split"] == half] for half in ("train", "test")]
    both = set.intersection(*({t for d in half for t in d["topics"]} for half in halves))
    for half in halves:
        for document in half:
            document["labels"] = [t for t in document["topics"] if t in both]
            document["text"] = f"{document['title']}\n{document['text']}"
    return _counted(*([d for d in half if d["labels"]] for half in halves))


def newsgroups() -> Corpus:
    """20 Newsgroups by date: 11,314 and 7,532 posts, with headers."""
    documents = list(_lines("20newsgroups"))
    for document in documents:
        document["labels"] = [document["group"]]
    return _counted(*([d for d in documents if d["split"] == half] for half in ("train", "test")))


def rcv1() -> Corpus:
    """The paper's data: 804,414 Reuters stories, halved, the 2,000 commonest stems (downloaded).

    scikit-learn provides log TF-IDF, not counts: the stems with the largest total are kept, and
    TF-IDF replaces counts.
    """
    from sklearn.datasets import fetch_rcv1

    data = fetch_rcv1(shuffle=True, random_state=0)
    rows = sp.csr_array(data.data)
    commonest = np.sort(np.argsort(-rows.sum(axis=0))[:2000])
    rows = rows[:, commonest]
    half = rows.shape[0] // 2
    names = list(data.target_names)
    return Corpus(
        rows[:half], rows[half:], sp.csr_array(data.target[half:]), names, [n[:1] for n in names]
    )


def made() -> Corpus:
    """1,200 and 800 synthetic documents on eight topics, for trying out the script."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(200, 0.1), size=8)
    of = rng.integers(8, size=2000)
    counts = np.stack([rng.multinomial(rng.integers(20, 80), topics[topic]) for topic in of])
    labels, names = label_matrix([[f"topic {topic}"] for topic in of[1200:]])
    return Corpus(sp.csr_array(counts[:1200]), sp.csr_array(counts[1200:]), labels, names, names)


CORPORA: dict[str, Callable[[], Corpus]] = {
    "arxiv": arxiv,
    "reuters": reuters,
    "newsgroups": newsgroups,
    "rcv1": rcv1,
    "made": made,
}


def _counted(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> Corpus:
    vocabulary, counts = Vocabulary.learn(
        [d["text"] for d in train], Analyzer(stemmer="porter"), max_features=2000
    )
    labels, names = label_matrix([d["labels"] for d in test])
    return Corpus(counts, vocabulary.count([d["text"] for d in test]), labels, names, names)


def _lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(_folder(name) / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _folder(name: str) -> Path:
    folder = local_folder()
    if folder is None or not (folder / name).is_dir():
        raise ResourceError(f"{name}: set NARROWS_DATA to a folder that holds {name}/.")
    return folder / name
