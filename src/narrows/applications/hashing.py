"""Codes of bits: packed into bytes, and thresholds from data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from narrows.applications.coding import code_of, codes, encoded
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.errors import InvalidData
from narrows.model import Model

__all__ = ["pack_bits", "packed_codes", "set_median_thresholds"]


def packed_codes(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield codes of bits in blocks of (rows, ceil(n_components / 8)) bytes, first bit highest."""
    for block in codes(model, source):
        yield pack_bits(block)


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """Return codes of -1 and 1 as bytes, the first bit highest.

    Raises
    ------
    InvalidData
        If a code is not finite.
    """
    if np.isnan(bits).any():
        raise InvalidData(
            "hash: a row's code is no number: its values are too large for this net; scale them, "
            "or fit to rows like it."
        )
    return np.packbits(bits > 0, axis=1)


@torch.no_grad()
def set_median_thresholds(model: Model, source: Source) -> None:
    """Set every bit's threshold to the median of its z over these rows: half of them have it."""
    encoder = model.objective.encoder
    assert isinstance(encoder, BinaryEncoder)
    drives = list(encoded(model, source, lambda x: code_of(model, x).drive))
    encoder.thresholds.copy_(torch.cat(drives).quantile(0.5, dim=0))  # pyright: ignore[reportArgumentType, reportCallIssue] -- a binary code has a drive
