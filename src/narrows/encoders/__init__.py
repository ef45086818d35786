"""Encoders: x~ -> code, the second slot of the formula."""

from narrows.encoders.binary import BinaryEncoder
from narrows.encoders.convolutional import ConvolutionalEncoder
from narrows.encoders.dense import DenseEncoder
from narrows.encoders.gaussian import GaussianEncoder
from narrows.encoders.quantized import QuantizedEncoder
from narrows.encoders.top_k import TopKEncoder

__all__ = [
    "BinaryEncoder",
    "ConvolutionalEncoder",
    "DenseEncoder",
    "GaussianEncoder",
    "QuantizedEncoder",
    "TopKEncoder",
]
