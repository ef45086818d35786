"""Generate rows: draw codes from a density and decode them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator

from narrows._types import Codes
from narrows.core.checks import check_number
from narrows.errors import UsageError, unknown_name
from narrows.model.coding import BATCH, decode_rows
from narrows.model.model import Model
from narrows.penalties import KLToPrior

__all__ = ["MAX_SAMPLES", "samples"]

MAX_SAMPLES = 10_000_000

_NAMES = ("auto", "gaussian", "mixture", "prior")


def samples(
    model: Model, n: int, *, density: str = "auto", generator: Generator
) -> Iterator[np.ndarray]:
    """Yield n new rows in input units, in blocks of (rows, n_features), float32.

    The rows are the means of p(x | h) for drawn codes h. The first rows do not depend on n.
    ``generator`` is on the CPU, whatever the device of the model.

    Raises
    ------
    UsageError
        If n is not from 1 to 10,000,000, or the model has no such density.
    """
    check_number("n", n, low=1, high=MAX_SAMPLES, integer=True)
    name = _resolved(model, density)
    return _samples(model, int(n), name, generator)


def _samples(model: Model, n: int, name: str, generator: Generator) -> Iterator[np.ndarray]:
    for start in range(0, n, BATCH):
        h = _draw(model, name, generator)[: n - start]
        yield from decode_rows(model, h.numpy())


@torch.no_grad()
def _draw(model: Model, name: str, generator: Generator) -> Codes:
    if name == "prior":
        h = torch.empty(BATCH, model.n_components).normal_(generator=generator)
    else:
        h = model.densities[name].draw(BATCH, generator=generator)
    return model.objective.encoder.project(h)


def _resolved(model: Model, density: str) -> str:
    """Return the name of the density; "auto" is the prior if there is one, else the mixture."""
    if density not in _NAMES:
        raise unknown_name("density", density, _NAMES)
    has_prior = any(isinstance(omega, KLToPrior) for omega in model.objective.penalties)
    if density == "auto":
        density = "prior" if has_prior else "mixture"
    if density == "prior" and not has_prior:
        raise UsageError(
            "density: only a variational model has a 'prior'; use 'mixture' or 'gaussian'."
        )
    if density != "prior" and density not in model.densities:
        raise UsageError(
            f"density: this model has no {density!r} density of its codes, which fit adds and "
            "partial_fit does not; call fit."
        )
    return density
