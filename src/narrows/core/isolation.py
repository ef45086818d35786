"""Run numerics under fixed settings of torch and numpy, whatever the caller has set.

A program may run in float64 (``torch.set_default_dtype``), without gradients (``no_grad``,
``inference_mode``), under autocast, on another default device, or with numpy raising on underflow.
None of these settings is meant for the nets here: every public entry point runs under torch's own
defaults and restores the caller's settings.

Gradients, autocast and the default device belong to a thread. torch's default dtype belongs to the
process: if the caller's is not float32, other threads see float32 while a call lasts.

A forked process computes in one thread. OpenMP keeps its threads for the next parallel region; a
fork copies the bookkeeping but not the threads, so the child's first region, in torch, MKL, faiss
or scikit-learn, would wait forever. A child whose parent computed nothing may call
``torch.set_num_threads`` again.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

__all__ = [
    "is_isolated",
    "isolate",
    "isolate_methods",
    "isolated",
    "out_of_inference",
    "use_one_thread",
]

P = ParamSpec("P")
R = TypeVar("R")
Class = TypeVar("Class", bound=type)

_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu")
_ERRSTATE: Any = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


@contextmanager
def isolated() -> Iterator[None]:
    """Turn gradients on and autocast off; default to float32, the CPU and numpy's own warnings.

    A nested call in the same thread does nothing.
    """
    if _thread.inside:
        yield
        return
    with ExitStack() as settings:
        _thread.inside = True
        settings.callback(setattr, _thread, "inside", False)
        if torch.is_inference_mode_enabled():
            settings.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            settings.enter_context(torch.enable_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            settings.enter_context(torch.device("cpu"))
        settings.enter_context(np.errstate(**_ERRSTATE))
        settings.enter_context(_default_dtype)
        yield


def isolate(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs isolated.

    Raises
    ------
    TypeError
        If it is a generator function, whose body would run after the call.
    """
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator function: isolate its caller.")

    @wraps(function)
    def isolated_call(*args: P.args, **kwargs: P.kwargs) -> R:
        with isolated():
            return function(*args, **kwargs)

    isolated_call._isolated = True  # pyright: ignore[reportAttributeAccessIssue] -- a mark
    return isolated_call


def out_of_inference(state: Any) -> Any:
    """Return copied or unpickled state whose tensors can be trained.

    Tensors copied or unpickled under ``inference_mode`` can never be written to.
    """
    if not torch.is_inference_mode_enabled():
        return state
    with isolated():
        return deepcopy(state)


def is_isolated(function: Any) -> bool:
    """Return whether a function is wrapped by ``isolate``."""
    return getattr(function, "_isolated", False)


def isolate_methods(cls: Class) -> Class:
    """Isolate the public methods of a class and of its bases in this package, in place."""
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != "narrows":
            continue
        for name, member in list(vars(base).items()):
            if name.startswith("_"):
                continue
            if isinstance(member, classmethod | staticmethod):
                if not is_isolated(member.__func__):
                    setattr(base, name, type(member)(isolate(member.__func__)))
            elif inspect.isfunction(member) and not is_isolated(member):
                setattr(base, name, isolate(member))
    return cls


class _Thread(threading.local):
    inside = False


class _DefaultDtype:
    """Count the calls that need float32 as the default dtype; the last restores the caller's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_calls = 0
        self.dtype_before: torch.dtype | None = None

    def __enter__(self) -> None:
        with self.lock:
            self.n_calls += 1
            if torch.get_default_dtype() != torch.float32:
                self.dtype_before = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.n_calls -= 1
            if not self.n_calls:
                self._restore()

    def _restore(self) -> None:
        if self.dtype_before is not None:
            torch.set_default_dtype(self.dtype_before)
            self.dtype_before = None

    def keep_own_thread(self) -> None:
        """Forget, after a fork, the calls of threads that the child does not have."""
        self.lock = threading.Lock()
        self.n_calls = int(_thread.inside)
        if not self.n_calls:
            self._restore()


def use_one_thread() -> None:
    """Make every loaded OpenMP runtime compute in the calling thread alone."""
    torch.set_num_threads(1)
    ThreadpoolController().select(user_api="openmp").limit(limits=1)


_thread = _Thread()
_default_dtype = _DefaultDtype()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=use_one_thread)
    os.register_at_fork(after_in_child=_default_dtype.keep_own_thread)
