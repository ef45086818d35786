"""Decoders: code -> natural parameters, the third slot of the formula."""

from narrows.decoders.convolutional import ConvolutionalDecoder
from narrows.decoders.dense import DenseDecoder
from narrows.decoders.tied import TiedDecoder
from narrows.decoders.unit import UnitDecoder

__all__ = ["ConvolutionalDecoder", "DenseDecoder", "TiedDecoder", "UnitDecoder"]
