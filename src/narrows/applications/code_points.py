"""The codes of rows, how far codes spread, and what any code decodes to in input units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from narrows._types import Codes
from narrows.applications.coding import BATCH, in_input_units, scaled_batches, whole_vectors
from narrows.data.scaling import row_totals
from narrows.data.source import Source
from narrows.encoders import GaussianEncoder
from narrows.errors import UsageError
from narrows.model import Model
from narrows.slots import SparseRows
from narrows.weighting import known_part

__all__ = ["MAX_STEPS", "CodePoints", "code_points", "code_spread", "decoded"]

MAX_STEPS = 10_000
"""Codes that a walk from one row may have."""


@dataclass(frozen=True)
class CodePoints:
    """Codes h (rows, components), and what no code holds: the totals (rows, 1) of scaled and of
    raw rows, which shares are multiplied by."""

    h: Codes
    scaled: Tensor
    raw: Tensor

    def __getitem__(self, rows: slice) -> CodePoints:
        return CodePoints(self.h[rows], self.scaled[rows], self.raw[rows])


def code_spread(model: Model) -> tuple[Tensor, Tensor]:
    """Return the mean (components,) and a root (components, rank) of the covariance that the codes
    have over the training rows; of a variational net that holds none, those of its prior.

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
        "density: this model does not know how far its codes spread, which fit adds at its end and "
        "partial_fit does not; call fit."
    )


@torch.no_grad()
def code_points(model: Model, source: Source) -> Iterator[CodePoints]:
    for raw, x in scaled_batches(model, source):
        x, _ = known_part(x, model.objective.corruption)
        h = model.objective.encode(whole_vectors(x)).h[: len(x)]
        # as the loss adds them up
        totals = x.row_sums() if isinstance(x, SparseRows) else x.sum(dim=1)
        yield CodePoints(h, totals[:, None], row_totals(raw)[:, None])


def decoded(model: Model, points: CodePoints, h: Tensor) -> np.ndarray:
    """Return g(h) in input units for h (rows, n, components), as (rows, n, n_features).

    ``points`` holds a total for every row, or for every code.
    """
    n_rows, n, _ = h.shape
    objective = model.objective
    codes = objective.encoder.admissible(h.flatten(0, 1))
    totals = [t.reshape(n_rows, -1, 1).expand(-1, n, 1).reshape(-1, 1)
              for t in (points.scaled, points.raw)]  # fmt: skip
    blocks = []
    for code, scaled, raw in zip(
        codes.split(BATCH), *(t.split(BATCH) for t in totals), strict=True
    ):
        output = objective.decoder(whole_vectors(code)).float()[: len(code)]
        # all that a loss reads of x here is its total: one column that holds it will do
        mean = objective.loss.fitted(output, scaled)
        blocks.append(in_input_units(model, mean, raw).cpu().numpy())
    return np.concatenate(blocks).reshape(n_rows, n, -1)
