"""How far what is said of y is from y."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import PerSample

__all__ = ["known_rows", "target_errors"]


def target_errors(said: Tensor, y: Tensor, *, classification: bool) -> tuple[PerSample, Tensor]:
    """Return the error of every row, 0 where y is unknown, and where it is known, (batch,).

    For classes the cross-entropy of softmax(said), said (batch, n_classes), in nats, y unknown
    where negative; for values the squared error of said (batch, n_targets), summed over those of
    y, (batch, n_targets), or (batch,) for one, that are not NaN. A row is known if one of them is.
    """
    said, known = said.float(), known_rows(y)
    if classification:
        each = F.cross_entropy(said, y.clamp_min(0), reduction="none")
    else:
        wanted = y.reshape(len(y), -1)
        told = ~wanted.isnan()
        each = ((said - torch.where(told, wanted, 0.0)).square() * told).sum(dim=1)
    return each * known, known


def known_rows(y: Tensor) -> Tensor:
    """Return where y is known, (batch,): not negative; of values, where one of them is not NaN."""
    if not y.is_floating_point():
        return y >= 0
    return ~y.reshape(len(y), -1).isnan().all(dim=1)
