"""Read SVMlight and LIBSVM files: sparse rows with labels.

    1,3 qid:7 2:0.5 9:1    # labels, group, index:value ..., and a comment after #

Several labels are separated by commas, and a row may have none. The group (``qid``), which relates
rows to each other, is ignored. Indices are counted from 1, unless an index of the file is 0 or
``zero_based`` is True, which is needed if no row of a zero-based file has the first column.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.core.checks import check_number
from narrows.data.array_sources import array_source
from narrows.data.memory import check_columns, check_stored
from narrows.data.readers.lines import lines
from narrows.data.source import Source
from narrows.errors import InvalidData, NarrowsError, UsageError, warn

__all__ = ["is_svmlight", "read_svmlight", "read_svmlight_labels"]

_LABELS = re.compile(rb"[-+.\d,eE]+")
_GROUP = re.compile(rb"(\S+\s+)?qid:\d+(\s|$)")


def is_svmlight(path: Path) -> bool:
    """Return whether the name ends in .svmlight or .libsvm, or one of them and .gz."""
    return path.name.lower().removesuffix(".gz").endswith((".svmlight", ".libsvm"))


def read_svmlight(
    path: Path, *, n_features: int | None = None, zero_based: bool | None = None
) -> Source:
    """Return the rows of an SVMlight file as CSR, float32, with labels if no row has several.

    Parameters
    ----------
    path : Path
    n_features : int, optional
        Number of columns; by default given by the largest index of the file.
    zero_based : bool, optional
        Whether indices are counted from 0; by default they are if an index of the file is 0.

    Warns
    -----
    UserWarning
        If ``n_features`` is given and indices may be counted from 0 or from 1, because neither 0
        nor ``n_features`` is an index.

    Raises
    ------
    InvalidData
        With the line number, for an invalid label, index or value, or indices that do not rise;
        or if an index is beyond ``n_features``, or 0 with ``zero_based=False``.
    UsageError
        If ``n_features`` is not a whole number >= 1, or ``zero_based`` is not a bool.
    ResourceError
        With the line number, if the values, or one number per column, do not fit into memory.
    """
    if n_features is not None:
        check_number("n_features", n_features, low=1, integer=True)
    if zero_based is not None and not isinstance(zero_based, bool):
        raise UsageError(f"zero_based: must be True, False or None, got {zero_based!r}.")
    matrix, labels = _parsed(path, from_zero=zero_based is not False)
    if zero_based is None and matrix.indices.min() > 0:
        matrix = _counted_from_one(matrix)
        if n_features is not None and matrix.shape[1] < n_features:
            warn(
                f"{path}: with n_features={n_features}, the file has neither index 0 nor index "
                f"{n_features}; indices are assumed to start at 1. "
                "read(path, n_features=..., zero_based=True) counts from 0, zero_based=False from "
                "1 without this warning; in the shell FILE:features=...,first=0 or first=1."
            )
    if n_features is not None:
        check_columns(n_features, str(path))
        if matrix.shape[1] > n_features:
            raise InvalidData(
                f"{path}: an index needs {matrix.shape[1]} columns, but n_features is {n_features}."
            )
        matrix.resize(matrix.shape[0], n_features)
    source = array_source(matrix)
    source.origin = str(path)
    if all(len(several) < 2 for several in labels):
        source.labels = np.array([_text(*label) for label in labels])
    return source


def _counted_from_one(matrix: Any) -> Any:
    n_rows, width = matrix.shape
    return sp.csr_array((matrix.data, matrix.indices - 1, matrix.indptr), shape=(n_rows, width - 1))


def _text(label: float | None = None) -> str:
    """Return a label as a string, like those of other files: "" for none, "3" for 3.0."""
    return "" if label is None else str(int(label) if label.is_integer() else label)


def read_svmlight_labels(path: Path) -> list[tuple[float, ...]]:
    """Return the labels of each row of an SVMlight file, sorted; a row may have none.

    Raises
    ------
    InvalidData, ResourceError
        See ``read_svmlight``.
    """
    return _parsed(path, from_zero=True)[1]


def _parsed(path: Path, *, from_zero: bool) -> tuple[Any, list[tuple[float, ...]]]:
    from sklearn.datasets import load_svmlight_file

    checked = _CheckedLines(path)
    # a dict, because scikit-learn's types are inferred from its defaults
    settings: dict[str, Any] = {"dtype": np.float32, "zero_based": from_zero}
    try:
        matrix, labels = load_svmlight_file(checked, multilabel=True, **settings)
    except NarrowsError:
        raise
    except (ValueError, OverflowError) as error:
        raise checked.refusal(str(error)) from None
    return sp.csr_array(matrix), labels


class _CheckedLines:
    """The lines of a file, for scikit-learn, with checks that scikit-learn lacks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line, self._text = 0, b""

    def read(self) -> bytes:
        """Never called: scikit-learn expects it of a file, but iterates over the lines."""
        raise io.UnsupportedOperation("the lines of an SVMlight file are read one by one")

    def refusal(self, why: str) -> InvalidData:
        """Return an error for the line that was read last."""
        got = self._text[:40].decode(errors="replace")
        return InvalidData(
            f"{self._path}, line {self._line}: expected labels and then index:value, with whole "
            f"indices from 0 that rise, got {got!r}: {why.rstrip('.')}."
        )

    def __iter__(self) -> Iterator[bytes]:
        n_rows = n_values = 0
        for line, whole in lines(self._path):
            text = whole.removeprefix(codecs.BOM_UTF8) if line == 1 else whole
            self._line, self._text = line, text.partition(b"#")[0].strip()
            if not self._text:
                continue
            n_rows += 1
            n_values += self._n_values()
            check_stored(n_rows, n_values, f"{self._path}, line {self._line}")
            yield self._text
        if not n_values:
            raise InvalidData(f"{self._path}: no {'values' if n_rows else 'rows'}.")

    def _n_values(self) -> int:
        """Check the line, and return its number of values."""
        if b"_" in self._text:  # only Python reads 1_0 as ten
            raise self.refusal("a number must not contain '_'")
        first = self._text.split(None, 1)[0]
        if b":" not in first and not (
            _LABELS.fullmatch(first) and all(isfinite(float(label)) for label in first.split(b","))
        ):
            raise self.refusal("labels must be finite numbers, separated by commas")
        grouped = b"qid" in self._text
        if grouped and (self._text.count(b"qid") > 1 or not _GROUP.match(self._text)):
            raise self.refusal("qid:NUMBER must occur once, after the labels")
        index = self._text.rsplit(None, 1)[-1].partition(b":")
        if index[1] and index[0].isdigit() and len(index[0]) < 20:
            check_columns(int(index[0]), f"{self._path}, line {self._line}")
        return self._text.count(b":") - grouped
