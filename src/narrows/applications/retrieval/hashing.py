"""Pack binary codes into bytes, and set the thresholds of their bits from data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.errors import InvalidData
from narrows.model.coding import code_of, codes, encoded
from narrows.model.model import Model

__all__ = ["pack_bits", "packed_codes", "set_median_thresholds"]


def packed_codes(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield binary codes in blocks of (rows, ceil(n_components / 8)) bytes, first bit highest."""
    for block in codes(model, source):
        yield pack_bits(block)


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """Return codes of -1 and 1 as bytes, first bit highest.

    Raises
    ------
    InvalidData
        If a code is not finite.
    """
    if np.isnan(bits).any():
        raise InvalidData(
            "hash: the code of a row is NaN: its values are too large for this net; scale them, "
            "or fit to rows like it."
        )
    return np.packbits(bits > 0, axis=1)


@torch.no_grad()
def set_median_thresholds(model: Model, source: Source) -> None:
    """Set the threshold of each bit to the median of its preactivation over these rows.

    A bit is then 1 in half of the rows. If the rows have weights, the median is weighted.
    """
    encoder = model.objective.encoder
    assert isinstance(encoder, BinaryEncoder)
    blocks: Any = list(encoded(model, source, lambda x: code_of(model, x).preactivation))
    preactivations = torch.cat(blocks)
    if source.weights is None:
        medians = preactivations.quantile(0.5, dim=0)
    else:
        medians = _weighted_median(preactivations, source.weights.to(preactivations.device))
    encoder.thresholds.copy_(medians)


def _weighted_median(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted median of every column of values (n_rows, n_columns)."""
    ordered, at = values.sort(dim=0)
    below = weights.double()[at].cumsum(dim=0)
    half = below[-1] / 2
    last = len(values) - 1
    lower, upper = (below < half).sum(dim=0), (below <= half).sum(dim=0)
    ends = ordered.gather(0, torch.stack([lower, upper]).clamp_max(last))
    return ends.mean(dim=0)
