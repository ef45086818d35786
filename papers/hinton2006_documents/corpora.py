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

__all__ = ["CORPORA", "Corpus", "Half"]


@dataclass(frozen=True)
class Half:
    """Counts of words and labels of documents, both CSR, (n, n_words) and (n, n_labels)."""

    counts: Any
    labels: Any

    def __getitem__(self, rows: Any) -> Half:
        return Half(self.counts[rows], self.labels[rows])


@dataclass(frozen=True)
class Corpus:
    """The training half, a function that returns the test half, and a group for every label.

    The groups are coarser than the labels and color the maps. Words and labels are those of the
    training half.
    """

    train: Half
    load_test: Callable[[], Half]
    groups: list[str]


def arxiv() -> Corpus:
    """588,050 titles and abstracts in two halves: 2,000 stems, 176 categories in 38 groups."""
    folder = _folder("arxiv_abstracts")
    meta = json.loads((folder / "meta.json").read_text())
    names = meta["label_names"]
    groups = meta["label_groups"]
    groups = [name.partition(".")[0] for name in names] if len(groups) != len(names) else groups

    def half(name: str) -> Half:
        path = folder / f"counts_{name}.npz"
        counts = sp.csr_array(sp.load_npz(path))
        with np.load(path) as arrays:
            indices, indptr = arrays["label_indices"].astype(np.int32), arrays["label_indptr"]
        ones = np.ones(len(indices), np.uint8)
        labels = sp.csr_array((ones, indices, indptr), shape=(counts.shape[0], len(names)))
        return Half(counts, labels)

    return Corpus(half("train"), lambda: half("test"), list(groups))


def reuters() -> Corpus:
    """Reuters-21578, ModApte: stories with a topic that the training half has."""

    def half(split: str) -> list[dict[str, Any]]:
        return [
            {"text": f"{d['title']}\n{d['text']}", "labels": d["topics"]}
            for d in _lines("reuters21578")
            if d["split"] == split
        ]

    return _counted(half)


def newsgroups() -> Corpus:
    """20 Newsgroups by date: 11,314 and 7,532 posts, with headers."""

    def half(split: str) -> list[dict[str, Any]]:
        return [
            {"text": d["text"], "labels": [d["group"]]}
            for d in _lines("20newsgroups")
            if d["split"] == split
        ]

    return _counted(half)


def rcv1() -> Corpus:
    """The paper's data: 804,414 Reuters stories, halved, the 2,000 commonest stems (downloaded).

    scikit-learn provides log TF-IDF, not counts: the stems with the largest total are kept, and
    TF-IDF replaces counts.
    """
    from sklearn.datasets import fetch_rcv1

    data = fetch_rcv1(shuffle=True, random_state=0)
    rows = sp.csr_array(data.data)
    half = rows.shape[0] // 2
    commonest = np.sort(np.argsort(-rows[:half].sum(axis=0))[:2000])
    both = Half(rows[:, commonest], sp.csr_array(data.target))
    groups = [name[:1] for name in data.target_names]
    return Corpus(both[:half], lambda: both[half:], groups)


def made() -> Corpus:
    """1,200 and 800 synthetic documents on eight topics, for trying out the script."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(200, 0.1), size=8)
    of = rng.integers(8, size=2000)
    counts = np.stack([rng.multinomial(rng.integers(20, 80), topics[topic]) for topic in of])
    labels, names = label_matrix([[f"topic {topic}"] for topic in of])
    both = Half(sp.csr_array(counts), labels)
    return Corpus(both[:1200], lambda: both[1200:], names)


CORPORA: dict[str, Callable[[], Corpus]] = {
    "arxiv": arxiv,
    "reuters": reuters,
    "newsgroups": newsgroups,
    "rcv1": rcv1,
    "made": made,
}


def _counted(half: Callable[[str], list[dict[str, Any]]]) -> Corpus:
    """Return a corpus of the training half's 2,000 commonest stems and of its labels."""
    train = [d for d in half("train") if d["labels"]]
    words = Analyzer(stemmer="porter")
    vocabulary, counts = Vocabulary.learn([d["text"] for d in train], words, max_features=2000)
    labels, names = label_matrix([d["labels"] for d in train])

    def load_test() -> Half:
        test = half("test")
        for document in test:
            document["labels"] = [label for label in document["labels"] if label in names]
        test = [d for d in test if d["labels"]]
        # the rows of the training half keep the columns in order
        both, _ = label_matrix([d["labels"] for d in [*train, *test]])
        return Half(vocabulary.count([d["text"] for d in test]), both[len(train) :])

    return Corpus(Half(counts, labels), load_test, names)


def _lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(_folder(name) / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _folder(name: str) -> Path:
    folder = local_folder()
    if folder is None or not (folder / name).is_dir():
        raise ResourceError(f"{name}: set NARROWS_DATA to a folder that holds {name}/.")
    return folder / name
