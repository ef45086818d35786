"""The base of heads whose y has a class or values for every row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.fit import fit_rows, learn_head, opened
from narrows.estimators.held_out import HeldOut
from narrows.estimators.shared_texts import documented
from narrows.fitting.head import HeadRecipe

__all__ = ["SupervisedHead"]


@documented
class SupervisedHead(CodeHead):
    """A head that is fitted to rows, their y and their weights."""

    @abstractmethod
    def _recipe(self) -> HeadRecipe:
        """Return what the head is, for its training, once y has been read."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: tuple[Any, Any] | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit the head to the code of X, and the code too where ``training`` says so.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,), of a regressor (n_samples, n_targets) too
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts in the loss of the head, on held-out rows too, and in how
            features and values are standardized; only their ratios matter. Rows of weight 0 are
            left out of everything. An autoencoder that is fitted here, and its own J in "joint",
            count the other rows alike.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : pair (X, y), optional
            Rows to hold out in the place of a share of X. An autoencoder that is fitted here does
            not see them, nor rows that are drawn.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            Rows or targets that cannot be.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        """
        fit_rows(
            self,
            X,
            y,
            sample_weight=sample_weight,
            held_out=HeldOut(groups, block_length, gap, validation_data),
            stages=lambda: opened(self, checkpoint, resume, stop_requested),
            learn=partial(learn_head, self._recipe),
        )
        return self
