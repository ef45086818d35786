"""Which rows are relevant to which: those that share at least one label."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.data.csr import checked_csr
from narrows.errors import InvalidData

__all__ = ["Labels", "SharedLabels", "n_labelled"]

Labels = Any
"""One label a row, (n,) of numbers or strings; or several, a sparse matrix (n, n_labels) whose
stored values other than 0 are the labels that a row has."""


class SharedLabels:
    """Relevance of the rows of a base to queries: 1 where they share a label, 0 where not.

    A row without any label shares none, and is relevant to nothing.

    Parameters
    ----------
    queries, base : labels
        Both of one kind: (n,) each, or sparse with the same columns.

    Raises
    ------
    InvalidData
        If they are of different kinds or widths, missing (NaN), or malformed.
    """

    def __init__(self, queries: Labels, base: Labels) -> None:
        if sp.issparse(queries) != sp.issparse(base):
            raise InvalidData(
                "labels: those of the queries and of the base must both be one a row, or both "
                "sparse (n, n_labels)."
            )
        if sp.issparse(queries):
            ours, theirs = _flags(queries, "query_labels"), _flags(base, "base_labels")
            if ours.shape[1] != theirs.shape[1]:
                raise InvalidData(
                    "labels: the columns of both must be the same labels, got "
                    f"{ours.shape[1]} for the queries and {theirs.shape[1]} for the base."
                )
        else:
            ours, theirs = _indicators(queries, base)
        self.n_queries, self.n_base = ours.shape[0], theirs.shape[0]
        self._per_label = np.asarray(theirs.sum(axis=0)).ravel()
        self._flags = ours
        # one label a row is compared as a number; several as sets of bits, 64 to a word
        self._single = not sp.issparse(queries)
        self._queries, self._base = (
            flags.indices if self._single else _words(flags) for flags in (ours, theirs)
        )

    def of(self, queries: slice, rows: np.ndarray) -> np.ndarray:
        """Return the relevance (q, w) of ``rows`` (q, w) to some queries."""
        if self._single:
            return self._queries[queries, None] == self._base[rows]
        shared = np.zeros(rows.shape, bool)
        for ours, theirs in zip(self._queries, self._base, strict=True):  # memory stays (q, w)
            shared |= (ours[queries, None] & theirs[rows]) != 0
        return shared

    def without_any(self, *, leave_one_out: bool) -> np.ndarray:
        """Return which queries (n,) have no relevant row at all, themselves apart if asked."""
        shared = self._per_label > int(leave_one_out)
        return ~(self._flags @ shared.astype(np.int64) > 0)


def n_labelled(labels: Labels) -> int:
    """Return the number of rows that ``labels`` are of."""
    return labels.shape[0] if sp.issparse(labels) else len(labels)


def _flags(labels: Any, name: str) -> Any:
    matrix = checked_csr(labels, name).astype(bool).astype(np.int64)
    matrix.eliminate_zeros()
    return matrix


def _indicators(queries: Any, base: Any) -> tuple[Any, Any]:
    """Return single labels as CSR of one 1 a row, over the classes of both."""
    arrays = [
        _column(labels, n) for labels, n in ((queries, "query_labels"), (base, "base_labels"))
    ]
    if len({array.dtype.kind in "OSU" for array in arrays}) > 1:
        raise InvalidData("labels: numbers for one of queries and base, strings for the other.")
    classes, codes = np.unique(np.concatenate(arrays), return_inverse=True)
    n = len(arrays[0])
    return tuple(
        sp.csr_array(
            (np.ones(len(part), np.int64), part, np.arange(len(part) + 1)),
            shape=(len(part), len(classes)),
        )
        for part in (codes[:n], codes[n:])
    )  # pyright: ignore[reportReturnType] -- two of them


def _column(labels: Any, name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InvalidData(
            f"{name}: expected one label a row, (n,), or a sparse matrix (n, n_labels); "
            f"got {array.shape}."
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InvalidData(f"{name}: NaN at row {int(np.isnan(array).argmax())}.")
    return array.astype(str) if array.dtype.kind == "O" else array


def _words(flags: Any) -> np.ndarray:
    """Return the labels of every row as bits, (n_words, n)."""
    words = np.zeros((-(-flags.shape[1] // 64), flags.shape[0]), np.uint64)
    row = np.repeat(np.arange(flags.shape[0]), np.diff(flags.indptr))
    bit = np.uint64(1) << (flags.indices % 64).astype(np.uint64)
    np.bitwise_or.at(words, (flags.indices // 64, row), bit)
    return words
