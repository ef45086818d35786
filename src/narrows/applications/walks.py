"""Walks among codes: from a row's own code to others near it, and what they decode to.

"What would happen if you randomly perturb h?" Every walk starts at h = f(x), and each code on it is
made admissible, one that f could give, before it is decoded: numbers stay in the range of the
code's activation, of a top-k code the k largest stay, a part of a quantised one becomes the entry
nearest to it, and a bit flips where the walk takes it past 0, half the way to the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.code_points import MAX_STEPS, code_points, code_spread, decoded
from narrows.applications.coding import BATCH
from narrows.checks import check_number
from narrows.data.source import Source
from narrows.encoders import QuantisedEncoder
from narrows.errors import UsageError, unknown_name
from narrows.model import Model

__all__ = ["NOISES", "perturbed", "steps_of", "traversed"]

NOISES = ("independent", "correlated")


def perturbed(
    model: Model,
    source: Source,
    *,
    amount: float,
    n_samples: int,
    noise: str = "independent",
    generator: Generator,
) -> Iterator[np.ndarray]:
    """Yield g(h + amount * e) in input units, in blocks of (rows, n_samples, n_features).

    e is normal: as wide in each component as the codes of the training rows, "independent" of one
    another or "correlated" as those are. What a row gets does not depend on the rows that follow.
    ``generator`` is on the CPU, whatever the model's device.

    Raises
    ------
    UsageError
        If amount is negative, n_samples not from 1 to 10,000, the noise of no known name, or the
        model holds no density of its codes.
    """
    check_number("amount", amount, low=0)
    check_number("n_samples", n_samples, low=1, high=MAX_STEPS, integer=True)
    if noise not in NOISES:
        raise unknown_name("noise", noise, NOISES)
    _, root = code_spread(model)
    if noise == "independent":
        root = root.square().sum(dim=1).sqrt().diag()
    return _perturbed(model, source, float(amount) * root, int(n_samples), generator)


@torch.no_grad()
def _perturbed(
    model: Model, source: Source, root: Tensor, n_samples: int, generator: Generator
) -> Iterator[np.ndarray]:
    at_once = max(1, BATCH // n_samples)
    for points in code_points(model, source):
        for first in range(0, len(points.h), at_once):
            part = points[first : first + at_once]
            # whole blocks are drawn: a shorter one would get other numbers
            e = torch.empty(at_once, n_samples, root.shape[1]).normal_(generator=generator)
            moved = (e[: len(part.h)] @ root.t()).to(part.h.device)
            yield decoded(model, part, part.h[:, None] + moved)


def steps_of(n_steps: int, span: float) -> np.ndarray:
    """Return ``n_steps`` numbers from -span to span, evenly spaced; the middle of odd ones is 0."""
    check_number("n_steps", n_steps, low=2, high=MAX_STEPS, integer=True)
    check_number("span", span, low=0)
    return span * (2 * np.arange(n_steps) - (n_steps - 1)) / (n_steps - 1)


def traversed(
    model: Model,
    source: Source,
    components: Sequence[int],
    *,
    steps: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yield, for each of the components, (1, n_steps, n_features): one row of the source whose
    code differs in that component only.

    The component is moved by ``steps`` times its standard deviation over the training rows, or
    put at ``values``.

    Raises
    ------
    UsageError
        If there is no such component, the source has other than one row, the code is quantised
        (its numbers do not vary alone), or the model holds no density of its codes.
    """
    if source.n_rows != 1:
        raise UsageError(f"traverse: x must be one row, got {source.n_rows}; choose one.")
    if isinstance(model.objective.encoder, QuantisedEncoder):
        raise UsageError(
            "traverse: this code is of learned vectors, whose numbers do not vary alone; use "
            "perturb or interpolate."
        )
    for component in components:
        check_number("component", component, low=0, high=model.n_components - 1, integer=True)
    deviations = None
    if values is None:
        deviations = code_spread(model)[1].square().sum(dim=1).sqrt()
    return _traversed(model, source, components, steps, values, deviations)


@torch.no_grad()
def _traversed(
    model: Model,
    source: Source,
    components: Sequence[int],
    steps: np.ndarray | None,
    values: np.ndarray | None,
    deviations: Tensor | None,
) -> Iterator[np.ndarray]:
    (points,) = code_points(model, source)
    for j in components:
        if deviations is None:
            along = torch.as_tensor(values, dtype=torch.float32)
        else:
            moves = torch.as_tensor(steps, dtype=torch.float32) * deviations[j]
            along = points.h[0, j].cpu() + moves
        h = points.h.repeat(len(along), 1)
        h[:, j] = along.to(h.device)
        yield decoded(model, points, h[None])
