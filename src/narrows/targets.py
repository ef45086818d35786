"""How far what is said of y is from y."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import PerSample

__all__ = ["target_errors"]


def target_errors(said: Tensor, y: Tensor, *, classification: bool) -> tuple[PerSample, Tensor]:
    """Return the error of every row, 0 where y is unknown, and where it is known, (batch,).

    For classes the cross-entropy of softmax(said), said (batch, n_classes), in nats, y unknown
    where negative; for values the squared error of said (batch, 1), y unknown where NaN.
    """
    said = said.float()
    if classification:
        known = y >= 0
        each = F.cross_entropy(said, y.clamp_min(0), reduction="none")
    else:
        known = ~y.isnan()
        each = (said[:, 0] - torch.where(known, y, 0.0)).square()
    return each * known, known
