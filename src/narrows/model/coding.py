"""Encode, decode, reconstruct: what every fitted model does with rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from narrows.core.linear_kernels import uses_caller_threads
from narrows.core.slots import Code, Rows
from narrows.core.sparse import padded
from narrows.data.scaling import row_totals
from narrows.data.source import Source, at_a_time
from narrows.data.statistics import check_finite
from narrows.data.tensors import as_tensor
from narrows.errors import UsageError
from narrows.model.model import Model
from narrows.model.threads import side_by_side
from narrows.objectives.code_task import layers_of

__all__ = [
    "BATCH",
    "code_of",
    "codes",
    "decoded",
    "encoded",
    "errors",
    "in_input_units",
    "layer_features",
    "reconstructions",
    "scaled_batches",
    "whole_vectors",
]

T = TypeVar("T")

BATCH = 1024
"""Rows at a time: fixed, so that a row's code hardly depends on how many came with it."""

_SPARSE_BATCH = 4096
"""Sparse rows to encode at a time: nothing is as wide as they are, so more of them fit."""

_VECTOR = 16
"""Processors compute this many numbers at once, and the last few of a batch by another routine,
which may round them otherwise: whole batches of 16 rows leave none over."""


@overload
def whole_vectors(x: Tensor) -> Tensor: ...
@overload
def whole_vectors(x: Rows) -> Rows: ...
def whole_vectors(x: Rows) -> Rows:
    """Return a batch padded, so that a row's result is the same wherever in a batch it is."""
    return padded(x, _VECTOR)


def scaled_batches(model: Model, source: Source) -> Iterator[tuple[Rows, Rows]]:
    """Yield rows as they are and scaled, refusing values that are not finite.

    NaN is let through where the model's corruption admits missing values.
    """
    for first, raw in _raw_batches(model, source, BATCH):
        yield raw, _scaled(model, source, first, raw)


def encoded(model: Model, source: Source, read: Callable[[Rows], T]) -> Iterator[T]:
    """Yield what ``read`` finds for batches of scaled rows, without gradients, in order.

    Rows that are sparse and stay so come in larger batches, on a processor several at once.
    """
    stay_sparse = source.sparse and model.scaling.shift is None

    def found(batch: tuple[int, Rows]) -> T:
        first, raw = batch
        with torch.no_grad():
            return read(_scaled(model, source, first, raw))

    batches = _raw_batches(model, source, _SPARSE_BATCH if stay_sparse else BATCH)
    if stay_sparse and model.device.type == "cpu" and uses_caller_threads():
        return side_by_side(found, batches)
    return map(found, batches)


def _raw_batches(model: Model, source: Source, most: int) -> Iterator[tuple[int, Rows]]:
    """Yield the number of the first row, and rows as they are."""
    first = 0
    for raw in model.scaling.as_precise(source).in_order(source.at_a_time(most)):
        yield first, raw.to(model.device)
        first += len(raw)


def _scaled(model: Model, source: Source, first: int, raw: Rows) -> Rows:
    missing = model.objective.corruption.admits_missing
    check_finite(raw, source, first_row=first, missing=missing)
    model.scaling.check(raw, source.origin)
    return model.scaling.forward(raw)


def codes(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield h = f(x) in blocks of (rows, n_components), float32."""
    return encoded(model, source, lambda x: code_of(model, x).h.cpu().numpy())


def code_of(model: Model, x: Rows) -> Code:
    """Return the code of a batch of scaled rows, the same wherever in a batch a row is."""
    code = model.objective.encode(whole_vectors(x))
    preactivation = (
        code.preactivation if code.preactivation is None else code.preactivation[: len(x)]
    )
    return Code(h=code.h[: len(x)], preactivation=preactivation)


def layer_features(model: Model, source: Source, layer: int) -> Iterator[np.ndarray]:
    """Yield the activations of an encoder layer, counted from 0; -1 is the code.

    Raises
    ------
    UsageError
        At the first batch, if there is no such layer.
    """

    def features(x: Rows) -> np.ndarray:
        layers = layers_of(model.objective, whole_vectors(x))
        if not -len(layers) <= layer < len(layers):
            raise UsageError(
                f"layer: must be from {-len(layers)} to {len(layers) - 1}, got {layer!r}."
            )
        return layers[layer][: len(x)].cpu().numpy()

    return encoded(model, source, features)


@torch.no_grad()
def decoded(model: Model, h: np.ndarray) -> Iterator[np.ndarray]:
    """Yield g(h) in input units; where rows are scaled to proportions, proportions."""
    rows = as_tensor(np.ascontiguousarray(h, dtype=np.float32))
    for batch in rows.split(at_a_time(BATCH, model.schema.n_features)):
        mean = model.objective.decode(whole_vectors(batch.to(model.device)))[: len(batch)]
        yield model.scaling.inverse(mean).cpu().numpy()


@torch.no_grad()
def reconstructions(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield g(f(x)) in input units; proportions are multiplied by the row's own total."""
    for raw, x in scaled_batches(model, source):
        mean = model.objective.reconstruct(whole_vectors(x))[: len(x)]
        yield in_input_units(model, mean, raw).cpu().numpy()


def in_input_units(model: Model, mean: Tensor, raw: Rows) -> Tensor:
    """Return scaled rows in the units of ``raw``, whose totals proportions are multiplied by."""
    rows = model.scaling.inverse(mean)
    return rows * row_totals(raw)[:, None] if model.scaling.shares else rows


@torch.no_grad()
def errors(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield L(x, g(f(x))) per row, in ``model.error_unit``; a value the loss refuses raises."""
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield model.objective.error(whole_vectors(x))[: len(x)].cpu().numpy()
