"""Replace files atomically and durably: write a temporary file, fsync it, and rename it."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from narrows.errors import ResourceError

__all__ = ["TEMPORARY", "replacing", "write_errors"]

_PREFIX = ".narrows-"
TEMPORARY = f"{_PREFIX}*.tmp"
"""The pattern of the names of unfinished files."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file, which replaces ``path`` if the block ends without an error.

    If ``path`` is a link, the file that it points to is replaced. The new file has the mode of the
    old one. Unfinished files of killed writers are removed first.

    Raises
    ------
    ResourceError
        If the file cannot be written; the old file is unchanged and no partial file remains.
    """
    with write_errors(path):
        target = Path(os.path.realpath(path)) if os.path.islink(path) else path
        if os.path.islink(target):
            raise ResourceError(f"{path}: is a link that points to itself.")
        if os.path.isdir(target):
            raise ResourceError(f"{path}: is a folder; name a file.")
        if os.path.exists(target) and not os.path.isfile(target):
            raise ResourceError(f"{path}: is not a regular file; nothing was written.")
        _remove_abandoned(target.parent)
        descriptor, temporary = _open_temporary(target)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(target.parent)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raise errors of the system during the block as ResourceError, naming ``path``.

    Raises
    ------
    ResourceError
        If the path cannot be written to, or is not a valid file name.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, ResourceError):
            raise
        raise ResourceError(f"{path}: cannot be written: {error.strerror}.") from error
    except ValueError as error:
        if "\0" not in str(path) and not isinstance(error, UnicodeError):
            raise
        raise ResourceError(f"{str(path)!r}: is not a valid file name: {error}.") from None


def _open_temporary(target: Path) -> tuple[int, Path]:
    """Open and lock a new temporary file; the lock shows that its writer is alive."""
    mode = 0o644
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(target).st_mode)
    while True:
        # short and random, so that long target names fit and two writers never collide
        temporary = target.parent / f"{_PREFIX}{secrets.token_hex(6)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with suppress(OSError):  # some file systems do not support locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # removed by another writer before it was locked


def _remove_abandoned(folder: Path) -> None:
    for temporary in folder.glob(TEMPORARY):
        with suppress(OSError):
            descriptor = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(temporary)
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
