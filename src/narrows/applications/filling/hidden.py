"""Rows of which a part is hidden, on their way through a model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.data.scaling import row_totals
from narrows.losses import Multinomial
from narrows.model.model import Model

__all__ = ["Partial", "filled", "marked", "start"]


@dataclass(frozen=True)
class Partial:
    """``raw`` (rows, n_features) in input units, NaN where ``hidden``."""

    raw: Tensor
    hidden: Tensor

    def hiding_more(self, share: float, generator: Generator) -> Partial:
        """Return the same rows with a share of the known values hidden too."""
        draw = torch.rand(self.raw.shape, generator=generator).to(self.raw.device)
        hidden = self.hidden | (draw < share)
        return Partial(torch.where(hidden, torch.nan, self.raw), hidden)


def filled(model: Model, output: Tensor, rows: Partial) -> Tensor:
    """Return the rows with what a decoder's output says where they are hidden.

    Where it says shares, or proportions of counts, it cannot know the total: the known values
    and their shares say it. A row without a known value that is positive gets shares.
    """
    mean = model.scaling.inverse(model.objective.loss.expectation(output))
    return with_total(model, mean, rows)


def with_total(model: Model, mean: Tensor, rows: Partial) -> Tensor:
    """Return the rows with ``mean`` where hidden, scaled by the row's total where it is shares."""
    if model.scaling.shares or isinstance(model.objective.loss, Multinomial):
        share = torch.where(rows.hidden, 0.0, mean).sum(dim=1, keepdim=True)
        total = row_totals(rows.raw)[:, None] / share.clamp_min(1e-6)
        mean = mean * torch.where(total > 0, total, 1.0)
    return torch.where(rows.hidden, mean, rows.raw)


def marked(model: Model, rows: Partial) -> Tensor:
    """Return scaled rows as a net that was trained on hidden values reads them.

    That is NaN where its corruption takes it, else 0, as ``Masking`` has it.
    """
    x = model.scaling.forward(rows.raw)
    assert isinstance(x, Tensor)
    return x if model.objective.corruption.admits_missing else x.nan_to_num(nan=0.0)


def center(model: Model) -> Tensor:
    """Return what a row is without knowing it, (n_features,), in input units."""
    if model.baseline is not None and model.baseline.mean is not None:
        mean = model.baseline.mean.to(model.device)
    else:
        h = torch.zeros(1, model.n_components, device=model.device)
        if "gaussian" in model.densities:
            h = model.densities["gaussian"].means[:1].to(model.device)
        mean = model.objective.decode(model.objective.encoder.project(h))[0]
    return model.scaling.inverse(mean[None])[0]


def start(model: Model, rows: Partial) -> Tensor:
    """Return the rows with the mean where they are hidden."""
    return with_total(model, center(model).expand_as(rows.raw), rows)
