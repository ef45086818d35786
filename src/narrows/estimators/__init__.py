"""Estimators: scikit-learn faces of the variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from narrows.core.isolation import isolate
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.contractive import ContractiveAutoencoder
from narrows.estimators.autoencoders.convolutional import ConvolutionalAutoencoder
from narrows.estimators.autoencoders.denoising import DenoisingAutoencoder
from narrows.estimators.autoencoders.dictionary import DictionaryAutoencoder
from narrows.estimators.autoencoders.document import DocumentAutoencoder
from narrows.estimators.autoencoders.hasher import SemanticHasher
from narrows.estimators.autoencoders.linear import LinearAutoencoder
from narrows.estimators.autoencoders.sparse import SparseAutoencoder
from narrows.estimators.autoencoders.stacked import StackedAutoencoder
from narrows.estimators.autoencoders.variational import VariationalAutoencoder
from narrows.estimators.autoencoders.vector_quantized import VectorQuantizedAutoencoder
from narrows.estimators.detector.detector import AnomalyDetector
from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.classifier import CodeClassifier
from narrows.estimators.heads.matcher import CodeMatcher
from narrows.estimators.heads.regressor import CodeRegressor
from narrows.estimators.heads.segmenter import CodeSegmenter
from narrows.estimators.imputer import CodeImputer
from narrows.estimators.loading import estimator_from_file

__all__ = [
    "ALL",
    "DETECTORS",
    "HEADS",
    "AnomalyDetector",
    "Autoencoder",
    "CodeClassifier",
    "CodeImputer",
    "CodeMatcher",
    "CodeRegressor",
    "CodeSegmenter",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "DictionaryAutoencoder",
    "DocumentAutoencoder",
    "LinearAutoencoder",
    "SemanticHasher",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
    "load",
]

ALL: tuple[type[AbstractAutoencoder], ...] = (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    DictionaryAutoencoder,
    DocumentAutoencoder,
    LinearAutoencoder,
    SemanticHasher,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
)

HEADS: tuple[type[CodeHead], ...] = (CodeClassifier, CodeMatcher, CodeRegressor, CodeSegmenter)

DETECTORS = (AnomalyDetector,)


@isolate
def load(path: str | Path) -> Any:
    """Return the fitted estimator that ``save`` wrote.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or from a later version; nothing in it is ever run.
    FileNotFoundError
        If there is no such file.
    """
    return estimator_from_file(path, {cls.__name__: cls for cls in (*ALL, *HEADS, *DETECTORS)})
