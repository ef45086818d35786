"""Files put in place whole: written beside their target, fsynced, renamed, the folder fsynced."""

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

__all__ = ["TEMPORARY", "replacing"]

_BESIDE = ".narrows-"
TEMPORARY = f"{_BESIDE}*.tmp"
"""What the names of unfinished files match."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the block ends without an error.

    A link stays a link: what it points to is replaced. The new file has the old one's mode.
    Unfinished files of writers that were killed are swept away first.

    Raises
    ------
    ResourceError
        With the reason; the file that stood there is untouched and no partial file is left.
    """
    try:
        target = Path(os.path.realpath(path)) if os.path.islink(path) else path
        if os.path.islink(target):
            raise ResourceError(f"{path}: is a link that leads back to itself.")
        if os.path.isdir(target):
            raise ResourceError(f"{path}: is a folder; name a file.")
        if os.path.exists(target) and not os.path.isfile(target):
            raise ResourceError(f"{path}: is no regular file; nothing was written.")
        _remove_abandoned(target.parent)
        descriptor, beside = _open_beside(target)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(beside, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, ResourceError):
            raise
        raise ResourceError(f"{path}: cannot be written: {error.strerror}.") from error
    except ValueError as error:
        if "\0" not in str(path) and not isinstance(error, UnicodeError):
            raise
        raise ResourceError(f"{str(path)!r}: no file can have this name: {error}.") from None


def _open_beside(target: Path) -> tuple[int, Path]:
    """Open a new temporary file, locked: the lock says that its writer is alive."""
    mode = 0o644
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(target).st_mode)
    while True:
        # short and random, so that a long target name still fits and two writers never meet
        beside = target.parent / f"{_BESIDE}{secrets.token_hex(6)}.tmp"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, beside
        os.close(descriptor)  # swept away before it was locked


def _remove_abandoned(folder: Path) -> None:
    for beside in folder.glob(TEMPORARY):
        with suppress(OSError):
            descriptor = os.open(beside, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(beside)
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
