"""The index that users keep: codes with their names and what is known of them, in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os.path import exists, realpath
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from narrows.core.isolation import isolate_methods, out_of_inference
from narrows.errors import ModelFileError, OutputBusy, UsageError
from narrows.indexing import stored_rows as index_rows
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
from narrows.indexing.settings import new_settings
from narrows.indexing.shared_lock import SharedLock

__all__ = ["Index"]

_WAIT = 10.0


@isolate_methods
class Index:
    """Codes by name: add, delete, search, keep in a file. Made by ``create`` or ``load``.

    Threads may share an index: searches run side by side, additions and deletions one at a time,
    and each is seen whole or not at all. Hits come by distance, and among equals in the order in
    which they were added; re-ranked ones by cosine, distance, order of adding. Changes are in
    memory until ``save``; a process that is killed leaves the file as it last was saved.

    Two processes that change one file: use ``with Index.updating(path) as index``, for which the
    second waits. A ``save`` that would undo what another has saved since this one was loaded is
    refused, so no row is lost.

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
        self._file: tuple[Path, Any] | None = None  # where it was loaded from or saved to

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
        return cls(no_rows(settings))

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
        index._file = path, before
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
            with index._saving.writing():
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
        ModelFileError
            If the index in memory is inconsistent, so its file would not load.
        """
        path = Path(path)
        with self._saving.writing(), writing_alone(path, wait=wait):
            known, identified = self._file or (None, None)
            ours = known is not None and realpath(path) == realpath(known)
            if ours and exists(path) and identity(path) != identified:
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
        """Return the rows as they are now, without any that are added meanwhile."""
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
        """All names, in the order in which they were added; an object each."""
        with self._lock.reading():
            return list(self._rows.names)

    @property
    def next_number(self) -> int:
        """The number to go on from where rows are named by numbers: neither it nor a larger one is
        a name, nor was that of a row since deleted."""
        with self._lock.reading():
            return self._rows.next_number

    def metadata(self, name: str) -> dict[str, Any]:
        """Return what was added with a name, {} if nothing was."""
        with self._lock.reading():
            text = self._rows.metadata[self._rows.row(name)]
        return index_rows.decode_metadata(text, name)

    def code(self, name: str) -> NDArray[Any]:
        """Return the code that was added with a name; of floats, scaled to length 1."""
        with self._lock.reading():
            return self._rows.codes.rows.codes[self._rows.row(name)].copy()

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
        new = self._rows.checked(names, codes, metadata, vectors)
        with self._lock.writing():
            self._rows.add(new)

    def delete(self, names: Sequence[str]) -> None:
        """Delete rows; all of them, or none if a name is unknown or stands twice (UsageError)."""
        names = index_rows.check_names(names)
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
        with self._ready() as rows:
            return rows.search(codes, k, vectors, shortlist)

    def like(self, name: str, k: int, *, shortlist: int | None = None) -> list[Hit]:
        """Return the k rows most like a named one, without itself; re-ranked with a shortlist.

        Raises
        ------
        UsageError
            If there is no such name.
        """
        k = check_k(k)
        with self._ready() as rows:
            row, vectors = rows.row(name), None
            if shortlist is not None:
                vectors, shortlist = rows.vectors[row][None], check_k(shortlist) + 1
            code = rows.codes.rows.codes[row][None]
            hits = rows.search(code, k + 1, vectors, shortlist)[0]
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
        if self._file is not None:
            read_index(self._file[0])
        with self._ready() as rows:
            return verify_index(self.settings, rows.codes, rows.names, rows.metadata)
