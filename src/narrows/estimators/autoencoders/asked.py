"""A fitted model and the rows that it is asked about: what every question begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.estimators.inputs import called, fit_source, rows_called
from narrows.estimators.parameters import WithDefaults
from narrows.model.model import Model

__all__ = ["Asked", "Select"]

Select = Callable[[int], Selection]
"""A function from the number of rows to which are trained on and which are held out."""


class Asked(WithDefaults):
    """What the groups of questions share (codes, anomalies, hidden values, new rows, export)."""

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
        """Return what ``_validated_query`` does, for an index: empty rows get no warning here, and
        of texts the source holds the share of unknown words."""
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
