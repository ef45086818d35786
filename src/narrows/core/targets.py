"""Losses of predicted targets, of which some may be unknown."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import PerSample

__all__ = ["known_rows", "target_errors"]


def target_errors(
    predictions: Tensor, y: Tensor, *, classification: bool
) -> tuple[PerSample, Tensor]:
    """Return the loss of every row's prediction, 0 where y is unknown, and the mask of known rows.

    Classes: the cross-entropy of softmax(predictions), (batch, n_classes), in nats; y is unknown
    where negative. Values: the squared error of predictions (batch, n_targets), summed over the
    targets that are not NaN, y (batch, n_targets) or (batch,). A row with any target is known.

    Examples
    --------
    >>> y = torch.tensor([1.0, torch.nan])
    >>> target_errors(torch.tensor([[3.0], [3.0]]), y, classification=False)
    (tensor([4., 0.]), tensor([ True, False]))
    """
    predictions, known = predictions.float(), known_rows(y)
    if classification:
        losses = F.cross_entropy(predictions, y.clamp_min(0), reduction="none")
    else:
        targets = y.reshape(len(y), -1)
        given = ~targets.isnan()
        losses = ((predictions - torch.where(given, targets, 0.0)).square() * given).sum(dim=1)
    return losses * known, known


def known_rows(y: Tensor) -> Tensor:
    """Return the mask of known y, (batch,): classes >= 0, or values of which one is not NaN."""
    if not y.is_floating_point():
        return y >= 0
    return ~y.reshape(len(y), -1).isnan().all(dim=1)
