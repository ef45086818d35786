"""The learning rate over a training: warm-up, then a cosine down to 0."""

from __future__ import annotations

import math

__all__ = ["rate_factor"]


def rate_factor(step: int, total: int, *, warmup: float = 0.1) -> float:
    """Return the factor on the learning rate at a step, counted from 0.

    It rises linearly over the first ``warmup`` of all steps and falls as half a cosine; it is 0
    just before the first step and just after the last, so that every step counts.

    References
    ----------
    Loshchilov, Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR.
    """
    done = (step + 1) / (total + 1)
    if done <= warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
