"""Codes to an index, and queries to its hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from narrows.applications.coding import code_of, encoded
from narrows.applications.hashing import pack_bits
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.errors import UsageError
from narrows.indexing.hit import Hit
from narrows.indexing.index import Index
from narrows.model import Model
from narrows.slots import Rows

__all__ = ["add_rows", "check_rerank", "index_codes", "new_index", "search_rows"]

_NO_RERANK = "rerank: is for codes of bits; codes of numbers are in order of their cosine already."


def new_index(
    model: Model, *, kind: str = "auto", rerank: bool = False, model_path: str = ""
) -> Index:
    """Return an empty index of a model's codes: by Hamming distance where they are bits, by cosine
    where they are numbers.

    With ``rerank`` an index of bits keeps z, from which the bits are cut, as float16, so that a
    shortlist can be put in order by its cosine.

    Raises
    ------
    UsageError
        If there is no such kind, or ``rerank`` is asked of codes that are numbers.
    """
    n = model.n_components
    settings: dict[str, Any] = {"kind": kind, "model_digest": model.fingerprint()}
    settings["model_path"] = model_path
    if not isinstance(model.objective.encoder, BinaryEncoder):
        if rerank:
            raise UsageError(_NO_RERANK)
        return Index.create(n_components=n, **settings)
    return Index.create(n_bits=-(-n // 8) * 8, vector_width=n if rerank else 0, **settings)


def index_codes(model: Model, source: Source) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield codes as an index takes them, and where they are bits the z that they are cut from."""
    binary = isinstance(model.objective.encoder, BinaryEncoder)

    def found(x: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        code = code_of(model, x)
        h = code.h.cpu().numpy()
        if not binary:
            return h, None
        assert code.drive is not None
        return pack_bits(h), code.drive.cpu().numpy()

    return encoded(model, source, found)


def add_rows(
    index: Index,
    model: Model,
    source: Source,
    names: Sequence[str],
    metadata: Sequence[dict[str, Any] | None] | None = None,
) -> None:
    """Add the codes of rows to an index by name; all of them, or none if one cannot be."""
    codes, drives = _all_codes(model, source)
    vectors = drives if index.settings.vector_width else None
    index.add(names, codes, metadata, vectors)


def check_rerank(index: Index) -> None:
    """Raise UsageError for an index that keeps nothing to re-rank by."""
    if index.settings.metric != "hamming":
        raise UsageError(_NO_RERANK)
    if not index.settings.vector_width:
        raise UsageError(
            "rerank: this index keeps nothing to re-rank by; make it anew with rerank=True "
            "(narrows index --rerank), or search without."
        )


def search_rows(
    index: Index, model: Model, source: Source, k: int, *, rerank: bool = False
) -> list[list[Hit]]:
    """Return the ``k`` rows of an index nearest to each row.

    Raises
    ------
    UsageError
        If k is less than 1, or the index keeps nothing to re-rank by.
    """
    if rerank:
        check_rerank(index)
    codes, drives = _all_codes(model, source)
    return index.search(codes, k, vectors=drives if rerank else None)


def _all_codes(model: Model, source: Source) -> tuple[np.ndarray, np.ndarray | None]:
    codes, drives = zip(*index_codes(model, source), strict=True)
    return np.concatenate(codes), None if drives[0] is None else np.concatenate(drives)
