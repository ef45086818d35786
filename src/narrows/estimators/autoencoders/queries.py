"""Encode, reconstruct and score rows with a fitted autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Generator

from narrows.applications.anomalies.contributions import contributions
from narrows.applications.anomalies.flagging import FlaggedRows, check_rule, flag_rows
from narrows.applications.anomalies.p_values import conformal_p_values
from narrows.applications.coding.denoising import denoised
from narrows.applications.coding.evaluation import Evaluation, evaluate
from narrows.applications.inspection.health import Health, examine
from narrows.core.checks import check_number
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.held_out import Select
from narrows.estimators.inputs import FLOATS, called, fit_source, rows_called
from narrows.estimators.parameters import NarrowsEstimator
from narrows.model import coding
from narrows.model.coding import all_rows
from narrows.model.features import layer_features
from narrows.model.measured import sorted_errors
from narrows.model.model import Model
from narrows.model.training_rows import warn_of_calibration, was_fitted_to

__all__ = ["FittedAutoencoder"]


class FittedAutoencoder(TransformerMixin, NarrowsEstimator):
    """Methods of a fitted autoencoder on query rows, each a thin call of ``applications``."""

    model_: Model
    row_shape_: tuple[int, ...]
    """Height, width and, if X had them, channels of a row; set if ``fit`` was given images."""
    resize_: tuple[int, int]
    """Height and width to which ``read`` resized the images of ``fit``; set if it did."""

    def _validated_query(self, X: Any, argument: str = "X") -> tuple[Model, Source]:
        """Validate query rows for the fitted model, and return the model and the rows.

        Errors call the rows ``argument``. Raises NotFittedError if the estimator is not fitted.
        """
        check_is_fitted(self, "model_")
        with rows_called(argument):
            rows = self._counted(X, like=self.model_)
            source = called(self._source(rows, reset=False, min_samples=1), argument)
        self.model_.check_units(source)
        return self.model_, self.model_.scaling.as_precise(source)

    def _counted(
        self, X: Any, *, like: Model | Source | None = None, select: Select | None = None
    ) -> Any:
        """Return X unchanged; estimators of texts return their counts.

        The words are those of ``like``. If it is None, they are learned from the documents that
        ``select`` does not hold out.
        """
        return X

    def _source(self, X: Any, *, reset: bool, min_samples: int) -> Source:
        """Validate X and return it as a source; ``reset`` sets the estimator's width and names."""
        return fit_source(self, X, reset=reset, min_samples=min_samples)

    def _shaped(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (..., n_features) as images (..., height, width[, channels]) if ``fit`` was
        given images, otherwise unchanged."""
        shape = getattr(self, "row_shape_", None)
        return rows if shape is None else rows.reshape(*rows.shape[:-1], *shape)

    @property
    def n_components_(self) -> int:
        """Width of the code."""
        return self.model_.n_components

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes h = f(x), without corruption, (n_samples, n_components), float32."""
        return all_rows(coding.codes(*self._validated_query(X)))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return g(h) for codes X (n_samples, n_components), in input units, float32: rows
        (n_samples, n_features), or images if ``fit`` was given images.

        The result is float64 if a column of the training rows is so far from 0 that float32 would
        round it by more than 1e-4 of its standard deviation, such as times in seconds since 1970
        that span a few hours.

        If the model scales rows to proportions, the result is proportions, because a code does not
        contain a row's total.
        """
        check_is_fitted(self, "model_")
        h: np.ndarray = check_array(X, dtype=FLOATS, input_name="codes")
        if h.shape[1] != self.model_.n_components:
            raise UsageError(
                f"inverse_transform: codes must have {self.model_.n_components} components, "
                f"got {h.shape[1]}."
            )
        return self._shaped(all_rows(coding.decode_rows(self.model_, h)))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), (n_samples, n_features), in input units, dense, with the dtype of
        ``inverse_transform``; images (n_samples, height, width[, channels]) if ``fit`` was given
        images."""
        return self._shaped(all_rows(coding.reconstructions(*self._validated_query(X))))

    def denoise(self, X: Any) -> np.ndarray:
        """Return reconstructions of corrupted rows, (n_samples, n_features), in input units; images
        if ``fit`` was given images.

        If the corruption is ``Missing``, X may contain NaN: known values stay unchanged, and only
        missing ones are filled in. The dtype is that of ``inverse_transform``.
        """
        return self._shaped(all_rows(denoised(*self._validated_query(X))))

    def features(self, X: Any, layer: int = -1) -> np.ndarray:
        """Return the activations of an encoder layer, counted from 0; -1 is the code."""
        return all_rows(layer_features(*self._validated_query(X), layer))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus the reconstruction error of every row, (n_samples,), in ``loss_unit_``."""
        return -all_rows(coding.errors(*self._validated_query(X)))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of ``score_samples``: minus the error, so that greater is better.

        If y has the shape of X, it is the clean rows, and the error is that of their
        reconstruction from X. A one-dimensional y is ignored, as in scikit-learn.
        """
        model, source = self._validated_query(X)
        clean = clean_rows(y, source)
        if clean is not None:
            return -evaluate(model, clean, inputs=source).error
        errors = all_rows(coding.errors(model, source))
        return -float(errors.mean(dtype=np.float64))

    def evaluate(self, X: Any, y: Any = None) -> Evaluation:
        """Return the reconstruction error beside PCA's (TruncatedSVD's if X is sparse).

        y, in the shape of X, is clean rows to reconstruct from X; None reconstructs X itself.
        """
        model, source = self._validated_query(X)
        clean = clean_rows(y, source)
        if clean is None:
            return evaluate(model, source)
        return evaluate(model, clean, inputs=source)

    def inspect(self, X: Any, *, seed: int = 0) -> Health:
        """Return the health of the code on X: dead, saturated and duplicate units, effective rank,
        whether the net only copies, and advice for each problem.

        ``seed`` draws the features that the copying test hides. ``table()`` returns a printable
        table.
        """
        check_number("seed", seed, low=0, high=2**63 - 1, integer=True)
        return examine(*self._validated_query(X), generator=Generator().manual_seed(int(seed)))

    def find_anomalies(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        contamination: float | None = None,
        X_calibration: Any = None,
    ) -> FlaggedRows:
        """Return errors, p-values and flags of rows, from one pass over the rows.

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        alpha : float, optional
            Flag rows with p <= alpha: at most this share of normal rows.
        contamination : float, optional
            Flag this share of X, in (0, 0.5], with the largest errors. Rows that tie with the
            largest error below the limit are not flagged.
        X_calibration : rows, optional
            As in ``p_values``.

        Returns
        -------
        FlaggedRows
            With ``errors``, ``p_values`` (None if no rows were held out), ``flagged``, and
            ``rule``, the rule in words. By default the rule is p <= 0.01, or p <= 1 / (m + 1) if
            there are too few held-out rows m for such a p; with fewer than 9 held-out rows, the
            tenth of X with the largest errors.

        Raises
        ------
        UsageError (a ValueError)
            If both ``alpha`` and ``contamination`` are given, or one is out of range; if
            ``alpha`` is given without held-out rows.
        InvalidData (a ValueError)
            If the error of a calibration row is not finite.
        """
        check_rule(alpha, contamination)
        model, source = self._validated_query(X)
        calibration = self._calibration_errors(model, X_calibration, source)
        errors = all_rows(coding.errors(model, source))
        return flag_rows(
            errors,
            calibration,
            alpha=alpha,
            contamination=contamination,
            training_rows=was_fitted_to(model, source, errors),
        )

    def p_values(self, X: Any, X_calibration: Any = None) -> np.ndarray:
        """Return each row's p-value: the probability that a normal row has as large an error,
        (n_samples,), float64 in (0, 1].

        p = (1 + #{held-out errors >= error}) / (n + 1): at most a share a of rows like the held-out
        ones has p <= a, whatever the net. With n held-out rows no p is below 1 / (n + 1).

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        X_calibration : rows, optional
            Normal rows that were not used in training. By default the rows that ``fit`` held out
            (``validation_fraction``), whose errors the model file keeps. Early stopping chose the
            weights on those rows, so that their errors are slightly too low.

        Raises
        ------
        UsageError (a ValueError)
            If ``fit`` held out no rows, and none are given.
        InvalidData (a ValueError)
            If the error of a calibration row is not finite.

        Warns
        -----
        CopiesWarning
            If ``X_calibration`` appears to be the rows of ``fit``, or X itself.
        """
        model, source = self._validated_query(X)
        held_out = self._calibration_errors(model, X_calibration, source)
        if held_out is None:
            raise UsageError(
                "p_values: the model has no errors of held-out rows (validation_fraction=0, too "
                "few rows, partial_fit, a checkpoint, or an older file); pass X_calibration "
                "(--calibrate), normal rows that fit was not given."
            )
        errors = all_rows(coding.errors(model, source))
        return conformal_p_values(errors, held_out)

    def _calibration_errors(
        self, model: Model, X_calibration: Any, source: Source
    ) -> np.ndarray | None:
        """Return the sorted errors of ``X_calibration``, or of the rows that ``fit`` held out; None
        if there are none. ``source`` is the query."""
        if X_calibration is None:
            return None if model.calibration is None else model.calibration.cpu().numpy()
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        held_out = sorted_errors(model, rows).numpy()
        if not np.isfinite(held_out).all():
            raise InvalidData("X_calibration: a row has an error that is not finite.")
        warn_of_calibration(rows, source, fitted=was_fitted_to(model, rows, held_out))
        return held_out

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return the share of each feature in its row's error, (n_samples, n_features), float32.

        Each row sums to 1. For losses in nats the shares are of the excess over a perfect
        reconstruction, so that a feature that is reconstructed exactly has share 0.
        """
        return all_rows(contributions(*self._validated_query(X)))

    def export(self, path: str | Path, *, part: str = "encoder") -> None:
        """Write a part of the model as an ONNX file, for use without Narrows or torch.

        Inputs and outputs are in input units, in batches of any size: float32, or float64 if
        ``inverse_transform`` returns it. The file includes the scaling. Needs
        ``pip install 'narrows[onnx]'``.

        Parameters
        ----------
        path : path
            An existing file is replaced once the new one is complete.
        part : {"encoder", "decoder", "reconstruct"}, default="encoder"
            The file computes ``transform``, ``inverse_transform`` or ``reconstruct``: ``x`` to
            ``code``, ``code`` to ``x``, ``x`` to ``reconstruction``.

        Raises
        ------
        MissingExtra
            If onnx or onnxscript is not installed.
        UsageError (a ValueError)
            If the part is unknown, or has 2 GiB of weights or more.
        ResourceError
            If the file cannot be written.
        """
        from narrows.export.onnx import export_onnx

        check_is_fitted(self, "model_")
        export_onnx(self.model_, path, part=part)
