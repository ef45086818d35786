"""Read the corpora: a title, a body and a label for every document."""

from __future__ import annotations

import gzip
import inspect
import json
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from protocol.data import Data

__all__ = ["arxiv", "docstrings", "newsgroups", "reuters", "single_topics"]

_MODULES = (
    "numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random scipy.cluster scipy.fft "
    "scipy.integrate scipy.interpolate scipy.linalg scipy.ndimage scipy.optimize scipy.signal "
    "scipy.sparse scipy.spatial scipy.special scipy.stats sklearn.cluster sklearn.covariance "
    "sklearn.datasets sklearn.decomposition sklearn.ensemble sklearn.linear_model "
    "sklearn.manifold sklearn.metrics sklearn.model_selection sklearn.neighbors "
    "sklearn.preprocessing sklearn.svm sklearn.tree"
)
_SHORTEST = 100  # characters of a body


def _documents(folder: str, file: str) -> Iterator[dict[str, Any]]:
    with gzip.open(Path(os.environ["NARROWS_DATA"], folder, file), "rt", encoding="utf8") as lines:
        yield from map(json.loads, lines)


def _corpus(titles: list[str], bodies: list[str], labels: Any, is_test: Any = None) -> Data:
    rows = [f"{title}\n{body}" for title, body in zip(titles, bodies, strict=True)]
    return Data(rows, np.array(labels), titles=titles, bodies=bodies,
                is_test=None if is_test is None else np.array(is_test))  # fmt: skip


def newsgroups() -> Data:
    """Return the posts in the order of the file: subject, text after the header, group."""
    titles, bodies, labels, is_test = [], [], [], []
    for document in _documents("20newsgroups", "docs.jsonl.gz"):
        header, _, body = document["text"].partition("\n\n")
        subjects = [line for line in header.splitlines() if line.lower().startswith("subject:")]
        titles.append(subjects[0][8:].removeprefix(" Re:").strip() if subjects else "")
        bodies.append(body)
        labels.append(document["group"])
        is_test.append(document["split"] == "test")
    return _corpus(titles, bodies, labels, is_test)


def single_topics() -> np.ndarray:
    """Return the topic of every Reuters document, "" if it has none or several."""
    return np.array([
        document["topics"][0] if len(document["topics"]) == 1 else ""
        for document in _documents("reuters21578", "docs.jsonl.gz")
    ])  # fmt: skip


def reuters() -> Data:
    """Return the ModApte documents that have a title, a body and exactly one topic."""
    titles, bodies, labels, is_test = [], [], [], []
    for document in _documents("reuters21578", "docs.jsonl.gz"):
        kept = document["split"] != "unused" and len(document["topics"]) == 1
        if kept and document["title"] and len(document["text"]) >= _SHORTEST:
            titles.append(document["title"])
            bodies.append(document["text"])
            labels.append(document["topics"][0])
            is_test.append(document["split"] == "test")
    return _corpus(titles, bodies, labels, is_test)


def arxiv() -> Data:
    titles, bodies, labels, is_test = [], [], [], []
    for document in _documents("arxiv_abstracts", "docs_sample.jsonl.gz"):
        titles.append(document["title"])
        bodies.append(document["text"])
        labels.append(document["primary"])
        is_test.append(document["split"] == "test")
    return _corpus(titles, bodies, labels, is_test)


def docstrings() -> Data:
    """Return the docstrings of installed packages: first line, the rest, module."""
    found: dict[str, tuple[str, str]] = {}
    for module_name in _MODULES.split():
        module = import_module(module_name)
        for name in sorted(getattr(module, "__all__", None) or dir(module)):
            try:
                thing = getattr(module, name, None)
            except ImportError:  # experimental parts of scikit-learn
                continue
            if name.startswith("_") or not (inspect.isclass(thing) or inspect.isroutine(thing)):
                continue
            title, _, body = (inspect.getdoc(thing) or "").partition("\n")
            if len(body) >= 3 * _SHORTEST:
                found.setdefault(body, (title, module_name))
    titles, labels = zip(*found.values(), strict=True)
    return _corpus(list(titles), list(found), labels)
