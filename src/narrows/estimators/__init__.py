"""Estimators: scikit-learn faces of the variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from narrows.estimators._base import AbstractAutoencoder
from narrows.estimators._code_head import CodeHead
from narrows.estimators._persistence import estimator_from_file
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.classifier import CodeClassifier
from narrows.estimators.contractive import ContractiveAutoencoder
from narrows.estimators.convolutional import ConvolutionalAutoencoder
from narrows.estimators.denoising import DenoisingAutoencoder
from narrows.estimators.detector import AnomalyDetector
from narrows.estimators.dictionary import DictionaryAutoencoder
from narrows.estimators.document import DocumentAutoencoder
from narrows.estimators.hasher import SemanticHasher
from narrows.estimators.imputer import CodeImputer
from narrows.estimators.linear import LinearAutoencoder
from narrows.estimators.matcher import CodeMatcher
from narrows.estimators.regressor import CodeRegressor
from narrows.estimators.segmenter import CodeSegmenter
from narrows.estimators.sparse import SparseAutoencoder
from narrows.estimators.stacked import StackedAutoencoder
from narrows.estimators.variational import VariationalAutoencoder
from narrows.estimators.vector_quantised import VectorQuantisedAutoencoder
from narrows.isolation import isolate

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
    "VectorQuantisedAutoencoder",
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
    VectorQuantisedAutoencoder,
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
