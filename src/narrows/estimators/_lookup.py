"""Rows found again by their codes: an index made of them, and searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.applications.lookup import add_rows, new_index, search_rows
from narrows.errors import ModelFileError
from narrows.indexing.hit import Hit
from narrows.indexing.index import Index

__all__ = ["LooksUp"]


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
        kind : {"auto", "flat", "hash", "multihash", "hnsw", "ivf"}
            How bits are looked up; codes of numbers are "flat".
        rerank : bool, default=False
            Whether bits are kept with the numbers they are cut from, to order hits by.
        model_path : str, default=""
            Where ``narrows search`` finds this model's file, seen from the index's folder.

        Raises
        ------
        UsageError
            If a name stands twice or the kind is unknown.
        """
        model, source = self._asked(X)  # pyright: ignore[reportAttributeAccessIssue] -- Queries'
        index = new_index(model, kind=kind, rerank=rerank, model_path=model_path)
        rows = [str(row) for row in range(source.n_rows)] if names is None else names
        add_rows(index, model, source, rows, metadata)
        return index

    def search(self, index: Index, X: Any, k: int = 10, *, rerank: bool = False) -> list[list[Hit]]:
        """Return the ``k`` rows of an index nearest to each row of X: name, distance, metadata.

        Distances are bits that differ, or 1 - cosine where codes are numbers; equal ones come in
        the order in which they were added.

        Raises
        ------
        ModelFileError
            If the index is of another model's codes.
        UsageError
            If k is less than 1, or ``rerank`` is asked of an index made without it.
        """
        model, source = self._asked(X)  # pyright: ignore[reportAttributeAccessIssue] -- Queries'
        if index.settings.model_digest != model.fingerprint():
            raise ModelFileError("index: made with another model; index the data with this one.")
        return search_rows(index, model, source, k, rerank=rerank)
