"""The rows of an index in memory: codes, their names, what is known of them, vectors beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import UsageError
from narrows.indexing import stored_rows as index_rows
from narrows.indexing.float_index import FloatIndex, check_vectors
from narrows.indexing.index_file import IndexContent
from narrows.indexing.kinds import make_index
from narrows.indexing.protocol import Hit, check_codes, check_k
from narrows.indexing.settings import Settings
from narrows.indexing.stored_rows import by_cosine, check_beside
from narrows.indexing.texts import TextColumn

__all__ = ["NamedRows", "NewRows", "no_rows"]


@dataclass(frozen=True)
class NewRows:
    """Rows that fit the index's settings; it may already have rows of their names."""

    names: list[str]
    codes: NDArray[Any]
    encoded_names: list[bytes]
    encoded_metadata: list[bytes]
    vectors: NDArray[Any]


def no_rows(settings: Settings) -> IndexContent:
    """Return the content of an index without a row."""
    hamming = settings.metric == "hamming"
    codes = (
        np.empty((0, settings.width // 8), dtype=np.uint8)
        if hamming
        else np.empty((0, settings.width), dtype=np.float32)
    )
    vectors = np.empty((0, settings.vector_width), dtype=settings.vector_dtype)
    return IndexContent(settings, codes, TextColumn(), TextColumn(), vectors)


class NamedRows:
    """The four columns of an index, in step: what changes one changes all, or none.

    It has no lock of its own; ``Index`` holds one around it.

    Raises
    ------
    ModelFileError
        If the content's structure does not fit its codes.
    """

    def __init__(self, content: IndexContent) -> None:
        self.settings = content.settings
        self.names, self.metadata = content.names, content.metadata
        self.vectors, self._deleted_below = content.vectors, content.deleted_below
        hamming = self.settings.metric == "hamming"
        self.codes: Any = (
            make_index(self.settings.width, self.settings.kind)
            if hamming
            else FloatIndex(self.settings.width)
        )
        self.codes.add(np.arange(len(content.codes)), content.codes)
        if content.structure:
            self.codes.restore(content.structure)

    def content(self) -> IndexContent:
        """Return what a file holds of the rows; later changes do not affect it."""
        structure = self.codes.structure() if self.settings.kind == "hnsw" else {}
        return IndexContent(
            self.settings,
            self.codes.rows.codes,
            self.names.snapshot(),
            self.metadata.snapshot(),
            self.vectors,
            structure,
            self._deleted_below,
        )

    @property
    def next_number(self) -> int:
        """The least number from which on none is, or was, the name of a row."""
        return max(self._deleted_below, index_rows.next_number(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str) -> int:
        """Return which row a name has; UsageError if none has it."""
        row = self.names.find(name)
        if row is None:
            raise UsageError(f"name: {name!r} is not in the index.")
        return row

    def checked(
        self,
        names: Sequence[str],
        codes: NDArray[Any],
        metadata: Sequence[dict[str, Any] | None] | None,
        vectors: NDArray[Any] | None,
    ) -> NewRows:
        """Return rows in the form they are kept in; reads only the settings, which never change.

        Raises
        ------
        UsageError
            If a name stands twice, or something has another length or width.
        """
        codes = (
            check_codes(codes, self.settings.width)
            if self.settings.metric == "hamming"
            else check_vectors(codes, self.settings.width)
        )
        encoded_names = index_rows.encode_names(names, len(codes))
        encoded_metadata = index_rows.encode_metadata(metadata, len(codes))
        beside = check_beside(vectors, len(codes), self.settings)
        return NewRows(list(names), codes, encoded_names, encoded_metadata, beside)

    def add(self, new: NewRows) -> None:
        """Add checked rows: all of them, or none.

        Raises
        ------
        UsageError
            If a name is there already.
        """
        there = self.names.rows()
        for name in new.names:
            if name in there:
                raise UsageError(f"names: {name!r} is in the index already; delete it first.")
        first = int(self.codes.rows.ids[-1]) + 1 if len(self) else 0
        with self._all_or_nothing():
            self.codes.add(np.arange(first, first + len(new.codes)), new.codes)
            self.names.extend(new.encoded_names)
            self.metadata.extend(new.encoded_metadata)
            self.vectors = np.concatenate([self.vectors, new.vectors])

    def delete(self, names: Sequence[str]) -> None:
        """As ``Index.delete``."""
        rows = np.array([self.row(name) for name in index_rows.check_names(names)], dtype=np.intp)
        kept = np.ones(len(self), dtype=bool)
        kept[rows] = False
        with self._all_or_nothing():
            self.codes.delete(self.codes.rows.ids[rows])
            self.names.keep(kept)
            self.metadata.keep(kept)
            self.vectors = self.vectors[kept]
        self._deleted_below = max(self._deleted_below, index_rows.next_number(names))

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put all columns back as they were if the block fails: out of memory, or Ctrl-C.

        Every change makes new arrays, so the old ones are still whole.
        """
        rows = self.codes.rows
        before = rows.ids, rows.codes, self.names.snapshot(), self.metadata.snapshot(), self.vectors
        try:
            yield
        except BaseException:
            rows.ids, rows.codes, self.names, self.metadata, self.vectors = before
            self.codes.forget()
            raise

    def search(
        self,
        codes: NDArray[Any],
        k: int,
        vectors: NDArray[Any] | None,
        shortlist: int | None,
    ) -> list[list[Hit]]:
        """As ``Index.search``."""
        k = check_k(k)
        if vectors is None:
            if shortlist is not None:
                raise UsageError("shortlist: re-ranking needs vectors; give those of the queries.")
            distances, rows = self._nearest(codes, k)
            return [self._hits(*pair) for pair in zip(rows, distances, strict=True)]
        shortlist = max(10 * k, 100) if shortlist is None else check_k(shortlist)
        if shortlist < k:
            raise UsageError(f"shortlist: must be at least k = {k}, got {shortlist}.")
        queries = check_beside(vectors, len(codes), self.settings)
        distances, rows = self._nearest(codes, shortlist)
        answers = []
        for query, row, distance in zip(queries, rows, distances, strict=True):
            order, cosines = by_cosine(query, self.vectors[row], distance)
            best = order[:k]
            answers.append(self._hits(row[best], distance[best], cosines[best]))
        return answers

    def _nearest(self, codes: NDArray[Any], k: int) -> tuple[list[Any], list[Any]]:
        """Return each query's distances and rows, without the padding."""
        hits = self.codes.search(codes, min(k, max(1, len(self))))
        rows = np.searchsorted(self.codes.rows.ids, hits.ids)
        found = hits.ids >= 0
        pairs = list(zip(hits.distances, rows, found, strict=True))
        return [d[f] for d, _, f in pairs], [r[f] for _, r, f in pairs]

    def _hits(self, rows: Any, distances: Any, cosines: Any = None) -> list[Hit]:
        found = []
        for place, (row, distance) in enumerate(zip(rows, distances, strict=True)):
            name = self.names[row]
            metadata = index_rows.decode_metadata(self.metadata[row], name)
            cosine = None if cosines is None else float(cosines[place])
            found.append(Hit(name, distance.item(), metadata, cosine))
        return found
