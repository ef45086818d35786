"""Penalties: Omega, the fifth slot of the formula."""

from narrows.penalties.l1 import L1
from narrows.penalties.weight_decay import WeightDecay

__all__ = ["L1", "PENALTIES", "WeightDecay"]

PENALTIES = {"l1": L1, "weight_decay": WeightDecay}
