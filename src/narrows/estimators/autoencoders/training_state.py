"""What an autoencoder keeps of its training, so that ``partial_fit`` can continue it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from narrows.estimators.autoencoders.penalty_targets import TargetEncoding
from narrows.training.trainer import Trainer

__all__ = ["TrainingState", "state_of"]

_WIDTHS = ("n_components", "hidden")


@dataclass(frozen=True)
class TrainingState:
    """The arguments that the net was built with, how y is read, and the last trainer."""

    arguments: dict[str, Any]
    """Constructor arguments as JSON values, as far as they are known."""

    encoding: TargetEncoding = TargetEncoding()
    """How y becomes the targets of a penalty."""

    trainer: Trainer | None = None
    """The trainer of the last ``partial_fit``, with Adam's moments; pickles and files have none."""

    def without_trainer(self) -> TrainingState:
        return replace(self, trainer=None)


def state_of(estimator: Any) -> TrainingState:
    """Return the training state of a fitted autoencoder.

    Older pickles have its parts as separate attributes, or lack them.
    """
    state = getattr(estimator, "_training_state_", None)
    if state is not None:
        return state
    parameters = estimator.model_.parameters
    widths = {name: parameters[name] for name in _WIDTHS if name in parameters}
    encoding = TargetEncoding(
        classes=getattr(estimator, "classes_", None),
        moments=getattr(estimator, "_moments_of_y", None),
    )
    return TrainingState(getattr(estimator, "_built_with", widths), encoding)
