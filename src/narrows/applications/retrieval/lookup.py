"""Add the codes of rows to an index, and search it for the rows nearest to queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.applications.retrieval.hashing import pack_bits
from narrows.core.sparse import Rows
from narrows.data.scaling import row_totals
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.errors import UsageError
from narrows.indexing.index import Index
from narrows.indexing.protocol import Hit
from narrows.model.coding import code_of, encoded
from narrows.model.model import Model

__all__ = [
    "LookupCodes",
    "add_rows",
    "check_rerank",
    "index_codes",
    "new_index",
    "search_rows",
]

_NO_RERANK = "rerank: is for codes of bits; codes of numbers are sorted by cosine already."


def new_index(
    model: Model, *, kind: str = "auto", rerank: bool = False, model_path: str = ""
) -> Index:
    """Return an empty index for a model's codes: by Hamming distance for bits, by cosine for
    numbers.

    With ``rerank`` an index of bits also keeps the preactivations, as float16, so that a shortlist
    can be sorted by their cosine.

    Raises
    ------
    UsageError
        If the kind is unknown, or for ``rerank`` with codes that are numbers.
    """
    n = model.n_components
    settings: dict[str, Any] = {"kind": kind, "model_digest": model.fingerprint()}
    settings["model_path"] = model_path
    if not isinstance(model.objective.encoder, BinaryEncoder):
        if rerank:
            raise UsageError(_NO_RERANK)
        return Index.create(n_components=n, **settings)
    return Index.create(n_bits=-(-n // 8) * 8, vector_width=n if rerank else 0, **settings)


@dataclass(frozen=True)
class LookupCodes:
    """Codes of rows in the form that an index takes.

    Attributes
    ----------
    codes : ndarray (n, width)
        Packed bits, uint8, or numbers, float32.
    preactivations : ndarray (n, n_components) or None
        The numbers whose thresholds give the bits; None if codes are numbers.
    empty : ndarray of bool (n,)
        Rows of counts that are all 0, such as documents without a known word. They share one code,
        which says nothing about them.
    """

    codes: np.ndarray
    preactivations: np.ndarray | None
    empty: np.ndarray


def index_codes(model: Model, source: Source) -> LookupCodes:
    """Return the codes of all rows of a source."""
    parts = list(_index_codes(model, source))
    kept = [part.preactivations for part in parts if part.preactivations is not None]
    return LookupCodes(
        np.concatenate([part.codes for part in parts]),
        np.concatenate(kept) if kept else None,
        np.concatenate([part.empty for part in parts]),
    )


def _index_codes(model: Model, source: Source) -> Iterator[LookupCodes]:
    binary = isinstance(model.objective.encoder, BinaryEncoder)

    def found(x: Rows) -> LookupCodes:
        code = code_of(model, x)
        h = code.h.cpu().numpy()
        empty = np.zeros(len(h), dtype=bool)
        if model.scaling.shares:
            empty = (row_totals(x) == 0).cpu().numpy()
        if not binary:
            return LookupCodes(h, None, empty)
        assert code.preactivation is not None
        return LookupCodes(pack_bits(h), code.preactivation.cpu().numpy(), empty)

    return encoded(model, source, found)


def add_rows(
    index: Index,
    model: Model,
    source: Source,
    names: Sequence[str],
    metadata: Sequence[dict[str, Any] | None] | None = None,
) -> np.ndarray:
    """Add the codes of rows to an index under their names: all of them, or none on an error.

    Empty rows (see ``LookupCodes``) are left out, because no search should find them. Return the
    numbers of the rows left out.
    """
    found = index_codes(model, source)
    for what, values in (("names", names), ("metadata", metadata)):
        if values is not None and len(values) != len(found.codes):
            raise UsageError(
                f"{what}: expected one per row, got {len(values)} for {len(found.codes)}."
            )
    kept = np.flatnonzero(~found.empty).tolist()
    vectors = found.preactivations if index.settings.vector_width else None
    index.add(
        [names[row] for row in kept],
        found.codes[kept],
        None if metadata is None else [metadata[row] for row in kept],
        None if vectors is None else vectors[kept],
    )
    return np.flatnonzero(found.empty)


def check_rerank(index: Index) -> None:
    """Raise UsageError if the index keeps no vectors to re-rank by."""
    if index.settings.metric != "hamming":
        raise UsageError(_NO_RERANK)
    if not index.settings.vector_width:
        raise UsageError(
            "rerank: this index keeps no vectors to re-rank by; rebuild it with rerank=True "
            "(narrows index --rerank), or search without."
        )


def search_rows(
    index: Index, model: Model, source: Source, k: int, *, rerank: bool = False
) -> list[list[Hit]]:
    """Return, for each row, the ``k`` nearest rows of an index; an empty row (see ``LookupCodes``)
    has no hits.

    Raises
    ------
    UsageError
        If k is less than 1, or the index keeps no vectors to re-rank by.
    """
    if rerank:
        check_rerank(index)
    found = index_codes(model, source)
    answers = index.search(found.codes, k, vectors=found.preactivations if rerank else None)
    return [[] if empty else hits for hits, empty in zip(answers, found.empty, strict=True)]
