"""Keep codes with names, metadata and vectors in one file, and search them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os.path import exists, realpath
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from narrows.core.isolation import isolate_methods, out_of_inference
from narrows.errors import ModelFileError, OutputBusy, UsageError
from narrows.indexing.file_lock import writing_alone
from narrows.indexing.index_file import (
    IndexContent,
    identity,
    read_index,
    verify_index,
    write_index,
)
from narrows.indexing.named_rows import NamedRows, no_rows
from narrows.indexing.protocol import Hit, check_k
from narrows.indexing.row_encoding import check_names, decode_metadata
from narrows.indexing.settings import new_settings
from narrows.indexing.shared_lock import SharedLock

__all__ = ["Index"]

_WAIT = 10.0


@isolate_methods
class Index:
    """An index of named codes; make one with ``create`` or ``load``.

    Threads may share an index: searches run concurrently, additions and deletions one at a time,
    and a search sees all of a change or nothing of it. Hits are ordered by distance, then in the
    order in which they were added; re-ranked hits by cosine, distance, and order of adding. Changes
    stay in memory until ``save``; if the process is killed, the file remains as last saved.

    If several processes change one file, use ``with Index.updating(path) as index``: each waits for
    the others. ``save`` refuses to overwrite what another process saved after this index was
    loaded, so no row is lost.

    Examples
    --------
    >>> import numpy as np
    >>> index = Index.create(n_bits=8)
    >>> index.add(["ant", "bee"], np.array([[0b0011], [0b1111]], dtype=np.uint8))
    >>> [(hit.name, hit.distance) for hit in index.search(np.array([[1]], dtype=np.uint8), 2)[0]]
    [('ant', 1), ('bee', 3)]
    """

    def __init__(self, content: IndexContent) -> None:
        self.settings = content.settings
        self._rows = NamedRows(content)
        self._lock, self._saving = SharedLock(), SharedLock()
        # path and identity of the file that was loaded or saved
        self._file: tuple[Path, Any] | None = None

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
    ) -> Index:
        """Return an empty index.

        Parameters
        ----------
        n_bits : int, optional
            Width of packed binary codes, compared by Hamming distance: a multiple of 8 from 8 to
            4096.
        n_components : int, optional
            Width of codes of floats, compared by cosine. Give exactly one of the two.
        kind : {"auto", "flat", "hash", "multihash", "hnsw"}
            The kind of index of binary codes; "auto" selects one by ``kinds.choose_kind``.
        model_digest : str
            The digest of the model that computed the codes; ``load`` compares it.
        model_path : str
            The path of that model, relative to the folder of the index.
        vector_width : int
            Width of the vectors that re-rank hits, stored as float16; 0 stores none.

        Raises
        ------
        UsageError
            If a value is invalid.
        """
        settings = new_settings(n_bits, n_components, kind, model_digest, vector_width, model_path)
        return cls(no_rows(settings))

    @classmethod
    def load(cls, path: str | Path, *, model_digest: str | None = None) -> Index:
        """Load an index from a file.

        Raises
        ------
        ModelFileError
            If the file is damaged, its parts are inconsistent, or it was made with another model
            than the one whose ``model_digest`` is given.
        FileNotFoundError
            If there is no such file.
        """
        path = Path(path)
        while True:  # until the file did not change while it was read
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
        index._file = path, before
        return index

    @classmethod
    @contextmanager
    def updating(
        cls, path: str | Path, *, model_digest: str | None = None, wait: float = _WAIT
    ) -> Iterator[Index]:
        """Lock and load an index file; save the index at the end of the block.

        Nothing is saved if the block raises an error.

        Raises
        ------
        OutputBusy
            If another process holds the lock for more than ``wait`` seconds.
        """
        with writing_alone(Path(path), wait=wait):
            index = cls.load(path, model_digest=model_digest)
            yield index
            with index._saving.writing():
                index._write(Path(path))

    def save(self, path: str | Path, *, replace: bool = False, wait: float = _WAIT) -> None:
        """Write the index to a file atomically.

        A file that this index was neither loaded from nor saved to is overwritten only with
        ``replace=True``.

        Raises
        ------
        UsageError
            If another file exists at ``path``.
        OutputBusy
            If another process writes the file for more than ``wait`` seconds, or has changed it
            since this index was loaded from it.
        ResourceError
            If the disk is full or the file cannot be written.
        ModelFileError
            If the index in memory is inconsistent, so its file would not load.
        """
        path = Path(path)
        with self._saving.writing(), writing_alone(path, wait=wait):
            known, identified = self._file or (None, None)
            is_known = known is not None and realpath(path) == realpath(known)
            if is_known and exists(path) and identity(path) != identified:
                raise OutputBusy(
                    f"{path}: has changed since it was loaded; load it again and repeat the "
                    "change, or save to another file."
                )
            if not is_known and not replace and exists(path):
                raise UsageError(
                    f"{path}: exists already; load it and add to it, or save with replace=True."
                )
            self._write(path)

    def _write(self, path: Path) -> None:
        write_index(path, self._content())
        self._file = path, identity(path)

    @contextmanager
    def _ready(self) -> Iterator[NamedRows]:
        """Yield the rows, ready to search; nothing changes them during the block."""
        while True:
            with self._lock.reading():
                if self._rows.codes.ready:
                    yield self._rows
                    return
            with self._lock.writing():
                self._rows.codes.prepare()

    def _content(self) -> IndexContent:
        """Return the content as it is now; rows added later are not in it."""
        with self._ready() as rows:
            return rows.content()

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self._content(), "file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Index.__init__(self, out_of_inference(state["content"]))
        self._file = state["file"]

    def __len__(self) -> int:
        with self._lock.reading():
            return len(self._rows)

    def __contains__(self, name: str) -> bool:
        with self._lock.reading():
            return self._rows.names.find(name) is not None

    @property
    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        with self._lock.reading():
            return list(self._rows.names)

    @property
    def next_number(self) -> int:
        """The next number to use as a name if rows are named by numbers: no row, deleted ones
        included, has it or a larger one as its name."""
        with self._lock.reading():
            return self._rows.next_number

    def metadata(self, name: str) -> dict[str, Any]:
        """Return the metadata of a row, {} if it has none."""
        with self._lock.reading():
            text = self._rows.metadata[self._rows.row(name)]
        return decode_metadata(text, name)

    def code(self, name: str) -> NDArray[Any]:
        """Return the code of a row; codes of floats are scaled to length 1."""
        with self._lock.reading():
            return self._rows.codes.table.codes[self._rows.row(name)].copy()

    def add(
        self,
        names: Sequence[str],
        codes: NDArray[Any],
        metadata: Sequence[dict[str, Any] | None] | None = None,
        vectors: NDArray[Any] | None = None,
    ) -> None:
        """Add rows: all of them, or none if one is invalid.

        Parameters
        ----------
        names : sequence of str
            Unique names of 1 to 65,535 bytes in UTF-8.
        codes : uint8 array (n, n_bits // 8), or float array (n, n_components)
        metadata : sequence of dict, optional
            Dictionaries of JSON values.
        vectors : float array (n, vector_width), optional
            Vectors to re-rank by, required if the index stores vectors; scaled to length 1.

        Raises
        ------
        UsageError
            If a name is repeated or exists already, or a length or width does not match.
        """
        new = self._rows.checked(names, codes, metadata, vectors)
        with self._lock.writing():
            self._rows.add(new)

    def delete(self, names: Sequence[str]) -> None:
        """Delete rows. Raises UsageError, and deletes none, if a name is unknown or repeated."""
        names = check_names(names)
        with self._lock.writing():
            self._rows.delete(names)

    def search(
        self,
        codes: NDArray[Any],
        k: int,
        *,
        vectors: NDArray[Any] | None = None,
        shortlist: int | None = None,
    ) -> list[list[Hit]]:
        """Return the k nearest rows of each query code, fewer if the index has fewer.

        Parameters
        ----------
        codes : uint8 array (n_queries, n_bits // 8), or float array (n_queries, n_components)
        k : int
            At least 1.
        vectors : float array (n_queries, vector_width), optional
            Query vectors: the ``shortlist`` nearest rows by code are ordered by their cosine.
        shortlist : int, optional
            At least k; the default is 10 k, but at least 100.

        Raises
        ------
        UsageError
            If a value is invalid, or the index stores no vectors to re-rank by.
        """
        with self._ready() as rows:
            return rows.search(codes, k, vectors, shortlist)

    def like(self, name: str, k: int, *, shortlist: int | None = None) -> list[Hit]:
        """Return the k rows nearest to a named row, without itself; ``shortlist`` re-ranks them.

        Raises
        ------
        UsageError
            If the name does not exist.
        """
        k = check_k(k)
        with self._ready() as rows:
            row, vectors = rows.row(name), None
            if shortlist is not None:
                vectors, shortlist = rows.vectors[row][None], check_k(shortlist) + 1
            code = rows.codes.table.codes[row][None]
            hits = rows.search(code, k + 1, vectors, shortlist)[0]
        return [hit for hit in hits if hit.name != name][:k]

    def verify(self) -> dict[str, Any]:
        """Check what ``load`` does not check, and return a summary.

        This checks the digest of the file, if there is one, that names are unique and metadata are
        JSON, and compares the hits for a sample of the index's own codes with those of a full scan.

        Raises
        ------
        ModelFileError
            If a check fails.
        """
        if self._file is not None:
            read_index(self._file[0])
        with self._ready() as rows:
            return verify_index(self.settings, rows.codes, rows.names, rows.metadata)
