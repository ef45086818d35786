"""Penalties: Omega, the fifth slot of the formula."""

from narrows.penalties.auxiliary import Auxiliary
from narrows.penalties.kl_sparsity import KLSparsity
from narrows.penalties.l1 import L1
from narrows.penalties.revive import Revive
from narrows.penalties.weight_decay import WeightDecay

__all__ = ["L1", "PENALTIES", "Auxiliary", "KLSparsity", "Revive", "WeightDecay"]

PENALTIES = {
    "auxiliary": Auxiliary,
    "kl_sparsity": KLSparsity,
    "l1": L1,
    "revive": Revive,
    "weight_decay": WeightDecay,
}
