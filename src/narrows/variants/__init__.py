"""Variants: named choices of pieces, a file each; ``narrows.catalog`` lists them."""
