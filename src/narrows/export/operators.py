"""Operators that torch's exporter lacks, or writes less exactly, in those of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["FORMAT", "OPSET", "translations"]

OPSET = 18
"""The version of ONNX's operators: the oldest that torch's exporter writes without converting."""

FORMAT = 8
"""The version of the file's own format that came with these operators: onnxruntime reads both from
1.14 on. Later ones add what is not used here."""


def translations() -> Mapping[Any, Callable[..., Any]]:
    """Return what stands in for torch's operators."""
    from onnxscript import opset18

    op: Any = opset18  # annotated so that constants fit in none of its operators

    def log1p(self: Any) -> Any:
        # ln(1 + x) loses a small x; what 1 + x has rounded off is put right by the quotient
        # (Goldberg 1991, "What every computer scientist should know about floating-point
        # arithmetic", ACM Computing Surveys 23)
        one = op.CastLike(op.Constant(value_float=1.0), self)
        sum_ = op.Add(self, one)
        exact = op.Div(op.Mul(op.Log(sum_), self), op.Sub(sum_, one))
        return op.Where(op.Equal(sum_, one), self, exact)

    def cdist(a: Any, b: Any, p: float, compute_mode: Any = None) -> Any:
        # |a|^2 - 2 a b + |b|^2, as torch where there are many rows: no (rows, entries, width)
        axes, two = op.Constant(value_ints=[-1]), op.Constant(value_float=2.0)
        of_a = op.ReduceSumSquare(a, axes, keepdims=1)
        of_b = op.Transpose(op.ReduceSumSquare(b, axes, keepdims=1), perm=[0, 2, 1])
        inner = op.MatMul(a, op.Transpose(b, perm=[0, 2, 1]))
        squares = op.Sub(op.Add(of_a, of_b), op.Mul(two, inner))
        return op.Sqrt(op.Relu(squares))

    return {
        torch.ops.aten.log1p.default: log1p,
        torch.ops.aten._cdist_forward.default: cdist,
    }
