"""The matrix products of a dense layer, with the kernels that are fastest on this processor.

On an AMD processor with AVX-512, torch's own float32 products go through MKL, which takes its
AVX2 kernels on processors that are not Intel's; oneDNN, which torch also carries, uses the wide
ones and is up to 2.2 times as fast where there are many weights. Elsewhere, where few are trained,
and in every other format, torch's choice stands.

Without gradients the products are always oneDNN's: a row's result is then the same wherever in a
batch it is. MKL's AVX2 kernels differ in the last bit between places of one batch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["affine", "product", "stays_in_its_thread"]

_LARGE = 1 << 15
"""Weights from which oneDNN is worth it in training: a call of it begins with some 30 us."""


def affine(x: Tensor, weight: Tensor, bias: Tensor, *, transposed: bool = False) -> Tensor:
    """Return x W + b, or x W^T + b where ``transposed``: (batch, n_in) -> (batch, n_out).

    ``weight`` has shape (n_in, n_out), or (n_out, n_in) where ``transposed``. Differentiable as
    often as one likes.
    """
    if _suits_onednn(x, weight):
        return _onednn(x, weight.t() if transposed else weight, bias)
    # the leaf itself, no view of it: autocast keeps its cast for the tied decoder
    return F.linear(x, weight, bias) if transposed else torch.addmm(bias, x, weight)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return a b: (n, k), (k, m) -> (n, m)."""
    return _onednn(a, b, None) if _suits_onednn(a, b) else a @ b


def stays_in_its_thread() -> bool:
    """Return whether products take the threads that OpenMP gives the thread that they are called
    in: oneDNN's do, while MKL has one number of threads for all."""
    return _has_onednn()


class _OneDNN(torch.autograd.Function):
    """a B + c through oneDNN. Its gradients are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), c, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        a, b = ctx.saved_tensors
        for_a, for_b, for_c = ctx.needs_input_grad
        return (
            _onednn(grad, b.t(), None) if for_a else None,
            _onednn(a.t(), grad, None) if for_b else None,
            grad.sum(0) if for_c else None,
        )


def _onednn(a: Tensor, b: Tensor, c: Tensor | None) -> Tensor:
    result: Tensor = _OneDNN.apply(a, b, c)  # pyright: ignore[reportAssignmentType]
    return result


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_exporting()  # other programs have no oneDNN of torch's
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 2
        and len(x) > 0
        and not torch.is_autocast_enabled("cpu")
        and (_worth_training_with(weight) if torch.is_grad_enabled() else _has_onednn())
    )


def _worth_training_with(weight: Tensor) -> bool:
    return weight.numel() >= _LARGE and _onednn_is_faster()


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def _onednn_is_faster() -> bool:
    if not (_has_onednn() and torch.cpu.get_capabilities().get("avx512_f")):
        return False
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
