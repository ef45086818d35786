"""Encoders: x~ -> code, the second slot of the formula."""

from narrows.encoders.dense import DenseEncoder

__all__ = ["DenseEncoder"]
