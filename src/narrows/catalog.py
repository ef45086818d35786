"""List every variant, estimator and piece by name: a new estimator is one file and one line here.

This module imports nothing heavy, so that ``import narrows`` and ``narrows --help`` stay fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DETECTORS", "HEADS", "HOMES", "PIECES", "VARIANTS", "Head", "Variant"]


@dataclass(frozen=True)
class Variant:
    """A named choice of pieces, and the estimator that trains it.

    ``module`` is in ``narrows.estimators.autoencoders``; ``arguments`` are the constructor
    arguments that select the variant. The net is built by the module of ``narrows.variants`` with
    the variant's name, or by the one that ``builder`` names.
    """

    module: str
    estimator: str
    summary: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    builder: str = ""


@dataclass(frozen=True)
class Head:
    """A task learned on a code; ``module`` is in ``narrows.estimators.heads``."""

    module: str
    estimator: str
    summary: str


VARIANTS: dict[str, Variant] = {
    "contractive": Variant(
        "contractive", "ContractiveAutoencoder", "the code barely changes when the input does"
    ),
    "convolutional": Variant(
        "convolutional", "ConvolutionalAutoencoder", "feature maps of images, as with --net conv"
    ),
    "denoising": Variant(
        "denoising", "DenoisingAutoencoder", "reconstructs clean rows from corrupted ones"
    ),
    "dictionary": Variant(
        "dictionary", "DictionaryAutoencoder", "a row is a sum of k atoms out of many"
    ),
    "document": Variant("document", "DocumentAutoencoder", "texts, or word counts"),
    "hashing": Variant("hasher", "SemanticHasher", "binary codes to find similar rows or texts"),
    "linear": Variant(
        "linear", "LinearAutoencoder", "PCA's subspace; rows are centered, errors in input units"
    ),
    "plain": Variant("autoencoder", "Autoencoder", "a dense net; for tables, the first to try"),
    "sparse": Variant("sparse", "SparseAutoencoder", "few units of the code are active"),
    "stacked": Variant("stacked", "StackedAutoencoder", "layer-wise pretraining, then all layers"),
    "tied": Variant(
        "autoencoder",
        "Autoencoder",
        "the decoder uses the encoder's weights, transposed",
        {"tied": True},
    ),
    "top_k": Variant(
        "sparse",
        "SparseAutoencoder",
        "only the k largest units of the code are kept",
        {"sparsity": "top_k"},
    ),
    "variational": Variant(
        "variational", "VariationalAutoencoder", "a prior to sample new rows from"
    ),
    "vector_quantized": Variant(
        "vector_quantized",
        "VectorQuantizedAutoencoder",
        "each part of the code is an entry of a codebook",
    ),
}
"""Autoencoder variants, by their names on the command line."""

HEADS: dict[str, Head] = {
    "classify": Head("classifier", "CodeClassifier", "the class of a row"),
    "regress": Head("regressor", "CodeRegressor", "one or several values of a row"),
    "match": Head("matcher", "CodeMatcher", "whether two rows are the same thing"),
    "segment": Head("segmenter", "CodeSegmenter", "the class of every pixel"),
}
"""Heads, by task."""

DETECTORS: dict[str, str] = {"AnomalyDetector": "narrows.estimators.detector.detector"}
"""Anomaly detectors, and their modules."""

PIECES: dict[str, tuple[str, ...]] = {
    "narrows.augmentations": ("Affine",),
    "narrows.core.slots": (
        "Code", "Corrupted", "Corruption", "Decoder", "Encoder", "Forward", "Loss", "Penalty",
    ),
    "narrows.corruptions": (
        "Gaussian", "Identity", "Masking", "Missing", "Patches", "SaltAndPepper",
    ),
    "narrows.losses": ("Bernoulli", "Multinomial", "SquaredError"),
    "narrows.penalties": (
        "L1", "L2", "Auxiliary", "Commitment", "Contractive", "HigherOrderContractive",
        "KLSparsity", "KLToPrior", "Revive", "WeightDecay",
    ),
}  # fmt: skip
"""The pieces that users can name and the base classes of the slots, by module."""

_OTHERS = {
    "CodeImputer": "narrows.estimators.imputer",
    "Index": "narrows.indexing.index",
    "load": "narrows.estimators.files",
    "read": "narrows.data",
    "read_documents": "narrows.text",
}

HOMES: dict[str, str] = {
    **{v.estimator: f"narrows.estimators.autoencoders.{v.module}" for v in VARIANTS.values()},
    **{head.estimator: f"narrows.estimators.heads.{head.module}" for head in HEADS.values()},
    **DETECTORS,
    **{name: package for package, names in PIECES.items() for name in names},
    **_OTHERS,
}
"""The module of every public name."""
