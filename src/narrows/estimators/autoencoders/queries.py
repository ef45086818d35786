"""What a fitted autoencoder answers about rows: codes, reconstructions, scores, anomalies."""

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
from narrows.applications.coding.training_rows import warn_of_calibration, was_fitted_to
from narrows.applications.inspection.health import Health, examine
from narrows.core.checks import check_number
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.held_out import Select
from narrows.estimators.inputs import FLOATS, called, fit_source, rows_called
from narrows.estimators.parameters import NarrowsEstimator
from narrows.model import coding
from narrows.model.measured import sorted_errors
from narrows.model.model import Model

__all__ = ["FittedAutoencoder"]


class FittedAutoencoder(TransformerMixin, NarrowsEstimator):
    """Questions about rows, each a thin method on a function of (model, source)."""

    model_: Model
    row_shape_: tuple[int, ...]
    """Height, width and, where they were given, channels of a row of fit's X; set for images."""
    resize_: tuple[int, int]
    """Height and width that ``read`` brought the images of fit to; set where it did."""

    def _validated_query(self, X: Any, argument: str = "X") -> tuple[Model, Source]:
        """Return the model and the rows it is asked about; unfitted, raise NotFittedError.

        ``argument`` is the name of the rows in errors.
        """
        check_is_fitted(self, "model_")
        with rows_called(argument):
            source = called(self._source(X, reset=False, min_samples=1), argument)
        self.model_.check_units(source)
        return self.model_, self.model_.scaling.as_precise(source)

    def _validated_lookup(self, X: Any) -> tuple[Model, Source]:
        """Return what ``_validated_query`` does; of texts, the share of unknown words too."""
        return self._validated_query(X)

    def _source(
        self,
        X: Any,
        *,
        reset: bool,
        min_samples: int,
        select: Select | None = None,
        like: Source | None = None,
    ) -> Source:
        """Return X as rows, checked; ``reset`` has its width and names become the estimator's.

        ``select`` splits that many rows into those to learn from and those held out. ``like`` are
        rows read before that X must match, where there is no model yet.
        """
        return fit_source(self, X, reset=reset, min_samples=min_samples)

    def _shaped(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (..., n_features) in the shape that X had at fit: (..., height, width[,
        channels]) where it held images, else flat."""
        shape = getattr(self, "row_shape_", None)
        return rows if shape is None else rows.reshape(*rows.shape[:-1], *shape)

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

    def find_anomalies(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        contamination: float | None = None,
        X_calibration: Any = None,
    ) -> FlaggedRows:
        """Return errors, p-values and which rows are flagged, from one pass over the rows.

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        alpha : float, optional
            Flag the rows with p <= alpha: of normal rows at most this share.
        contamination : float, optional
            Flag this share of X, in (0, 0.5], by the largest errors. Rows that tie with the
            largest error that is not flagged are not flagged either.
        X_calibration : rows, optional
            As for ``p_values``.

        Returns
        -------
        FlaggedRows
            With ``errors``, ``p_values`` (None if no rows were held out), ``flagged``, and
            ``rule``, the rule in words. With neither number the rule is p <= 0.01, or p <=
            1 / (m + 1) where m held-out rows allow none as small; with fewer than 9 of them, or
            none, the tenth of X with the largest errors.

        Raises
        ------
        UsageError (a ValueError)
            If both numbers are given, or one is out of range; ``alpha`` without held-out rows.
        InvalidData (a ValueError)
            If an error of the calibration is not finite.
        """
        check_rule(alpha, contamination)
        model, source = self._validated_query(X)
        calibration = self._calibration_errors(model, X_calibration, source)
        errors = np.concatenate(list(coding.errors(model, source)))
        return flag_rows(
            errors,
            calibration,
            alpha=alpha,
            contamination=contamination,
            training_rows=was_fitted_to(model, source, errors),
        )

    def p_values(self, X: Any, X_calibration: Any = None) -> np.ndarray:
        """Return how often a normal row has an error as large as each row's, float64 in (0, 1].

        p = (1 + #{held-out errors >= error}) / (n + 1): of rows like those held out at most a
        share a has p <= a, whatever the net. With n held out none is below 1 / (n + 1).

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        X_calibration : rows, optional
            Normal rows that training did not see. Without them the rows that ``fit`` held out,
            ``validation_fraction`` of its own, stand for them; the model file keeps their errors.
            Training stopped where it did best on those, which flatters the net a little.

        Raises
        ------
        UsageError (a ValueError)
            If ``fit`` held no rows out, and none are given.
        InvalidData (a ValueError)
            If an error of the calibration is not finite.

        Warns
        -----
        CopiesWarning
            If ``X_calibration`` are the rows of ``fit``, as far as the model knows them, or X.
        """
        model, source = self._validated_query(X)
        held_out = self._calibration_errors(model, X_calibration, source)
        if held_out is None:
            raise UsageError(
                "p_values: the model holds no errors of rows that training did not see "
                "(validation_fraction=0, too few rows, partial_fit, a checkpoint, or a file from "
                "before they were kept); pass X_calibration (--calibrate), normal rows that fit "
                "was not given."
            )
        errors = np.concatenate(list(coding.errors(model, source)))
        return conformal_p_values(errors, held_out)

    def _calibration_errors(
        self, model: Model, X_calibration: Any, source: Source
    ) -> np.ndarray | None:
        """Return the sorted errors of given rows, or those that ``fit`` kept; None if there are
        none. ``source`` are the rows that are asked about."""
        if X_calibration is None:
            return None if model.calibration is None else model.calibration.cpu().numpy()
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        held_out = sorted_errors(model, rows).numpy()
        if not np.isfinite(held_out).all():
            raise InvalidData("X_calibration: a row has an error that is not finite.")
        warn_of_calibration(rows, source, fitted=was_fitted_to(model, rows, held_out))
        return held_out

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return which share each feature has in its row's error, (n_samples, n_features), float32.

        Rows add up to 1. For losses in nats it is the excess over a perfect reconstruction that is
        shared out, so that a feature rebuilt as it is has none.
        """
        return np.concatenate(list(contributions(*self._validated_query(X))))

    def export(self, path: str | Path, *, part: str = "encoder") -> None:
        """Write a part as one ONNX file, for programs without Narrows or torch.

        Rows go in and come out in input units, any number at a time: float32, or float64 where
        ``inverse_transform`` returns it. Scaling is in the file. Needs
        ``pip install 'narrows[onnx]'``.

        Parameters
        ----------
        path : path
            What stood there is replaced when all is written.
        part : {"encoder", "decoder", "reconstruct"}, default="encoder"
            The file then does what ``transform``, ``inverse_transform`` or ``reconstruct`` do:
            ``x`` to ``code``, ``code`` to ``x``, ``x`` to ``reconstruction``.

        Raises
        ------
        MissingExtra
            If onnx or onnxscript is not installed.
        UsageError (a ValueError)
            If there is no such part, or it has 2 GiB of weights or more.
        ResourceError
            If the file cannot be written.
        """
        from narrows.export.onnx import export_onnx

        check_is_fitted(self, "model_")
        export_onnx(self.model_, path, part=part)
