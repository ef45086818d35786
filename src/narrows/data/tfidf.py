"""Notice rows that are weighted by tf-idf already."""

from __future__ import annotations

from torch import Tensor

from narrows.core.sparse import Rows, stored_values

__all__ = ["is_tfidf"]

_CLOSE = 1e-3
"""Largest distance of a row's length from 1: rows may have been stored with few digits."""


def is_tfidf(x: Rows) -> bool:
    """Return whether a batch of rows looks like tf-idf: no value is negative, some are no whole
    numbers, and every row has the Euclidean length 1, or is all 0.

    Examples
    --------
    >>> import torch
    >>> is_tfidf(torch.tensor([[0.6, 0.8], [0.0, 0.0]])), is_tfidf(torch.eye(2))
    (True, False)
    """
    values = stored_values(x)
    if not bool(values.isfinite().all()) or bool((values < 0).any()):
        return False
    if not bool((values != values.round()).any()):
        return False
    if isinstance(x, Tensor):
        lengths = x.double().square().sum(dim=1).sqrt()
    else:
        lengths = x.with_values(values.double().square()).row_sums().sqrt()
    return bool((((lengths - 1).abs() <= _CLOSE) | (lengths == 0)).all())
