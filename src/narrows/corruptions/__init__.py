"""Corruptions: x -> x~, the first slot of the formula."""

from narrows.corruptions.identity import Identity
from narrows.corruptions.masking import Masking

__all__ = ["CORRUPTIONS", "Identity", "Masking"]

CORRUPTIONS = {"identity": Identity, "masking": Masking}
