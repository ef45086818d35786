"""Variants: named choices of pieces. A new one is one new file and one line here."""

from narrows.variants.contractive import contractive
from narrows.variants.linear import linear
from narrows.variants.plain import plain
from narrows.variants.tied import tied

__all__ = ["VARIANTS"]

VARIANTS = {"contractive": contractive, "linear": linear, "plain": plain, "tied": tied}
