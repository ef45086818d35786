"""Lock an index in memory: searches run concurrently, changes run alone."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Condition, get_ident, local
from typing import Any

from narrows.errors import UsageError

__all__ = ["SharedLock"]


class SharedLock:
    """A lock that many threads can hold to read, and one thread alone to write.

    Threads acquire it in the order of their requests, and adjacent readers in the queue together,
    so neither readers nor writers can starve. A thread may acquire again what it holds. A fork
    waits until no thread writes, so a child process never inherits a partial change. Copies and
    pickles get a new lock.

    Raises
    ------
    UsageError
        If a thread wants to write while it reads, as a signal handler that interrupts a search may:
        it would wait for itself.
    """

    def __init__(self) -> None:
        self._renew()
        _LOCKS.add(self)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        me = get_ident()
        before = self._readers.get(me, 0)
        try:
            with self._free:
                if self._writer != me and not before:
                    self._queue_up(writes=False)
                self._readers[me] = before + 1
            yield
        finally:
            with self._free:
                if before:
                    self._readers[me] = before
                else:
                    self._readers.pop(me, None)
                self._free.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        me = get_ident()
        if self._writer == me:
            yield
            return
        if me in self._readers:
            raise UsageError(
                "index: a thread cannot change it during its own search, as a signal handler "
                "would; make the change afterwards, or in another thread."
            )
        try:
            with self._free:
                self._queue_up(writes=True)
                self._writer = me
            yield
        finally:
            with self._free:
                if self._writer == me:
                    self._writer = None
                self._free.notify_all()

    def _queue_up(self, *, writes: bool) -> None:
        """Wait, holding ``_free``, until it is this thread's turn."""
        ticket = object()
        self._queue[ticket] = writes
        try:
            while not self._is_turn_of(ticket, writes=writes):
                self._free.wait()
        finally:
            del self._queue[ticket]
            self._free.notify_all()  # the next thread in the queue may be able to run

    def _is_turn_of(self, ticket: object, *, writes: bool) -> bool:
        if self._writer is not None or (writes and self._readers):
            return False
        for other, other_writes in self._queue.items():
            if other is ticket:
                return True
            if writes or other_writes:
                return False
        return True

    def _renew(self) -> None:
        self._free = Condition()
        self._queue: dict[object, bool] = {}  # waiting threads, and whether each writes
        self._readers: dict[int, int] = {}  # by thread: how often it holds the lock
        self._writer: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedLock, ()


_LOCKS: weakref.WeakSet[SharedLock] = weakref.WeakSet()
_FORKING = local()


def _before_fork() -> None:
    _FORKING.held = held = ExitStack()
    for lock in list(_LOCKS):
        held.enter_context(lock.reading())


def _after_fork_in_parent() -> None:
    _FORKING.held.close()


def _after_fork_in_child() -> None:
    for lock in list(_LOCKS):
        lock._renew()  # the threads that held it do not exist in the child
    _FORKING.held.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
