"""Matrix products of dense layers, with the fastest kernels for this CPU.

On AMD CPUs with AVX-512, torch's float32 products go through MKL, which uses only its AVX2 kernels
on CPUs that are not Intel's. oneDNN, which torch also ships, uses the wide ones and is up to 2.2
times as fast for large weights. On other CPUs, for small weights in training, and in every other
number format, torch chooses.

Inference always uses oneDNN, so a row's result does not depend on its batch. MKL's AVX2 kernels
differ in the last bit between places in one batch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["affine", "product", "uses_caller_threads"]

_LARGE = 1 << 15
"""Number of weights from which oneDNN pays off in training: a call costs some 30 us extra."""


def affine(x: Tensor, weight: Tensor, bias: Tensor, *, transposed: bool = False) -> Tensor:
    """Return x W + b, or x W^T + b where ``transposed``: (batch, n_in) -> (batch, n_out).

    ``weight`` has shape (n_in, n_out), or (n_out, n_in) where ``transposed``. Differentiable any
    number of times.

    Examples
    --------
    >>> x, bias = torch.tensor([[1.0, 2.0]]), torch.zeros(2)
    >>> weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> affine(x, weight, bias)
    tensor([[ 7., 10.]])
    >>> affine(x, weight, bias, transposed=True)
    tensor([[ 5., 11.]])
    """
    if _suits_onednn(x, weight):
        return _onednn(x, weight.t() if transposed else weight, bias)
    # the leaf itself, not a view: autocast reuses its cast in the tied decoder
    return F.linear(x, weight, bias) if transposed else torch.addmm(bias, x, weight)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product a b: (n, k), (k, m) -> (n, m)."""
    return _onednn(a, b, None) if _suits_onednn(a, b) else a @ b


def uses_caller_threads() -> bool:
    """Return whether products run on the OpenMP threads of the calling thread.

    oneDNN's do; MKL has one thread count for the whole process.
    """
    return _has_onednn()


class _OneDNN(torch.autograd.Function):
    """a B + c by oneDNN, whose gradients are products of the same kind."""

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
        not torch.compiler.is_exporting()  # an exported program has no access to torch's oneDNN
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
