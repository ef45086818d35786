"""Encode, decode and reconstruct rows with a fitted model, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from narrows._types import Outputs
from narrows.core.linear_kernels import uses_caller_threads
from narrows.core.slots import Code
from narrows.core.sparse import Rows, padded
from narrows.core.weights import fill_missing
from narrows.data.array_sources import as_tensor
from narrows.data.scaling import row_totals
from narrows.data.source import Source, dense_rows_at_a_time, rows_at_a_time
from narrows.data.statistics import check_finite
from narrows.model.model import Model
from narrows.model.threads import side_by_side

__all__ = [
    "BATCH",
    "all_rows",
    "code_of",
    "codes",
    "decode_rows",
    "encoded",
    "errors",
    "filled_batches",
    "in_input_units",
    "output_of",
    "padded_call",
    "reconstruct_corrupted",
    "reconstructions",
    "scaled_batches",
]

T = TypeVar("T")

BATCH = 1024
"""Rows per batch. It is fixed, so that a row's code hardly depends on the number of rows."""

_SPARSE_BATCH = 4096
"""Sparse rows per batch when encoding: none of the arrays is as wide as the rows, so more fit."""

_VECTOR = 16
"""Processors compute this many numbers at once and the rest of a batch by another routine, which
may round differently: a multiple of 16 rows leaves no rest."""


@overload
def padded_call(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor: ...
@overload
def padded_call(function: Callable[[Rows], Tensor], x: Rows) -> Tensor: ...
def padded_call(function: Callable[[Any], Tensor], x: Rows) -> Tensor:
    """Return ``function`` of a batch, (batch, ...), computed on whole vectors of rows.

    A row's result then does not depend on its place in the batch.
    """
    return function(padded(x, _VECTOR))[: len(x)]


def scaled_batches(model: Model, source: Source) -> Iterator[tuple[Rows, Rows]]:
    """Yield each batch as (rows in input units, scaled rows); refuse values that are not finite.

    NaN passes if the model's corruption admits missing values.
    """
    for first, raw in _raw_batches(model, source, BATCH):
        yield raw, _scaled(model, source, first, raw)


def filled_batches(model: Model, source: Source) -> Iterator[tuple[Rows, Rows, Tensor | None]]:
    """Yield each batch as (rows in input units, scaled rows, known), with missing values filled in.

    ``known`` (rows, n_features) is 1 for known values, else 0; None if none may be missing.
    """
    for raw, x in scaled_batches(model, source):
        yield raw, *fill_missing(x, model.objective.corruption)


def encoded(model: Model, source: Source, read: Callable[[Rows], T]) -> Iterator[T]:
    """Yield ``read`` of each batch of scaled rows, in order and without gradients.

    Rows that stay sparse come in larger batches, and on a CPU several batches run at once.
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
    """Yield each batch as (number of its first row, rows in input units)."""
    first = 0
    for raw in model.scaling.as_precise(source).in_order(rows_at_a_time(source, most)):
        yield first, raw.to(model.device)
        first += len(raw)


def _scaled(model: Model, source: Source, first: int, raw: Rows) -> Rows:
    missing = model.objective.corruption.admits_missing
    check_finite(raw, source, first_row=first, missing=missing)
    model.scaling.check(raw, source.origin)
    return model.scaling.forward(raw)


def all_rows(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Return blocks of rows as one array."""
    return np.concatenate(list(blocks))


def codes(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield h = f(x) in blocks of (rows, n_components), float32."""
    return encoded(model, source, lambda x: code_of(model, x).h.cpu().numpy())


def code_of(model: Model, x: Rows) -> Code:
    """Return the code of scaled rows; a row's code does not depend on its place in the batch."""
    code, n = model.objective.encode(padded(x, _VECTOR)), len(x)
    preactivation = None if code.preactivation is None else code.preactivation[:n]
    return Code(h=code.h[:n], preactivation=preactivation)


def output_of(model: Model, x: Rows) -> Outputs:
    """Return g(f(x)) of scaled rows, the natural parameters of the loss, as float32.

    A row's output does not depend on its place in the batch.
    """
    objective = model.objective
    return padded_call(lambda rows: objective.output(objective.encode(rows).h), x)


def reconstruct_corrupted(model: Model, corrupted: Rows, clean: Rows) -> Outputs:
    """Return g(f(x~)) of scaled rows, with the totals of the clean rows if the loss reads totals.

    ``clean`` has no missing values.
    """
    objective = model.objective
    return objective.loss.reconstruction(objective.output(objective.encode(corrupted).h), clean)


@torch.no_grad()
def decode_rows(model: Model, h: np.ndarray) -> Iterator[np.ndarray]:
    """Yield g(h) in input units, or as proportions if the model scales rows to proportions."""
    rows = as_tensor(np.ascontiguousarray(h, dtype=np.float32))
    for batch in rows.split(dense_rows_at_a_time(BATCH, model.schema.n_features)):
        mean = padded_call(model.objective.decode, batch.to(model.device))
        yield model.scaling.inverse(mean).cpu().numpy()


@torch.no_grad()
def reconstructions(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield g(f(x)) in input units; proportions are multiplied by the total of their row."""
    for raw, x in scaled_batches(model, source):
        mean = padded_call(model.objective.reconstruct, x)
        yield in_input_units(model, mean, raw).cpu().numpy()


def in_input_units(model: Model, mean: Tensor, raw: Rows) -> Tensor:
    """Return scaled rows in input units; proportions are multiplied by the totals of ``raw``."""
    rows = model.scaling.inverse(mean)
    return rows * row_totals(raw)[:, None] if model.scaling.shares else rows


@torch.no_grad()
def errors(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield L(x, g(f(x))) of each row, in ``model.error_unit``.

    Raises
    ------
    InvalidData
        If the loss does not allow a value.
    """
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield padded_call(model.objective.error, x).cpu().numpy()
