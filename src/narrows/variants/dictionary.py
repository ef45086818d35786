"""Overcomplete dictionary: every row is a sum of a few of many atoms.

Gao et al. (2024), "Scaling and evaluating sparse autoencoders".

    encoder   top-k           one layer, starts as the decoder's transpose
    decoder   unit            one layer of atoms of length 1
    penalty   revive          dead atoms learn what the active ones leave; 0 turns it off
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import UnitDecoder
from narrows.encoders import TopKEncoder
from narrows.variants.specs import Spec, assemble

__all__ = ["dictionary"]


def dictionary(
    *,
    n_features: int,
    n_components: int,
    k: int = 32,
    revive: float = 1 / 32,
    dead_after: int = 10_000,
    penalties: Sequence[Spec] = (),
    generator: Generator,
    **slots: Any,
) -> Objective:
    """``slots`` go to ``assemble``."""
    decoder = UnitDecoder(n_components, n_features, generator=generator)
    encoder = TopKEncoder([n_features, n_components], k=k, activation="linear", generator=generator)
    with torch.no_grad():
        encoder.weights[0].copy_(decoder.weights[0].t())
    omega = {"name": "revive", "weight": revive, "k": max(k, n_features // 2), "after": dead_after}
    return assemble(
        encoder,
        decoder,
        penalties=[*([omega] if revive else ()), *penalties],
        n_components=n_components,
        generator=generator,
        **slots,
    )
