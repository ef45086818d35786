"""Everything that Narrows offers by name: a new estimator is one new file and one line here.

Nothing is imported: ``import narrows`` and ``narrows --help`` read this table and wait for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DETECTORS", "HEADS", "HOMES", "PIECES", "VARIANTS", "Head", "Variant"]


@dataclass(frozen=True)
class Variant:
    """A named choice of pieces: the estimator that makes it.

    ``module`` is a module of ``narrows.estimators.autoencoders``; ``arguments`` are what the choice
    settles in the constructor.
    """

    module: str
    estimator: str
    summary: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """What is learned on a code. ``module`` is a module of ``narrows.estimators.heads``."""

    module: str
    estimator: str
    summary: str


VARIANTS: dict[str, Variant] = {
    "contractive": Variant(
        "contractive", "ContractiveAutoencoder", "the code hardly changes when the input does"
    ),
    "convolutional": Variant(
        "convolutional", "ConvolutionalAutoencoder", "convolutions over images, as with --net conv"
    ),
    "denoising": Variant(
        "denoising", "DenoisingAutoencoder", "reconstructs clean rows from corrupted ones"
    ),
    "dictionary": Variant(
        "dictionary", "DictionaryAutoencoder", "a row is a sum of k atoms out of many"
    ),
    "document": Variant("document", "DocumentAutoencoder", "texts, or counts of words"),
    "hashing": Variant("hasher", "SemanticHasher", "bits, for finding similar rows or texts"),
    "linear": Variant(
        "linear", "LinearAutoencoder", "PCA's subspace; rows are centered, errors in input units"
    ),
    "plain": Variant("autoencoder", "Autoencoder", "a dense net; for tables, the first to try"),
    "sparse": Variant("sparse", "SparseAutoencoder", "few units of the code are active"),
    "stacked": Variant("stacked", "StackedAutoencoder", "layer-wise pretraining, then all layers"),
    "tied": Variant(
        "autoencoder", "Autoencoder", "the decoder has the encoder's weights", {"tied": True}
    ),
    "top_k": Variant(
        "sparse",
        "SparseAutoencoder",
        "the k largest units of the code are kept",
        {"sparsity": "top_k"},
    ),
    "variational": Variant(
        "variational", "VariationalAutoencoder", "a prior to sample new rows from"
    ),
    "vector_quantized": Variant(
        "vector_quantized", "VectorQuantizedAutoencoder", "the code is a choice from a codebook"
    ),
}
"""Autoencoders by their name on the command line."""

HEADS: dict[str, Head] = {
    "classify": Head("classifier", "CodeClassifier", "the class of a row"),
    "regress": Head("regressor", "CodeRegressor", "a value of a row, or several"),
    "match": Head("matcher", "CodeMatcher", "whether two rows are the same thing"),
    "segment": Head("segmenter", "CodeSegmenter", "the class of every pixel"),
}
"""Heads by their task."""

DETECTORS: dict[str, str] = {"AnomalyDetector": "narrows.estimators.detector.detector"}
"""Anomaly detectors, and the modules that they are in."""

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
"""The pieces that users name, and the contracts of the slots, by their modules."""

_OTHERS = {
    "CodeImputer": "narrows.estimators.imputer",
    "Index": "narrows.indexing.index",
    "load": "narrows.estimators.loading",
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
