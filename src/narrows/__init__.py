"""Narrows learns a short code for images, documents and tables, and puts the code to work.

J(x) = L( x, g( f( x~ ) ) ) + sum of Omega
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from narrows._version import __version__

if TYPE_CHECKING:
    from narrows.augmentations import Affine
    from narrows.corruptions import Gaussian, Identity, Masking, Missing, Patches, SaltAndPepper
    from narrows.data import read
    from narrows.estimators import (
        AnomalyDetector,
        Autoencoder,
        CodeClassifier,
        CodeImputer,
        CodeMatcher,
        CodeRegressor,
        CodeSegmenter,
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
        load,
    )
    from narrows.indexing.index import Index
    from narrows.losses import Bernoulli, Multinomial, SquaredError
    from narrows.penalties import (
        L1,
        L2,
        Auxiliary,
        Commitment,
        Contractive,
        HigherOrderContractive,
        KLSparsity,
        KLToPrior,
        Revive,
        WeightDecay,
    )
    from narrows.text import read_documents

__all__ = [
    "Affine",
    "AnomalyDetector",
    "Autoencoder",
    "Auxiliary",
    "Bernoulli",
    "CodeClassifier",
    "CodeImputer",
    "CodeMatcher",
    "CodeRegressor",
    "CodeSegmenter",
    "Commitment",
    "Contractive",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "DictionaryAutoencoder",
    "DocumentAutoencoder",
    "Gaussian",
    "HigherOrderContractive",
    "Identity",
    "Index",
    "KLSparsity",
    "KLToPrior",
    "L1",
    "L2",
    "LinearAutoencoder",
    "Masking",
    "Missing",
    "Multinomial",
    "Patches",
    "Revive",
    "SaltAndPepper",
    "SemanticHasher",
    "SparseAutoencoder",
    "SquaredError",
    "StackedAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
    "WeightDecay",
    "__version__",
    "load",
    "read",
    "read_documents",
]

# Imported at first use: `import narrows` does not wait for torch.
_HOMES = {
    "Affine": "narrows.augmentations",
    "AnomalyDetector": "narrows.estimators",
    "Autoencoder": "narrows.estimators",
    "Auxiliary": "narrows.penalties",
    "Bernoulli": "narrows.losses",
    "CodeClassifier": "narrows.estimators",
    "CodeImputer": "narrows.estimators",
    "CodeMatcher": "narrows.estimators",
    "CodeRegressor": "narrows.estimators",
    "CodeSegmenter": "narrows.estimators",
    "Commitment": "narrows.penalties",
    "Contractive": "narrows.penalties",
    "ContractiveAutoencoder": "narrows.estimators",
    "ConvolutionalAutoencoder": "narrows.estimators",
    "DenoisingAutoencoder": "narrows.estimators",
    "DictionaryAutoencoder": "narrows.estimators",
    "DocumentAutoencoder": "narrows.estimators",
    "Gaussian": "narrows.corruptions",
    "HigherOrderContractive": "narrows.penalties",
    "Identity": "narrows.corruptions",
    "Index": "narrows.indexing.index",
    "KLSparsity": "narrows.penalties",
    "KLToPrior": "narrows.penalties",
    "L1": "narrows.penalties",
    "L2": "narrows.penalties",
    "LinearAutoencoder": "narrows.estimators",
    "Masking": "narrows.corruptions",
    "Missing": "narrows.corruptions",
    "Multinomial": "narrows.losses",
    "Patches": "narrows.corruptions",
    "Revive": "narrows.penalties",
    "SaltAndPepper": "narrows.corruptions",
    "SemanticHasher": "narrows.estimators",
    "SparseAutoencoder": "narrows.estimators",
    "SquaredError": "narrows.losses",
    "StackedAutoencoder": "narrows.estimators",
    "VariationalAutoencoder": "narrows.estimators",
    "VectorQuantizedAutoencoder": "narrows.estimators",
    "WeightDecay": "narrows.penalties",
    "load": "narrows.estimators",
    "read": "narrows.data",
    "read_documents": "narrows.text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narrows' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
