"""Run batches on all cores: one Python thread per core, with one torch thread each.

Torch splits each step among the cores and waits for all of them after it. For many short steps it
is faster to run whole batches side by side, as the steps hold no lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")

_MOST = 8


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``function`` of each item, in order, with as many threads as torch has, but at most 8,
    since each takes memory.

    The caller's thread draws the items, at most two per thread ahead of the results taken. An
    exception is raised in place of its result.
    """
    n_threads = min(torch.get_num_threads(), _MOST)
    if n_threads == 1:
        yield from map(function, items)
        return
    pool = _pool(n_threads)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            if len(waiting) == 2 * n_threads:
                yield waiting.popleft().result()
            waiting.append(_started(pool, function, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _started(pool: ThreadPoolExecutor, function: Callable[[T], R], item: T) -> Future[R]:
    try:
        return pool.submit(function, item)
    except RuntimeError:  # pools end with the main thread; other threads may outlive it
        done: Future[R] = Future()
        try:
            done.set_result(function(item))
        except Exception as error:
            done.set_exception(error)
        return done


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, "narrows", initializer=_one_torch_thread)


def _one_torch_thread() -> None:
    # for this thread only; torch sets its own number first, once per thread
    torch.get_num_threads()
    ThreadpoolController().select(user_api="openmp").limit(limits=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads are not copied
