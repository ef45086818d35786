"""Base class of heads whose y holds a class or values for every row."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, Self

from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.fit import fit_head_to_rows, open_head_stages
from narrows.estimators.held_out import HeldOut
from narrows.estimators.shared_texts import documented

__all__ = ["SupervisedHead", "has_trials", "is_solved"]

_OF_TRAINING = (
    "dropout",
    "max_epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "patience",
)
"""Arguments that a solved head does not need; given, they train the head by steps."""


@documented
class SupervisedHead(CodeHead):
    """Base class of heads that are fitted to rows, their y and their weights."""

    features: str
    hidden: Any

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
        """Fit the head to the code of X, and the encoder unless ``training`` is "frozen".

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,), or for a regressor (n_samples, n_targets)
            Classes or values of the rows.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row in the loss of the head, on held-out rows too, and in the
            standardization of features and values. Only ratios matter; rows of weight 0 are
            dropped. The remaining rows have equal weight in the fit of an autoencoder, and in its J
            with training="joint".
        groups : ...
        block_length : ...
        gap : ...
        validation_data : pair (X, y), optional
            Rows to hold out, instead of a fraction of X. An autoencoder that is fitted here is
            never trained on held-out rows.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            If rows or targets are invalid.
        UsageError (a ValueError)
            If a constructor argument is invalid.
        """
        fit_head_to_rows(
            self,
            X,
            y,
            sample_weight=sample_weight,
            held_out=HeldOut(groups, block_length, gap, validation_data),
            stages=open_head_stages(self, checkpoint, resume, stop_requested),
        )
        return self


def is_solved(head: SupervisedHead) -> bool:
    """Return whether a head is solved as a convex problem, and not trained by steps.

    That is a linear head on a frozen encoder, unless an argument of the training is given.
    """
    if head.training != "frozen" or len(head.hidden):
        return False
    default = signature(type(head).__init__).parameters
    return all(getattr(head, name) == default[name].default for name in _OF_TRAINING)


def has_trials(head: SupervisedHead) -> bool:
    """Return whether trials choose for how many epochs a linear head and its encoder train."""
    return head.training != "frozen" and not len(head.hidden) and head.max_epochs is None
