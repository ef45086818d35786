"""The index that users keep: codes with their names and what is known of them, in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import exists, realpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError, OutputBusy, UsageError
from narrows.indexing import index_rows
from narrows.indexing.file_lock import writing_alone
from narrows.indexing.float_index import FloatIndex, check_vectors
from narrows.indexing.index_file import IndexContent, identity, read_index, write_index
from narrows.indexing.kinds import make_index
from narrows.indexing.protocol import check_codes, check_k
from narrows.indexing.settings import new_settings
from narrows.indexing.texts import TextColumn
from narrows.indexing.vectors import by_cosine, check_beside
from narrows.indexing.verification import verify_index

__all__ = ["Hit", "Index"]

_WAIT = 10.0


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    ``distance`` is in bits that differ, or 1 - cosine of float codes; ``cosine`` is that of the
    vectors, where they decided the order.
    """

    name: str
    distance: float
    metadata: dict[str, Any]
    cosine: float | None = None


class Index:
    """Codes by name: add, delete, search, keep in a file. Made by ``create`` or ``load``.

    Hits come by distance, and among equals in the order in which they were added; re-ranked
    ones by cosine, distance, order of adding. Changes are in memory until ``save``; a process
    that is killed leaves the file as it last was saved.

    Two processes that change one file: use ``with Index.updating(path) as index``, for which the
    second waits. A ``save`` that would undo what another has saved since this one was loaded is
    refused, so no row is lost.

    Examples
    --------
    >>> index = Index.create(n_bits=8)
    >>> index.add(["ant", "bee"], np.array([[0b0011], [0b1111]], dtype=np.uint8))
    >>> [(hit.name, hit.distance) for hit in index.search(np.array([[1]], dtype=np.uint8), 2)[0]]
    [('ant', 1), ('bee', 3)]
    """

    def __init__(self, content: IndexContent) -> None:
        self.settings = content.settings
        self._names, self._metadata = content.names, content.metadata
        self._vectors = content.vectors
        hamming = self.settings.metric == "hamming"
        self._codes: Any = (
            make_index(self.settings.width, self.settings.kind)
            if hamming
            else FloatIndex(self.settings.width)
        )
        self._codes.add(np.arange(len(content.codes)), content.codes)
        if content.structure:
            self._codes.restore(content.structure)
        self._path: Path | None = None
        self._identity: Any = None

    @classmethod
    def create(
        cls,
        *,
        n_bits: int | None = None,
        n_components: int | None = None,
        kind: str = "auto",
        model_digest: str = "",
        model_path: str = "",
        vector_width: int = 0,
        vector_dtype: str = "float16",
    ) -> Index:
        """Return an empty index.

        Parameters
        ----------
        n_bits : int, optional
            For packed binary codes, by Hamming distance: a multiple of 8 from 8 to 4096.
        n_components : int, optional
            For codes of floats, by cosine; one of the two is to be given.
        kind : {"auto", "flat", "hash", "multihash", "hnsw", "ivf"}
            Of binary codes, see ``kinds.choose_kind``.
        model_digest : str
            Which model the codes are of; ``load`` compares it.
        model_path : str
            Where that model's file is, seen from the index's folder.
        vector_width : int
            Numbers a row to re-rank by, 0 for none.
        vector_dtype : {"float16", "float32"}
            How those are kept.

        Raises
        ------
        UsageError
            If a value cannot be.
        """
        settings = new_settings(
            n_bits, n_components, kind, model_digest, vector_width, vector_dtype, model_path
        )
        hamming = settings.metric == "hamming"
        codes = (
            np.empty((0, settings.width // 8), dtype=np.uint8)
            if hamming
            else np.empty((0, settings.width), dtype=np.float32)
        )
        vectors = np.empty((0, settings.vector_width), dtype=vector_dtype)
        return cls(IndexContent(settings, codes, TextColumn(), TextColumn(), vectors))

    @classmethod
    def load(cls, path: str | Path, *, model_digest: str | None = None) -> Index:
        """Return the index in a file.

        Raises
        ------
        ModelFileError
            If the file is damaged, its parts do not fit together, or it was made with another
            model than ``model_digest``, where that is given.
        FileNotFoundError
            If there is no such file.
        """
        path = Path(path)
        while True:  # until the file is the same before and after
            before = identity(path)
            content = read_index(path)
            if identity(path) == before:
                break
        made_with = content.settings.model_digest
        if model_digest is not None and made_with != model_digest:
            raise ModelFileError(
                f"{path}: made with another model ({made_with[:12] or 'none named'}, not "
                f"{model_digest[:12]}); use that model, or index the data again."
            )
        try:
            index = cls(content)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        index._path, index._identity = path, before
        return index

    @classmethod
    @contextmanager
    def updating(
        cls, path: str | Path, *, model_digest: str | None = None, wait: float = _WAIT
    ) -> Iterator[Index]:
        """Load an index, keep others from changing the file, and save it at the block's end.

        An error in the block saves nothing.

        Raises
        ------
        OutputBusy
            If another process is at it for more than ``wait`` seconds.
        """
        with writing_alone(Path(path), wait=wait):
            index = cls.load(path, model_digest=model_digest)
            yield index
            index._write(Path(path))

    def save(self, path: str | Path, *, replace: bool = False, wait: float = _WAIT) -> None:
        """Write the index to a file: the whole new one, or the old one stays.

        Another file than the one it was loaded from or saved to is only written over where
        ``replace`` says so.

        Raises
        ------
        UsageError
            If there is another file.
        OutputBusy
            If another process is writing the file for more than ``wait`` seconds, or has changed
            it since it was loaded from there.
        ResourceError
            If the disk is full or the file cannot be written.
        """
        path = Path(path)
        with writing_alone(path, wait=wait):
            ours = self._path is not None and realpath(path) == realpath(self._path)
            if ours and exists(path) and identity(path) != self._identity:
                raise OutputBusy(
                    f"{path}: has changed since it was loaded; load it again and repeat the "
                    "change, or save to another file."
                )
            if not ours and not replace and exists(path):
                raise UsageError(
                    f"{path}: is there already; load it and add to it, or save with replace=True."
                )
            self._write(path)

    def _write(self, path: Path) -> None:
        write_index(path, self._content())
        self._path, self._identity = path, identity(path)

    def _content(self) -> IndexContent:
        structure = self._codes.structure() if self.settings.kind == "hnsw" else {}
        return IndexContent(
            self.settings,
            self._codes.rows.codes,
            self._names,
            self._metadata,
            self._vectors,
            structure,
        )

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return self._names.find(name) is not None

    @property
    def names(self) -> list[str]:
        """All names, in the order in which they were added; an object each."""
        return list(self._names)

    def metadata(self, name: str) -> dict[str, Any]:
        """Return what was added with a name, {} if nothing was."""
        return index_rows.decode_metadata(self._metadata[self._row(name)], name)

    def code(self, name: str) -> NDArray[Any]:
        """Return the code that was added with a name; of floats, scaled to length 1."""
        return self._codes.rows.codes[self._row(name)].copy()

    def add(
        self,
        names: Sequence[str],
        codes: NDArray[Any],
        metadata: Sequence[dict[str, Any] | None] | None = None,
        vectors: NDArray[Any] | None = None,
    ) -> None:
        """Add rows; all of them, or none if one cannot be.

        Parameters
        ----------
        names : sequence of str
            Unique; 1 to 65,535 bytes of UTF-8 each.
        codes : uint8 array (n, n_bits // 8), or float array (n, n_components)
        metadata : sequence of dict, optional
            JSON values.
        vectors : float array (n, vector_width), optional
            To re-rank by; needed where the index keeps vectors. Kept scaled to length 1.

        Raises
        ------
        UsageError
            If a name stands twice or is there already, or something has another length or width.
        """
        codes = (
            check_codes(codes, self.settings.width)
            if self.settings.metric == "hamming"
            else check_vectors(codes, self.settings.width)
        )
        new_names = index_rows.encode_names(names, len(codes))
        there = self._names.rows()
        for name in names:
            if name in there:
                raise UsageError(f"names: {name!r} is in the index already; delete it first.")
        new_metadata = index_rows.encode_metadata(metadata, len(codes))
        new_vectors = check_beside(vectors, len(codes), self.settings)
        first = int(self._codes.rows.ids[-1]) + 1 if len(self) else 0
        self._codes.add(np.arange(first, first + len(codes)), codes)
        self._names.extend(new_names)
        self._metadata.extend(new_metadata)
        self._vectors = np.concatenate([self._vectors, new_vectors])

    def delete(self, names: Sequence[str]) -> None:
        """Delete rows; all of them, or none if a name is unknown or stands twice (UsageError)."""
        rows = np.array([self._row(name) for name in index_rows.check_names(names)], dtype=np.intp)
        self._codes.delete(self._codes.rows.ids[rows])
        kept = np.ones(len(self), dtype=bool)
        kept[rows] = False
        self._names.keep(kept)
        self._metadata.keep(kept)
        self._vectors = self._vectors[kept]

    def search(
        self,
        codes: NDArray[Any],
        k: int,
        *,
        vectors: NDArray[Any] | None = None,
        shortlist: int | None = None,
    ) -> list[list[Hit]]:
        """Return the k nearest of each code, fewer where the index has fewer.

        Parameters
        ----------
        codes : uint8 array (n_queries, n_bits // 8), or float array (n_queries, n_components)
        k : int
            At least 1.
        vectors : float array (n_queries, vector_width), optional
            The ``shortlist`` nearest by code are put in order by the cosine of these.
        shortlist : int, optional
            At least k; by default 10 k, and 100 at least.

        Raises
        ------
        UsageError
            If a value cannot be, or there are no vectors to re-rank by.
        """
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
            order, cosines = by_cosine(query, self._vectors[row], distance)
            best = order[:k]
            answers.append(self._hits(row[best], distance[best], cosines[best]))
        return answers

    def like(self, name: str, k: int, *, shortlist: int | None = None) -> list[Hit]:
        """Return the k rows most like a named one, without itself; re-ranked with a shortlist.

        Raises
        ------
        UsageError
            If there is no such name.
        """
        row, k = self._row(name), check_k(k)
        vectors = None
        if shortlist is not None:
            vectors, shortlist = self._vectors[row][None], check_k(shortlist) + 1
        code = self._codes.rows.codes[row][None]
        hits = self.search(code, k + 1, vectors=vectors, shortlist=shortlist)[0]
        return [hit for hit in hits if hit.name != name][:k]

    def verify(self) -> dict[str, Any]:
        """Check what loading leaves unchecked; return what was looked at.

        The file, if there is one, against its digest; names unique; metadata JSON; and what the
        index finds for a sample of its own codes against comparing with every code.

        Raises
        ------
        ModelFileError
            With what is wrong.
        """
        if self._path is not None:
            read_index(self._path)
        return verify_index(self.settings, self._codes, self._names, self._metadata)

    def _nearest(self, codes: NDArray[Any], k: int) -> tuple[list[Any], list[Any]]:
        """Return each query's distances and rows, without the padding."""
        hits = self._codes.search(codes, min(k, max(1, len(self))))
        rows = np.searchsorted(self._codes.rows.ids, hits.ids)
        found = hits.ids >= 0
        pairs = list(zip(hits.distances, rows, found, strict=True))
        return [d[f] for d, _, f in pairs], [r[f] for _, r, f in pairs]

    def _hits(self, rows: Any, distances: Any, cosines: Any = None) -> list[Hit]:
        found = []
        for place, (row, distance) in enumerate(zip(rows, distances, strict=True)):
            name = self._names[row]
            metadata = index_rows.decode_metadata(self._metadata[row], name)
            cosine = None if cosines is None else float(cosines[place])
            found.append(Hit(name, distance.item(), metadata, cosine))
        return found

    def _row(self, name: str) -> int:
        row = self._names.find(name)
        if row is None:
            raise UsageError(f"name: {name!r} is not in the index.")
        return row
