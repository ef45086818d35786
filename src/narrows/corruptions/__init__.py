"""Corruptions: x -> x~, the first slot of the formula."""

from narrows.corruptions.gaussian import Gaussian
from narrows.corruptions.identity import Identity
from narrows.corruptions.masking import Masking
from narrows.corruptions.missing import Missing
from narrows.corruptions.patches import Patches
from narrows.corruptions.salt_and_pepper import SaltAndPepper

__all__ = [
    "CORRUPTIONS",
    "Gaussian",
    "Identity",
    "Masking",
    "Missing",
    "Patches",
    "SaltAndPepper",
]

CORRUPTIONS = {
    "gaussian": Gaussian,
    "identity": Identity,
    "masking": Masking,
    "missing": Missing,
    "patches": Patches,
    "salt_and_pepper": SaltAndPepper,
}
