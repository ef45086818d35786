"""Define Documents, a stream of texts with ids and labels that can be read repeatedly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.errors import InvalidData

__all__ = ["MAX_CHARACTERS", "Document", "Documents", "as_documents", "clean", "texts_of"]

MAX_CHARACTERS = 10_000_000
"""Longer documents are refused, not truncated; a long novel has 3 million characters."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its id and its labels: none, one or several."""

    id: str
    text: str
    labels: tuple[str, ...] = ()


class Documents:
    """A collection of documents that can be iterated over repeatedly, one at a time.

    Parameters
    ----------
    read : callable
        Starts a new pass, and returns an iterator of Document.
    origin : str
        The name of the collection in messages: a file, or "X".
    labeled : bool
        Whether documents have labels; some may have none.
    """

    def __init__(
        self, read: Callable[[], Iterator[Document]], *, origin: str = "X", labeled: bool = False
    ) -> None:
        self._read = read
        self.origin = origin
        self.labeled = labeled

    def __iter__(self) -> Iterator[Document]:
        return self._read()

    def texts(self) -> Iterator[str]:
        """Yield the texts in order."""
        return (document.text for document in self)

    def __repr__(self) -> str:
        return f"Documents({self.origin}{', labeled' if self.labeled else ''})"


def as_documents(X: Any) -> Documents:
    """Return X as Documents; the strings of a list or column get the ids "0", "1", ...

    Parameters
    ----------
    X : Documents, or list, tuple, numpy array, pandas or polars column of str

    Raises
    ------
    InvalidData
        If X is a single string, is empty, has two axes, can be iterated over only once, or has an
        item that is not a string (its position is named).

    Examples
    --------
    >>> [document.id for document in as_documents(["to be", "or not"])]
    ['0', '1']
    """
    if isinstance(X, Documents):
        return X
    texts = _column(X)
    for at, text in enumerate(texts):
        clean(_check(text, at), at)
    return Documents(lambda: (Document(str(i), clean(str(t), i)) for i, t in enumerate(texts)))


def texts_of(X: Any) -> Iterator[str]:
    """Yield the texts of any input of ``as_documents``, or of an iterator, in one pass.

    Raises
    ------
    InvalidData
        See ``as_documents``.
    """
    if isinstance(X, Documents):
        return X.texts()
    if isinstance(X, Iterator):
        return (clean(_check(text, at), at) for at, text in enumerate(X))
    return as_documents(X).texts()


def clean(text: str, where: int | str) -> str:
    """Return a text with NUL and lone surrogates replaced by U+FFFD.

    ``where`` identifies the document in messages: a position in X, or a file and line.

    Raises
    ------
    InvalidData
        If the text is longer than ``MAX_CHARACTERS``.
    """
    if len(text) > MAX_CHARACTERS:
        place = f"X, document {where}" if isinstance(where, int) else where
        raise InvalidData(
            f"{place}: a document of {len(text):,} characters, at most {MAX_CHARACTERS:,} are "
            "read; split it into several."
        )
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _check(text: Any, at: int) -> str:
    if isinstance(text, str):
        return str(text)  # numpy's strings are a subclass
    if isinstance(text, bytes | bytearray):
        way_out = "decode it: text.decode('utf-8')"
    else:
        way_out = "every document must be a str; drop the missing ones or make them ''"
    kind = type(text).__name__
    raise InvalidData(f"X: document {at} is of type {kind} ({text!r:.40}); {way_out}.")


def _column(X: Any) -> Sequence[Any] | Any:
    """Return one-dimensional X as a sequence."""
    if isinstance(X, str):
        raise InvalidData("X: expected a list of strings, got one string; pass [text].")
    if isinstance(X, bytes | bytearray):
        raise InvalidData("X: expected a list of strings, got bytes; pass [text.decode('utf-8')].")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise InvalidData(
            f"X: expected one column of strings, got {type(X).__name__} of shape {tuple(shape)}; "
            "choose the column with the texts."
        )
    if isinstance(X, np.ndarray):
        X = X.tolist()
    if isinstance(X, dict | set | frozenset) or not isinstance(X, Iterable):
        raise InvalidData(f"X: expected a list of strings, got {type(X).__name__}.")
    if isinstance(X, Iterator) or not hasattr(X, "__len__"):
        raise InvalidData(
            f"X: a {type(X).__name__} can be read only once; pass list(X), or "
            "read_documents(path) for data bigger than memory."
        )
    if not len(X):  # pyright: ignore[reportArgumentType] -- it has a length
        raise InvalidData("X: no documents.")
    return X
