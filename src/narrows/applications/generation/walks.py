"""Change codes and decode them: perturb, traverse one component at a time, interpolate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from narrows._types import Codes
from narrows.core.checks import check_number
from narrows.core.sparse import SparseRows
from narrows.data.scaling import row_totals
from narrows.data.source import Source
from narrows.encoders import GaussianEncoder, QuantizedEncoder
from narrows.errors import InvalidData, UsageError, unknown_name
from narrows.model.coding import BATCH, code_of, filled_batches, in_input_units, padded_call
from narrows.model.model import Model

__all__ = [
    "CodePoints",
    "MAX_STEPS",
    "METHODS",
    "NOISES",
    "code_mean_and_root",
    "code_points",
    "decode_points",
    "interpolated",
    "most_varying_components",
    "perturbed",
    "steps_of",
    "traversed",
]

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

    e is normal with the variances of the codes of the training rows; its components are
    "independent", or "correlated" as those of the codes. The noise of a row does not depend on
    later rows. ``generator`` is on the CPU, whatever the device of the model.

    Raises
    ------
    UsageError
        If ``amount`` is negative, ``n_samples`` is not from 1 to 10,000, ``noise`` is unknown, or
        the model holds no density of its codes.
    """
    check_number("amount", amount, low=0)
    check_number("n_samples", n_samples, low=1, high=MAX_STEPS, integer=True)
    if noise not in NOISES:
        raise unknown_name("noise", noise, NOISES)
    _, root = code_mean_and_root(model)
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
            # always draw whole blocks: the numbers of a shorter one would differ
            e = torch.empty(at_once, n_samples, root.shape[1]).normal_(generator=generator)
            moved = (e[: len(part.h)] @ root.t()).to(part.h.device)
            yield decode_points(model, part, part.h[:, None] + moved)


def steps_of(n_steps: int, span: float) -> np.ndarray:
    """Return ``n_steps`` evenly spaced numbers from -span to span; for odd numbers one is 0."""
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
    """Yield, for each component, (1, n_steps, n_features): the decoded code of a row, changed in
    that component only.

    The component is moved by ``steps`` times its standard deviation over the training rows, or
    set to ``values``.

    Raises
    ------
    UsageError
        If a component does not exist, the source has not one row, the code is quantized (its
        numbers do not vary separately), or the model holds no density of its codes.
    """
    if source.n_rows != 1:
        raise UsageError(f"traverse: x must be one row, got {source.n_rows}; choose one.")
    if isinstance(model.objective.encoder, QuantizedEncoder):
        raise UsageError(
            "traverse: this code consists of learned vectors, so its components cannot vary one "
            "at a time; use perturb or interpolate."
        )
    for component in components:
        check_number("component", component, low=0, high=model.n_components - 1, integer=True)
    deviations = None
    if values is None:
        deviations = code_mean_and_root(model)[1].square().sum(dim=1).sqrt()
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
        yield decode_points(model, points, h[None])


METHODS = ("linear", "spherical")

_PARALLEL = 1e-4
"""Below this sine of the angle between two codes, interpolate linearly: an arc is as good as a
line, or its plane is undefined."""


def interpolated(
    model: Model, a: Source, b: Source, *, n_steps: int, method: str = "linear"
) -> Iterator[np.ndarray]:
    """Interpolate between the codes of each row of ``a`` and the same row of ``b``; yield decoded
    blocks (rows, n_steps, n_features), whose ends are the reconstructions of both rows.

    "linear" follows the straight line, whose middle is nearer to the mean of the codes than most
    codes are. "spherical" follows the arc around that mean, along which the distance from it
    changes evenly. White (2016), "Sampling generative networks".

    Raises
    ------
    UsageError
        If the method is unknown, ``n_steps`` is not from 2 to 10,000, or, for "spherical", the
        model holds no density of its codes.
    InvalidData
        If ``a`` and ``b`` have different numbers of rows.
    """
    check_number("n_steps", n_steps, low=2, high=MAX_STEPS, integer=True)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if a.n_rows != b.n_rows:
        raise InvalidData(
            f"interpolate: a and b must have the same number of rows, got {a.n_rows} and "
            f"{b.n_rows}."
        )
    center = code_mean_and_root(model)[0] if method == "spherical" else None
    return _interpolated(model, a, b, int(n_steps), center)


@torch.no_grad()
def _interpolated(
    model: Model, a: Source, b: Source, n_steps: int, center: Tensor | None
) -> Iterator[np.ndarray]:
    t = torch.arange(n_steps, device=model.device)[:, None] / (n_steps - 1)
    at_once = max(1, BATCH // n_steps)
    for starts, ends in zip(code_points(model, a), code_points(model, b), strict=True):
        for first in range(0, len(starts.h), at_once):
            p, q = (points[first : first + at_once] for points in (starts, ends))
            start, end = p.h[:, None], q.h[:, None]
            if center is None:
                h = (1 - t) * start + t * end
            else:
                middle = center.to(model.device)
                h = middle + _arc(start - middle, end - middle, t)
            h[:, 0], h[:, -1] = p.h, q.h  # exact ends, whatever the rounding
            totals = [(1 - t) * u[:, None] + t * v[:, None]
                      for u, v in ((p.scaled, q.scaled), (p.raw, q.raw))]  # fmt: skip
            yield decode_points(model, CodePoints(p.h, *totals), h)


def _arc(a: Codes, b: Codes, t: Tensor) -> Codes:
    """Return the arc around 0 from a to b (rows, 1, components), (rows, steps, components)."""
    lengths = a.norm(dim=2, keepdim=True), b.norm(dim=2, keepdim=True)
    tiny = torch.finfo(a.dtype).tiny
    u, v = (x / length.clamp_min(tiny) for x, length in zip((a, b), lengths, strict=True))
    angle = torch.acos((u * v).sum(dim=2, keepdim=True).clamp(-1, 1))
    sine = angle.sin()
    flat = sine < _PARALLEL
    divisor = torch.where(flat, 1.0, sine)
    direction = (((1 - t) * angle).sin() * u + (t * angle).sin() * v) / divisor
    arc = direction * ((1 - t) * lengths[0] + t * lengths[1])
    return torch.where(flat, (1 - t) * a + t * b, arc)


MAX_STEPS = 10_000
"""Largest number of codes in a walk from one row."""


@dataclass(frozen=True)
class CodePoints:
    """Codes h (rows, components), and the totals (rows, 1) of the scaled and the raw rows.

    A code of shares does not hold the total that they are multiplied by.
    """

    h: Codes
    scaled: Tensor
    raw: Tensor

    def __getitem__(self, rows: slice) -> CodePoints:
        return CodePoints(self.h[rows], self.scaled[rows], self.raw[rows])


def code_mean_and_root(model: Model) -> tuple[Tensor, Tensor]:
    """Return the mean (components,) and a root (components, rank) of the covariance of the codes of
    the training rows; for a variational net without a density, those of its prior.

    Raises
    ------
    UsageError
        If the model holds no density of its codes.
    """
    if "gaussian" in model.densities:
        density = model.densities["gaussian"]
        return density.means[0], density.factors[0]
    if isinstance(model.objective.encoder, GaussianEncoder):
        return torch.zeros(model.n_components), torch.eye(model.n_components)
    raise UsageError(
        "density: this model has no mean and covariance of its codes, which fit adds and "
        "partial_fit does not; call fit."
    )


def most_varying_components(model: Model, n: int) -> np.ndarray:
    """Return the ``n`` components whose codes vary most over the training rows, in order."""
    variances = code_mean_and_root(model)[1].square().sum(dim=1).numpy()
    return np.sort(np.argsort(-variances, kind="stable")[:n])


@torch.no_grad()
def code_points(model: Model, source: Source) -> Iterator[CodePoints]:
    """Yield the codes of each batch with the totals of its rows."""
    for raw, x, _ in filled_batches(model, source):
        h = code_of(model, x).h
        # summed as in the loss
        totals = x.row_sums() if isinstance(x, SparseRows) else x.sum(dim=1)
        yield CodePoints(h, totals[:, None], row_totals(raw)[:, None])


def decode_points(model: Model, points: CodePoints, h: Tensor) -> np.ndarray:
    """Return g(h) in input units, (rows, n, n_features), of codes h (rows, n, components).

    ``points`` holds one total per row, or one per code.
    """
    n_rows, n, _ = h.shape
    objective = model.objective
    codes = objective.encoder.project(h.flatten(0, 1))
    totals = [t.reshape(n_rows, -1, 1).expand(-1, n, 1).reshape(-1, 1)
              for t in (points.scaled, points.raw)]  # fmt: skip
    blocks = []
    for code, scaled, raw in zip(
        codes.split(BATCH), *(t.split(BATCH) for t in totals), strict=True
    ):
        output = padded_call(objective.output, code)
        # of x the loss reads only the totals here, so one column that holds them is enough
        mean = objective.loss.reconstruction(output, scaled)
        blocks.append(in_input_units(model, mean, raw).cpu().numpy())
    return np.concatenate(blocks).reshape(n_rows, n, -1)
