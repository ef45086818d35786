"""The learning rate over a training: warm-up, then a cosine down to 0."""

from __future__ import annotations

import math

__all__ = ["rate_factor"]


def rate_factor(step: int, total: int, *, warmup: float = 0.1) -> float:
    """Return the factor on the learning rate at a step, counted from 0.

    It rises linearly over the first ``warmup`` share of all steps and falls as half a cosine. It
    would be 0 just before the first step and just after the last, so that every step counts.

    References
    ----------
    Loshchilov, Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR.

    Examples
    --------
    >>> [round(rate_factor(step, 9), 2) for step in range(9)]
    [1.0, 0.97, 0.88, 0.75, 0.59, 0.41, 0.25, 0.12, 0.03]
    """
    done = (step + 1) / (total + 1)
    if done <= warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
