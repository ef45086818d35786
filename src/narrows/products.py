"""The matrix products of dense layers, by the fastest library that torch brings.

torch multiplies float32 with MKL, which on AMD processors reaches about 80% of what oneDNN, also
inside torch, reaches there (160 against 200 GFLOP/s on two Zen 4 cores). Where that is so the
products go to oneDNN; everywhere else, and under autocast, they are torch's own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["linear", "linear_transposed"]

_SMALL = 64
"""Sides below this gain nothing from oneDNN."""


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b for ``weight`` (n_in, n_out)."""
    if _to_onednn(x, weight):
        return _OneDnn.apply(x, weight, bias, False)
    return F.linear(x, weight.t(), bias)


def linear_transposed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W^T + b for ``weight`` (n_out, n_in): a tied decoder's layer."""
    if _to_onednn(x, weight):
        return _OneDnn.apply(x, weight, bias, True)
    return F.linear(x, weight, bias)


@cache
def _onednn_is_faster() -> bool:
    return "AMD" in str(torch.cpu.get_capabilities().get("cpu_name", "")) and (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _to_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and min(weight.shape) >= _SMALL
        and _onednn_is_faster()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
    )


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a b^T + bias."""
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


class _OneDnn(torch.autograd.Function):
    """x W + b, or x W^T + b, with gradients in the layout of W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.transposed = transposed
        return _product(x, weight if transposed else weight.t(), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients
        x, weight = ctx.saved_tensors
        # a second derivative is asked for only with gradients on, and needs torch's own products
        product = _matmul if torch.is_grad_enabled() else _product
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = product(g, weight.t() if ctx.transposed else weight)
        if ctx.needs_input_grad[1]:
            to_weight = product(g.t(), x.t()) if ctx.transposed else product(x.t(), g.t())
        return to_x, to_weight, g.sum(dim=0), None


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    return a @ b.t()
