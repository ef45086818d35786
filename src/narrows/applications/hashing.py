"""Codes of bits: packed into bytes, and thresholds from data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from narrows.applications.coding import codes, scaled_batches
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.model import Model

__all__ = ["packed_codes", "set_median_thresholds"]


def packed_codes(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield codes of bits in blocks of (rows, ceil(n_components / 8)) bytes, first bit highest."""
    for block in codes(model, source):
        yield np.packbits(block > 0, axis=1)


@torch.no_grad()
def set_median_thresholds(model: Model, source: Source) -> None:
    """Set every bit's threshold to the median of its z over these rows: half of them have it."""
    encoder = model.objective.encoder
    assert isinstance(encoder, BinaryEncoder)
    drives = [encoder(x).drive for _, x in scaled_batches(model, source)]
    encoder.thresholds.copy_(torch.cat(drives).quantile(0.5, dim=0))  # pyright: ignore[reportArgumentType] -- a binary code has a drive
