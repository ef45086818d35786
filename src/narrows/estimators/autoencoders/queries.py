"""What a fitted autoencoder answers: codes, reconstructions, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Generator

from narrows.applications.coding.denoising import denoised
from narrows.applications.coding.evaluation import Evaluation, evaluate
from narrows.applications.inspection.health import Health, examine
from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.estimators.autoencoders.asked import Asked
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.inputs import FLOATS
from narrows.model import coding

__all__ = ["Queries"]


class Queries(TransformerMixin, Asked):
    """The questions that need a fitted Model and, most of them, rows."""

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_components

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes h = f(x) of the clean rows, (n_samples, n_components), float32."""
        return np.concatenate(list(coding.codes(*self._validated_query(X))))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return g(h) for codes X (n_samples, n_components), in input units, float32: rows
        (n_samples, n_features), or images as ``fit`` was given them.

        The result is float64 if a column of the fit is so far from 0 that float32 would round it
        by more than 1e-4 of its standard deviation, as it does times in seconds since 1970 that
        span a few hours.

        Where the model scales rows to proportions, the result is proportions: a code does not
        hold a row's total.
        """
        check_is_fitted(self, "model_")
        h: np.ndarray = check_array(X, dtype=FLOATS, input_name="codes")
        if h.shape[1] != self.model_.n_components:
            raise UsageError(
                f"inverse_transform: codes must have {self.model_.n_components} components, "
                f"got {h.shape[1]}."
            )
        return self._shaped(np.concatenate(list(coding.decoded(self.model_, h))))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), (n_samples, n_features), in input units, dense, of the dtype of
        ``inverse_transform``; images, (n_samples, height, width[, channels]), where ``fit`` was
        given images."""
        return self._shaped(np.concatenate(list(coding.reconstructions(*self._validated_query(X)))))

    def denoise(self, X: Any) -> np.ndarray:
        """Return clean rows for corrupted X, (n_samples, n_features), in input units; images where
        ``fit`` was given images.

        The rows go through the code and back. Where the corruption is ``Missing``, X may hold
        NaN: the known values stay, and only the missing ones are filled in. The dtype is that
        of ``inverse_transform``.
        """
        return self._shaped(np.concatenate(list(denoised(*self._validated_query(X)))))

    def features(self, X: Any, layer: int = -1) -> np.ndarray:
        """Return the activations of an encoder layer, counted from 0; -1 is the code."""
        return np.concatenate(list(coding.layer_features(*self._validated_query(X), layer)))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus the reconstruction error of every row, in ``loss_unit_``."""
        return -np.concatenate(list(coding.errors(*self._validated_query(X))))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of ``score_samples``: minus the error, so that greater is better.

        Where y has the shape of X it is the clean rows, and the error is of rebuilding them from X.
        Of one dimension it is ignored, as scikit-learn has it.
        """
        model, source = self._validated_query(X)
        clean = clean_rows(y, source)
        if clean is not None:
            return -evaluate(model, clean, inputs=source).error
        errors = np.concatenate(list(coding.errors(model, source)))
        return -float(errors.mean(dtype=np.float64))

    def evaluate(self, X: Any, y: Any = None) -> Evaluation:
        """Return the reconstruction error beside PCA's (TruncatedSVD's where X is sparse).

        y, in the shape of X, is clean rows to be rebuilt from X; None has X rebuilt from itself.
        """
        model, source = self._validated_query(X)
        clean = clean_rows(y, source)
        if clean is None:
            return evaluate(model, source)
        return evaluate(model, clean, inputs=source)

    def inspect(self, X: Any, *, seed: int = 0) -> Health:
        """Return the health of the code on X: dead, saturated and duplicate units, effective rank,
        whether the net only copies, and a sentence of advice for each thing that is wrong.

        ``seed`` draws which features the copying test hides together. ``print`` its ``table()``.
        """
        check_number("seed", seed, low=0, high=2**63 - 1, integer=True)
        return examine(*self._validated_query(X), generator=Generator().manual_seed(int(seed)))
