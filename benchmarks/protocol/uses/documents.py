"""Find documents by their codes: the body by its title, and others of the same label.

Held-out documents are the queries. A title looks for its body among the held-out bodies; a whole
document looks for training documents of its label. Codes are compared by cosine, bits by their
number in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from narrows import DocumentAutoencoder, SemanticHasher
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.guard import Guard
from protocol.rivals.bm25 import BM25
from protocol.rivals.lsa import LSA, SmoothedLSA
from protocol.splits import Split, split
from protocol.use import Cell, Use

__all__ = ["DOCUMENTS", "Corpus"]

HITS, NEAREST = 10, 15
NEIGHBORS = (0, 1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Part:
    """Documents: title and body together, each alone, and labels."""

    texts: list[str]
    titles: list[str]
    bodies: list[str]
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> Part:
        return Part(*([held[i] for i in rows] for held in (self.texts, self.titles, self.bodies)),
                    self.labels[rows])  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """``train`` and ``test`` are texts; the rest of what is known of them is in the parts."""

    train: list[str]
    test: list[str]
    train_part: Part
    test_part: Part
    guard: Guard
    seed: int


def make(data: Data, split: Split, cell: Cell) -> Corpus:
    assert data.titles and data.bodies and data.y is not None
    whole = Part(data.rows, data.titles, data.bodies, data.y)
    train, test = whole.take(split.train[: cell.size]), whole.take(split.test)
    guard = Guard(train.texts, test.texts)
    guard.hold(test.bodies, test.titles, beside=[train.bodies, train.titles])
    return Corpus(train.texts, test.texts, train, test, guard, cell.seed)


def _misses(similarity: np.ndarray, titled: np.ndarray) -> np.ndarray:
    """Return 1 for every title whose own body is not among the ten most similar ones.

    Of bodies that are as similar as the own one, half count as more similar.
    """
    own = similarity.diagonal()[:, None]
    rank = (similarity > own).sum(axis=1) + ((similarity == own).sum(axis=1) - 1) / 2
    return (rank >= HITS)[titled].astype(float)


def _strangers(similarity: np.ndarray, asked: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return, per query, the share of other labels among the 15 most similar documents.

    Documents of equal similarity are taken in a random order.
    """
    shuffled = np.random.default_rng(0).permutation(similarity.shape[1])
    order = np.argsort(-similarity[:, shuffled], axis=1, kind="stable")[:, :NEAREST]
    return 1 - (found[shuffled[order]] == asked[:, None]).mean(axis=1)


def _scores(
    similar: Callable[[list[str], list[str]], np.ndarray], test: Part, train: Part
) -> dict[str, np.ndarray]:
    titled = np.array([bool(title.strip()) for title in test.titles])
    return {
        "misses@10": _misses(similar(test.titles, test.bodies), titled),
        "1 - precision@15": _strangers(similar(test.texts, train.texts), test.labels, train.labels),
    }


def _errors(task: Corpus, similar: Callable[..., np.ndarray]) -> dict[str, Errors]:
    scores = _scores(similar, task.test_part, task.train_part)
    return {name: mean_error(held) for name, held in scores.items()}


def _by_code(transform: Callable[[list[str]], Any], queries: list[str], documents: list[str]):
    a, b = (normalize(transform(texts)) for texts in (queries, documents))
    found = a @ b.T
    # products of bits of the same similarity differ in their last digits
    return np.round(found.toarray() if hasattr(found, "toarray") else found, 9)


def _coder(make_one: Callable[[int], Any], task: Corpus) -> dict[str, Errors]:
    model = task.guard.fitted(make_one(task.seed), task.train)
    return _errors(task, partial(_by_code, model.transform))


def bm25(task: Corpus) -> dict[str, Errors]:
    return _errors(task, task.guard.fitted(BM25(), task.train).similarities)


def smoothed_lsa(task: Corpus, *, width: int) -> dict[str, Errors]:
    """Choose k for each measure on a fifth of the training documents, then fit to all of them."""
    order = np.random.default_rng([task.seed, 7]).permutation(len(task.train))
    n = max(len(order) // 5, NEAREST)
    valid, rest = (task.train_part.take(np.sort(part)) for part in (order[:n], order[n:]))
    trial = task.guard.fitted(SmoothedLSA(width), rest.texts)

    def error(k: int, measure: str, *_: Any) -> float:
        trial.k = k
        return float(_scores(partial(_by_code, trial.transform), valid, rest)[measure].mean())

    model = task.guard.fitted(SmoothedLSA(width), task.train)
    found = {}
    for measure in ("misses@10", "1 - precision@15"):
        model.k = task.guard.chosen(
            NEIGHBORS,
            lambda k, *_, measure=measure: error(k, measure),
            valid.texts, valid.titles, valid.bodies,
        )  # fmt: skip
        found[measure] = _errors(task, partial(_by_code, model.transform))[measure]
    return found


def _tfidf() -> TfidfVectorizer:
    return TfidfVectorizer(stop_words="english", sublinear_tf=True)


DOCUMENTS = Use(
    name="documents",
    what="retrieval by codes of held-out documents: share of titles that miss their body in ten "
    "hits, and share of other labels among the 15 most similar training documents",
    kinds=("text",),
    make=make,
    estimators={
        "document_10": partial(_coder, lambda seed: DocumentAutoencoder(10, random_state=seed)),
        "document_64": partial(_coder, lambda seed: DocumentAutoencoder(64, random_state=seed)),
        "hasher_32": partial(_coder, lambda seed: SemanticHasher(32, random_state=seed)),
        "hasher_128": partial(_coder, lambda seed: SemanticHasher(128, random_state=seed)),
    },
    rivals={
        "lsa_10": partial(_coder, lambda seed: LSA(10)),
        "lsa_64": partial(_coder, lambda seed: LSA(64)),
        "smoothed_lsa_10": partial(smoothed_lsa, width=10),
        "smoothed_lsa_64": partial(smoothed_lsa, width=64),
        "lsa_bits_32": partial(_coder, lambda seed: LSA(32, bits=True)),
        "lsa_bits_128": partial(_coder, lambda seed: LSA(128, bits=True)),
        "tfidf": partial(_coder, lambda seed: _tfidf()),
        "bm25": bm25,
    },
    against={
        "document_10": ("lsa_10", "smoothed_lsa_10", "tfidf", "bm25"),
        "document_64": ("lsa_64", "smoothed_lsa_64", "tfidf", "bm25"),
        "hasher_32": ("lsa_bits_32", "tfidf", "bm25"),
        "hasher_128": ("lsa_bits_128", "tfidf", "bm25"),
    },
    split=lambda data, seed, condition: split(data.rows, seed, is_test=data.is_test),
    sizes=(200, 600, 2000, 6000, 20_000),
    fast_sets=1,
)
