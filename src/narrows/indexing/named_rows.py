"""Keep the codes, names, metadata and vectors of an index in memory, and search them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import UsageError
from narrows.indexing.float_index import FloatIndex, check_vectors
from narrows.indexing.index_file import IndexContent
from narrows.indexing.kinds import make_index
from narrows.indexing.protocol import Hit, check_codes, check_k
from narrows.indexing.row_encoding import (
    VECTOR_DTYPE,
    check_names,
    decode_metadata,
    encode_metadata,
    encode_names,
    encode_vectors,
    next_number,
)
from narrows.indexing.settings import Settings
from narrows.indexing.text_column import TextColumn

__all__ = ["NamedRows", "NewRows", "no_rows"]


@dataclass(frozen=True)
class NewRows:
    """Rows that match the settings of the index; their names may exist already."""

    names: list[str]
    codes: NDArray[Any]
    encoded_names: list[bytes]
    encoded_metadata: list[bytes]
    vectors: NDArray[Any]


def no_rows(settings: Settings) -> IndexContent:
    """Return the content of an empty index."""
    hamming = settings.metric == "hamming"
    codes = (
        np.empty((0, settings.width // 8), dtype=np.uint8)
        if hamming
        else np.empty((0, settings.width), dtype=np.float32)
    )
    vectors = np.empty((0, settings.vector_width), dtype=VECTOR_DTYPE)
    return IndexContent(settings, codes, TextColumn(), TextColumn(), vectors)


class NamedRows:
    """Codes, names, metadata and vectors, changed all together or not at all.

    It has no lock; ``Index`` locks it.

    Raises
    ------
    ModelFileError
        If the stored structure does not match the codes.
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
        """Return the content to store in a file; later changes do not affect it."""
        structure = self.codes.structure() if self.settings.kind == "hnsw" else {}
        return IndexContent(
            self.settings,
            self.codes.table.codes,
            self.names.snapshot(),
            self.metadata.snapshot(),
            self.vectors,
            structure,
            self._deleted_below,
        )

    @property
    def next_number(self) -> int:
        """See ``Index.next_number``."""
        return max(self._deleted_below, next_number(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str) -> int:
        """Return the row of a name; raise UsageError if the name does not exist."""
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
        """Return validated, encoded rows; needs no lock, because it reads only the settings.

        Raises
        ------
        UsageError
            If a name is repeated, or a length or width does not match.
        """
        codes = (
            check_codes(codes, self.settings.width)
            if self.settings.metric == "hamming"
            else check_vectors(codes, self.settings.width)
        )
        n = len(codes)
        return NewRows(
            list(names),
            codes,
            encode_names(names, n),
            encode_metadata(metadata, n),
            encode_vectors(vectors, n, self.settings),
        )

    def add(self, new: NewRows) -> None:
        """Add validated rows: all of them, or none.

        Raises
        ------
        UsageError
            If a name exists already.
        """
        existing = self.names.rows()
        for name in new.names:
            if name in existing:
                raise UsageError(f"names: {name!r} is in the index already; delete it first.")
        first = int(self.codes.table.ids[-1]) + 1 if len(self) else 0
        with self._all_or_nothing():
            self.codes.add(np.arange(first, first + len(new.codes)), new.codes)
            self.names.extend(new.encoded_names)
            self.metadata.extend(new.encoded_metadata)
            self.vectors = np.concatenate([self.vectors, new.vectors])

    def delete(self, names: Sequence[str]) -> None:
        """See ``Index.delete``."""
        rows = np.array([self.row(name) for name in check_names(names)], dtype=np.intp)
        kept = np.ones(len(self), dtype=bool)
        kept[rows] = False
        with self._all_or_nothing():
            self.codes.delete(self.codes.table.ids[rows])
            self.names.keep(kept)
            self.metadata.keep(kept)
            self.vectors = self.vectors[kept]
        self._deleted_below = max(self._deleted_below, next_number(names))

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Restore all columns if the block fails, for lack of memory or by Ctrl-C.

        Every change creates new arrays, so the old ones are intact.
        """
        rows = self.codes.table
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
        """See ``Index.search``."""
        k = check_k(k)
        if vectors is None:
            if shortlist is not None:
                raise UsageError("shortlist: re-ranking needs vectors of the queries; give them.")
            distances, rows = self._nearest(codes, k)
            return [self._hits(*pair) for pair in zip(rows, distances, strict=True)]
        shortlist = max(10 * k, 100) if shortlist is None else check_k(shortlist)
        if shortlist < k:
            raise UsageError(f"shortlist: must be at least k = {k}, got {shortlist}.")
        queries = encode_vectors(vectors, len(codes), self.settings)
        distances, rows = self._nearest(codes, shortlist)
        answers = []
        for query, row, distance in zip(queries, rows, distances, strict=True):
            order, cosines = _by_cosine(query, self.vectors[row], distance)
            best = order[:k]
            answers.append(self._hits(row[best], distance[best], cosines[best]))
        return answers

    def _nearest(self, codes: NDArray[Any], k: int) -> tuple[list[Any], list[Any]]:
        """Return distances and rows of each query, without padding."""
        hits = self.codes.search(codes, min(k, max(1, len(self))))
        rows = np.searchsorted(self.codes.table.ids, hits.ids)
        found = hits.ids >= 0
        pairs = list(zip(hits.distances, rows, found, strict=True))
        return [d[f] for d, _, f in pairs], [r[f] for _, r, f in pairs]

    def _hits(self, rows: Any, distances: Any, cosines: Any = None) -> list[Hit]:
        found = []
        for place, (row, distance) in enumerate(zip(rows, distances, strict=True)):
            name = self.names[row]
            metadata = decode_metadata(self.metadata[row], name)
            cosine = None if cosines is None else float(cosines[place])
            found.append(Hit(name, distance.item(), metadata, cosine))
        return found


def _by_cosine(
    query: NDArray[Any], vectors: NDArray[Any], distances: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the order of ``vectors`` (n, width) by (cosine, distance, position), and the cosines.

    Each row is summed on its own in float64, so equal vectors have equal cosines.
    """
    cosines = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    return np.lexsort((np.arange(len(cosines)), distances, -cosines)), cosines
