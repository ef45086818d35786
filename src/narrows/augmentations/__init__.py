"""Augmentations: more clean images out of those there are."""

from narrows.augmentations.affine import Affine

__all__ = ["AUGMENTATIONS", "Affine"]

AUGMENTATIONS = {"affine": Affine}
