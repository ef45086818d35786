"""Augmentations: new clean images made from the training images."""

from narrows.augmentations.affine import Affine

__all__ = ["AUGMENTATIONS", "Affine"]

AUGMENTATIONS = {"affine": Affine}
