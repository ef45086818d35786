"""The way from one row to another through their codes: a straight line, or an arc."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from narrows._types import Codes
from narrows.applications.code_points import (
    MAX_STEPS,
    CodePoints,
    code_points,
    code_spread,
    decoded,
)
from narrows.applications.coding import BATCH
from narrows.checks import check_number
from narrows.data.source import Source
from narrows.errors import InvalidData, unknown_name
from narrows.model import Model

__all__ = ["METHODS", "interpolated"]

METHODS = ("linear", "spherical")

_PARALLEL = 1e-4
"""Below this sine of the angle between two codes an arc is as good as a line, or has no plane."""


def interpolated(
    model: Model, a: Source, b: Source, *, n_steps: int, method: str = "linear"
) -> Iterator[np.ndarray]:
    """Yield the way from each row of ``a`` to the same row of ``b``, through their codes, in blocks
    of (rows, n_steps, n_features); the ends are the reconstructions of both.

    "linear" is the straight line; "spherical" the arc around the mean of the codes, along which the
    distance from it changes evenly: the middle of a straight line lies nearer to the mean than
    most codes do. White (2016), "Sampling generative networks".

    Raises
    ------
    UsageError
        If the method is unknown, n_steps not from 2 to 10,000, or for an arc the model holds no
        density of its codes.
    InvalidData
        If ``a`` and ``b`` have different numbers of rows.
    """
    check_number("n_steps", n_steps, low=2, high=MAX_STEPS, integer=True)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if a.n_rows != b.n_rows:
        raise InvalidData(
            f"interpolate: a and b must have as many rows, got {a.n_rows} and {b.n_rows}."
        )
    centre = code_spread(model)[0] if method == "spherical" else None
    return _interpolated(model, a, b, int(n_steps), centre)


@torch.no_grad()
def _interpolated(
    model: Model, a: Source, b: Source, n_steps: int, centre: Tensor | None
) -> Iterator[np.ndarray]:
    t = torch.arange(n_steps, device=model.device)[:, None] / (n_steps - 1)
    at_once = max(1, BATCH // n_steps)
    for ours, theirs in zip(code_points(model, a), code_points(model, b), strict=True):
        for first in range(0, len(ours.h), at_once):
            p, q = (points[first : first + at_once] for points in (ours, theirs))
            start, end = p.h[:, None], q.h[:, None]
            if centre is None:
                h = (1 - t) * start + t * end
            else:
                middle = centre.to(model.device)
                h = middle + _arc(start - middle, end - middle, t)
            h[:, 0], h[:, -1] = p.h, q.h  # to the bit, whatever the rounding
            totals = [(1 - t) * u[:, None] + t * v[:, None]
                      for u, v in ((p.scaled, q.scaled), (p.raw, q.raw))]  # fmt: skip
            yield decoded(model, CodePoints(p.h, *totals), h)


def _arc(a: Codes, b: Codes, t: Tensor) -> Codes:
    """Return the arc from a to b (rows, 1, components) around 0, (rows, steps, components)."""
    lengths = a.norm(dim=2, keepdim=True), b.norm(dim=2, keepdim=True)
    tiny = torch.finfo(a.dtype).tiny
    u, v = (x / length.clamp_min(tiny) for x, length in zip((a, b), lengths, strict=True))
    angle = torch.acos((u * v).sum(dim=2, keepdim=True).clamp(-1, 1))
    sine = angle.sin()
    flat = sine < _PARALLEL
    safe = torch.where(flat, 1.0, sine)
    way = (((1 - t) * angle).sin() * u + (t * angle).sin() * v) / safe
    arc = way * ((1 - t) * lengths[0] + t * lengths[1])
    return torch.where(flat, (1 - t) * a + t * b, arc)
