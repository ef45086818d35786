"""Measure whether float32 or bfloat16 trains faster, by timing steps of the net.

CPU flags do not tell. With ``avx512_bf16`` but no AMX, bfloat16 trained 1.75 times slower than
float32 on one machine; with AMX 1.8 times faster on another.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.flop_counter import FlopCounterMode

from narrows.core.sparse import Rows, SparseRows
from narrows.core.terms import Trainable
from narrows.training.precision import product_context

__all__ = ["faster_precision"]

_GAIN = 0.9
"""bfloat16 must take at most this fraction of float32's time: if the two are close, noise would
decide, and the same seed could give different results in two processes."""

_FEW_PRODUCTS = 40_000_000
"""Steps with fewer products stay in float32: they take a few milliseconds, so that noise would
decide."""

_SECONDS = 0.1
_FEWEST, _MOST = 5, 25
_LONG = 0.5
"""A longer step, in seconds, is measured only once: it is costly, and its noise is small."""

_FEW, _HOPELESS = 3, 2.0
"""If bfloat16 took twice float32's time in the median of this many steps, measuring stops. With
fewer steps one disturbance of the machine could decide."""


def faster_precision(
    objective: Trainable, x: Rows, y: Tensor | None, *, device: torch.device
) -> str:
    """Return "bfloat16" if it takes less than 0.9 of float32's time for a step, else "float32".

    A step is a forward and a backward pass; the formats alternate, and the median of their ratios
    decides. This costs about a tenth of a second, or four steps if these are long, once in a
    process for nets and batches of one shape. Weights, buffers and random states stay as they were;
    gradients are cleared.

    Parameters
    ----------
    x, y
        A batch as training will see it, scaled and on the device.
    """
    with _unchanged(objective):
        if _n_products(objective, x, y, device) < _FEW_PRODUCTS:
            return "float32"
    key = _shape(objective, x, y, device)
    with (
        _measurements.lock
    ):  # a second thread would disturb the measurement, and needs the same answer
        if key not in _measurements.precisions:
            _measurements.precisions[key] = _measured(objective, x, y, device)
        return _measurements.precisions[key]


class _Measurements:
    """The measurements of this process, with a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.precisions: dict[Any, str] = {}

    def renew_lock(self) -> None:
        self.lock = threading.Lock()


_measurements = _Measurements()


def _n_products(objective: Trainable, x: Rows, y: Tensor | None, device: torch.device) -> float:
    """Return about how many products a forward pass takes.

    Dense layers use each weight once per row; convolutions, whose weights have four dimensions, are
    counted in a pass.
    """
    parameters = list(objective.parameters())
    dense = len(x) * sum(parameter.numel() for parameter in parameters if parameter.ndim < 4)
    if all(parameter.ndim < 4 for parameter in parameters) or dense >= _FEW_PRODUCTS:
        return dense
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        objective(x, y, generator=Generator(device).manual_seed(0))
    return dense + counter.get_total_flops() / 2


@contextmanager
def _unchanged(objective: Trainable) -> Iterator[None]:
    """Restore the buffers of an objective after passes, and clear its gradients."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in objective.buffers()]
    try:
        yield
    finally:
        for parameter in objective.parameters():
            parameter.grad = None
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def _shape(objective: Trainable, x: Rows, y: Tensor | None, device: torch.device) -> Any:
    """Return the key of a measurement: all that the time of a step depends on."""
    return (
        str(device),
        torch.get_num_threads(),
        tuple(type(module).__qualname__ for module in objective.modules()),
        tuple(type(penalty).__qualname__ for penalty in getattr(objective, "penalties", ())),
        tuple(tuple(parameter.shape) for parameter in objective.parameters()),
        (len(x), isinstance(x, SparseRows), y is None),
    )


def _measured(objective: Trainable, x: Rows, y: Tensor | None, device: torch.device) -> str:
    def seconds(precision: str) -> float:
        generator = Generator(device).manual_seed(0)
        start = time.perf_counter()
        with product_context(precision, device):
            total = objective(x, y, generator=generator).total
        total.backward()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        return time.perf_counter() - start

    with _unchanged(objective):
        return _faster(seconds)


def _faster(seconds: Callable[[str], float]) -> str:
    """Return the faster format; ``seconds`` times a step in a format."""
    seconds("float32")  # kernels are chosen and memory is taken at the first step
    try:
        seconds("bfloat16")
    except (NotImplementedError, RuntimeError):
        return "float32"  # some product of this net has no kernel for it
    ratios: list[float] = []
    spent = 0.0
    while len(ratios) < _FEWEST or (spent < _SECONDS and len(ratios) < _MOST):
        wide, narrow = seconds("float32"), seconds("bfloat16")
        spent += wide + narrow
        ratios.append(narrow / max(wide, 1e-9))
        if wide > _LONG or (len(ratios) == _FEW and median(ratios) > _HOPELESS):
            break
    return "bfloat16" if median(ratios) < _GAIN else "float32"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_measurements.renew_lock)
