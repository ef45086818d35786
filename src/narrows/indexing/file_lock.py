"""Lock a file against other writers while it is replaced."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from narrows.artefact.durable import write_errors
from narrows.errors import OutputBusy

__all__ = ["writing_alone"]

_PAUSE = 0.02


@contextmanager
def writing_alone(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the write lock of ``path`` during the block.

    The lock is on a small file in the same folder, removed afterwards, because every save replaces
    ``path`` itself. The system releases the lock of a killed writer. A process must not acquire the
    lock again while it holds it.

    Raises
    ------
    OutputBusy
        If another process holds the lock for more than ``wait`` seconds.
    ResourceError
        If the folder cannot be written to.
    """
    deadline = time.monotonic() + wait
    with write_errors(path):
        lock = _lock_path(path)
        descriptor = _acquire(path, lock, deadline)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _lock_path(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f".narrows-{name}.lock"  # a hash, so that long names fit


def _acquire(path: Path, lock: Path, deadline: float) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(descriptor, lock):
                return descriptor
            os.close(descriptor)  # the last holder removed this file: open the new one
            continue
        except BlockingIOError:
            os.close(descriptor)
        except OSError:
            return descriptor  # some file systems do not support locks
        if time.monotonic() > deadline:
            raise OutputBusy(
                f"{path}: another process is writing this index; wait until it is done."
            )
        time.sleep(_PAUSE)


def _is_same_file(descriptor: int, path: Path) -> bool:
    opened = os.fstat(descriptor)
    try:
        current = os.stat(path)
    except FileNotFoundError:
        return False
    return (opened.st_dev, opened.st_ino) == (current.st_dev, current.st_ino)
