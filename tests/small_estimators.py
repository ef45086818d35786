"""Small unfitted estimators of every class, and rows and targets that suit them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

import narrows
from narrows.estimators.all_estimators import AUTOENCODERS, DETECTORS, HEADS

EVERY = (*AUTOENCODERS, *HEADS, *DETECTORS, narrows.CodeImputer)

ROWS = np.random.default_rng(0).random((40, 16)).astype(np.float32)
IMAGES = ROWS.reshape(-1, 4, 4)
COUNTS = sp.csr_array(np.floor(4 * ROWS * (ROWS > 0.5)))
CLASSES = np.arange(40) % 2
HOLED = np.where(ROWS < 0.1, np.nan, ROWS)
NOT_TO_THE_LAST_DIGIT = {
    f"check_sample_weight_equivalence_on_{kind}_data": (
        "equality to 1e-7 of weighted and repeated rows, which batches drawn at random do not "
        "give; test_weights.py and test_weighted_fits.py have the equality of full batches"
    )
    for kind in ("dense", "sparse")
}
"""scikit-learn's checks that estimators with sample weights fail."""

QUICK = {"max_epochs": 2, "batch_size": 16, "random_state": 0}
MAPS = {"channels": (4,), **QUICK}


def unfitted(cls: type) -> Any:
    name = cls.__name__
    if name == "CodeSegmenter":
        return cls(narrows.ConvolutionalAutoencoder(2, **MAPS), width=4, **QUICK)
    if cls in HEADS:
        net = narrows.Autoencoder(2, hidden=(8,), **QUICK)
        return cls(net, training="joint", max_epochs=2, random_state=0)
    if cls in DETECTORS:
        return cls(narrows.Autoencoder(2, hidden=(8,), **QUICK), n_folds=2, random_state=0)
    if name == "CodeImputer":
        net = narrows.DenoisingAutoencoder(2, hidden=(8,), corruption="missing", **QUICK)
        return cls(net, method="pass", random_state=0)
    if name == "ConvolutionalAutoencoder":
        return cls(2, **MAPS)
    own: dict[str, dict[str, Any]] = {
        "Autoencoder": {
            "hidden": (8,),
            "penalties": ("auxiliary", "contractive:0.01"),
            "corruption": "patches",
            "augmentation": "affine",
        },
        "StackedAutoencoder": {"pretrain_epochs": 1},
        "DenoisingAutoencoder": {"corruption": "missing"},
        "SemanticHasher": {"n_components": 8},
        "VectorQuantizedAutoencoder": {"n_components": 4},
    }
    return cls(**{"n_components": 3, **QUICK, **own.get(name, {})})


def rows_for(cls: type) -> Any:
    if cls.__name__ in ("ConvolutionalAutoencoder", "CodeSegmenter", "Autoencoder"):
        return IMAGES
    return COUNTS if cls.__name__ in ("DocumentAutoencoder", "SemanticHasher") else ROWS


def targets_for(cls: type) -> Any:
    return IMAGES > 0.5 if cls.__name__ == "CodeSegmenter" else CLASSES
