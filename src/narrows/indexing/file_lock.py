"""One writer at a time to a file that is replaced whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from narrows.errors import OutputBusy, ResourceError

__all__ = ["writing_alone"]

_PAUSE = 0.02


@contextmanager
def writing_alone(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock on ``path``, which its other writers ask for too.

    The lock is on a small file beside it, gone afterwards: the file itself is replaced by each
    save. The system lets go of a killed writer's lock. A process asks once at a time.

    Raises
    ------
    OutputBusy
        If another holds it for more than ``wait`` seconds.
    ResourceError
        If the folder cannot be written.
    """
    deadline = time.monotonic() + wait
    try:
        lock = _lock_path(path)
        descriptor = _acquire(path, lock, deadline)
    except OSError as error:
        if isinstance(error, ResourceError):
            raise
        raise ResourceError(f"{path}: cannot be written: {error.strerror}.") from error
    except ValueError as error:
        if isinstance(error, OutputBusy):
            raise
        raise ResourceError(f"{str(path)!r}: no file can have this name: {error}.") from None
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _lock_path(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".narrows-{name}.lock"  # short, so that a long name still fits


def _acquire(path: Path, lock: Path, deadline: float) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(descriptor, lock):
                return descriptor
            os.close(descriptor)  # the last holder took the name away: ask for the new one
            continue
        except BlockingIOError:
            os.close(descriptor)
        except OSError:
            return descriptor  # some file systems have no locks
        if time.monotonic() > deadline:
            raise OutputBusy(
                f"{path}: another process is writing this index; wait until it is done."
            )
        time.sleep(_PAUSE)


def _same(descriptor: int, path: Path) -> bool:
    held = os.fstat(descriptor)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)
