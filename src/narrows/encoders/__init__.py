"""Encoders: x~ -> code, the second slot of the formula."""

from narrows.encoders.dense import DenseEncoder
from narrows.encoders.gaussian import GaussianEncoder
from narrows.encoders.quantised import QuantisedEncoder
from narrows.encoders.top_k import TopKEncoder

__all__ = ["DenseEncoder", "GaussianEncoder", "QuantisedEncoder", "TopKEncoder"]
