"""Rows found again by their codes: an index made of them, and searched."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from narrows.applications.retrieval.lookup import add_rows, new_index, search_rows
from narrows.data.source import Source
from narrows.errors import EmptyDocumentWarning, ModelFileError, UnknownWordsWarning
from narrows.indexing.index import Index
from narrows.indexing.protocol import Hit

__all__ = ["LooksUp"]

_MANY = 0.5


class LooksUp:
    """Mixed into estimators whose codes are for finding things."""

    def make_index(
        self,
        X: Any,
        names: Sequence[str] | None = None,
        metadata: Sequence[dict[str, Any] | None] | None = None,
        *,
        kind: str = "auto",
        rerank: bool = False,
        model_path: str = "",
    ) -> Index:
        """Return an index of the codes of X; its ``save`` writes the file that ``narrows search``
        reads.

        Parameters
        ----------
        X : rows or texts
        names : sequence of str, optional
            Unique; by default "0", "1", ...
        metadata : sequence of dict, optional
            JSON values that hits bring along, such as a snippet.
        kind : {"auto", "flat", "hash", "multihash", "hnsw"}
            How bits are looked up; codes of numbers are "flat".
        rerank : bool, default=False
            Whether bits are kept with the numbers they are cut from, to order hits by.
        model_path : str, default=""
            Where ``narrows search`` finds this model's file, seen from the index's folder.

        Raises
        ------
        UsageError
            If a name stands twice or the kind is unknown.

        Warns
        -----
        EmptyDocumentWarning
            Where rows have no content, such as texts without a known word: they are left out.
        UnknownWordsWarning
            Where more than half of all words are unknown.
        """
        model, source = self._validated_lookup(X)  # pyright: ignore[reportAttributeAccessIssue] -- Asked's
        index = new_index(model, kind=kind, rerank=rerank, model_path=model_path)
        rows = [str(row) for row in range(source.n_rows)] if names is None else names
        empty = add_rows(index, model, source, rows, metadata)
        if len(empty):
            warnings.warn(
                f"{source.origin}: {len(empty)} row(s) without a known word are left out of the "
                f"index, the first {rows[empty[0]]!r}: no search would find them by what they say.",
                EmptyDocumentWarning,
                stacklevel=2,
            )
        _warn_of_unknown(source, "documents", skip_empty=True)
        return index

    def search(self, index: Index, X: Any, k: int = 10, *, rerank: bool = False) -> list[list[Hit]]:
        """Return the ``k`` rows of an index nearest to each row of X: name, distance, metadata.

        Distances are bits that differ, or 1 - cosine where codes are numbers; equal ones come in
        the order in which they were added. A row without content, such as a text without a known
        word, has no hits; ``vocabulary_.unknown_shares(X)`` says which share of its words is
        unknown.

        Raises
        ------
        ModelFileError
            If the index is of another model's codes.
        UsageError
            If k is less than 1, or ``rerank`` is asked of an index made without it.

        Warns
        -----
        EmptyDocumentWarning
            Where a query has no content.
        UnknownWordsWarning
            Where more than half of a query's words are unknown.
        """
        model, source = self._validated_lookup(X)  # pyright: ignore[reportAttributeAccessIssue] -- Asked's
        if index.settings.model_digest != model.fingerprint():
            raise ModelFileError("index: made with another model; index the data with this one.")
        answers = search_rows(index, model, source, k, rerank=rerank)
        if len(index):
            _warn_of_unanswered(answers, source)
        _warn_of_unknown(source, "query")
        return answers


def _warn_of_unanswered(answers: list[list[Hit]], source: Source) -> None:
    empty = [row for row, hits in enumerate(answers) if not hits]
    if empty:
        warnings.warn(
            f"{source.origin}: {len(empty)} query(s) without a known word have no hits, the first "
            f"at position {empty[0]}.",
            EmptyDocumentWarning,
            stacklevel=3,
        )


def _warn_of_unknown(source: Source, what: str, *, skip_empty: bool = False) -> None:
    shares = source.unknown_shares
    if shares is None:
        return
    some = shares[shares < 1]  # the others were warned of as empty
    most = float(some.mean() if skip_empty else some.max()) if len(some) else 0.0
    if most > _MANY:
        share = f"{most:.0%} of the words of {'a ' if what == 'query' else 'the '}{what}"
        warnings.warn(
            f"{source.origin}: {share} are not in the model's vocabulary, and do not count; see "
            "vocabulary_.unknown_shares(X).",
            UnknownWordsWarning,
            stacklevel=3,
        )
