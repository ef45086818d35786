"""The nets of an anomaly detector: what is fitted to the folds, and how one is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from narrows.applications.anomalies.anomaly_score import (
    AnomalyScore,
    fit_anomaly_score,
    trimmed_rows,
)
from narrows.data.splitting import Grouping
from narrows.errors import CopyingWarning, InvalidData, UsageError
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.inputs import fit_source
from narrows.text import Documents
from narrows.training.stages import Stages

__all__ = ["default_member", "fitted_member", "rows_of_folds"]

_BATCH, _STEPS = 128, 500
_WIDEST = 32


def rows_of_folds(estimator: Any, X: Any) -> Any:
    """Validate X, and return a source of which any rows can be taken.

    Raises
    ------
    InvalidData
        Texts, of which only codes are numbers; what ``fit_source`` refuses.
    UsageError
        Rows that stream from a file.
    """
    if isinstance(X, Documents):
        raise InvalidData(
            f"{X.origin}: holds texts, and a detector is fitted to numbers: fit a document model "
            "(narrows fit --variant document) and give its codes, narrows encode MODEL "
            f"{X.origin} -o codes.npy and narrows detector codes.npy -o FILE; in Python "
            "fit(model.transform(X))."
        )
    source = fit_source(estimator, X, min_samples=4)
    if not source.holds_targets:
        raise UsageError(
            f"X: {source.origin} is streamed; folds need rows in memory: give fewer rows, or "
            "fit one net to all of them, which scores rows too (narrows fit and narrows "
            "anomalies; in Python fit and p_values of an autoencoder)."
        )
    return source


def default_member(n_features: int, n_rows: int, *, device: str) -> AbstractAutoencoder:
    """Return an unfitted net whose code is as wide as the rows, up to 32."""
    return Autoencoder(
        min(_WIDEST, n_features),
        hidden=(64,),
        scale="standard",
        max_epochs=int(np.clip(_STEPS * _BATCH // n_rows, 10, _STEPS)),
        batch_size=_BATCH,
        validation_fraction=0.0,
        patience=None,
        device=device,
    )


def fitted_member(
    made: AbstractAutoencoder,
    source: Any,
    *,
    grouping: Grouping,
    trim: float,
    seed: int,
    may_copy: bool,
    stages: Stages,
    name: str,
) -> tuple[AbstractAutoencoder, AnomalyScore]:
    """Fit a clone and its S to a source, then both again without the share ``trim`` of odd rows.

    ``may_copy`` leaves out the warning of a wide code. ``name`` names the checkpoints of both fits.
    If the net holds rows out, it holds out whole groups of ``grouping``.
    """

    def of_fit(name: str, grouping: Grouping) -> dict[str, Any]:
        grouped = grouping and fresh.validation_fraction
        return stages.of_fit(name) | ({"groups": grouping.groups} if grouped else {})

    fresh: Any = clone(made)
    fresh.set_params(random_state=seed % 2**31)
    with warnings.catch_warnings():
        if may_copy:
            warnings.simplefilter("ignore", CopyingWarning)
        fresh.fit(source, **of_fit(name, grouping))
        if trim:
            warnings.simplefilter("ignore", CopyingWarning)  # the first fit has said it
            kept = trimmed_rows(fresh.model_, source, trim=trim, seed=seed)
            source = source.subset(kept)
            fresh.fit(source, **of_fit(f"{name}-trimmed", grouping.subset(kept)))
    return fresh, fit_anomaly_score(fresh.model_, source, seed=seed)
