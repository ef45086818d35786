"""Penalties: Omega, the fifth slot of the formula."""

from narrows.penalties.auxiliary import Auxiliary
from narrows.penalties.commitment import Commitment
from narrows.penalties.contractive import Contractive
from narrows.penalties.higher_order_contractive import HigherOrderContractive
from narrows.penalties.kl_sparsity import KLSparsity
from narrows.penalties.kl_to_prior import KLToPrior
from narrows.penalties.l1 import L1
from narrows.penalties.l2 import L2
from narrows.penalties.revive import Revive
from narrows.penalties.weight_decay import WeightDecay

__all__ = [
    "L1",
    "L2",
    "PENALTIES",
    "Auxiliary",
    "Commitment",
    "Contractive",
    "HigherOrderContractive",
    "KLSparsity",
    "KLToPrior",
    "Revive",
    "WeightDecay",
]

PENALTIES = {
    "auxiliary": Auxiliary,
    "commitment": Commitment,
    "contractive": Contractive,
    "higher_order_contractive": HigherOrderContractive,
    "kl_sparsity": KLSparsity,
    "kl_to_prior": KLToPrior,
    "l1": L1,
    "l2": L2,
    "revive": Revive,
    "weight_decay": WeightDecay,
}
