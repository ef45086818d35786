"""Resolve the arguments of an autoencoder, given its data, into a training plan."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

from narrows.augmentations import AUGMENTATIONS
from narrows.core.checks import check_number
from narrows.core.pieces import name_of, piece_from_spec, piece_to_spec
from narrows.corruptions import CORRUPTIONS
from narrows.corruptions.patches import with_image_shape
from narrows.data.scaling import fit_scaling
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import CopyingWarning, UsageError, unknown_name
from narrows.estimators.autoencoders.clean_rows import check_no_corruption
from narrows.estimators.parameters import json_parameters, spec_of, specs_of, widths_of
from narrows.fitting.choose_loss import choose_loss, choose_scale
from narrows.fitting.plan import Plan, batch_size_for
from narrows.losses import LOSSES, SquaredError
from narrows.neighbors.nearest import EXACT
from narrows.penalties import PENALTIES
from narrows.training.layerwise import LayerwisePretraining
from narrows.training.precision import resolve_device
from narrows.training.sizes import check_widths_fit

__all__ = [
    "Choice",
    "admits_missing",
    "check_parameters",
    "check_sizes",
    "named_loss",
    "new_plan",
    "number_of_neighbors",
    "penalty_specs",
    "task_of",
]

_NEIGHBORS = 10
_NEIGHBORS_BY = ("auto", "rows", "code")
_NO_CORRUPTION = {"name": "identity"}


@dataclass(frozen=True)
class Choice:
    """The variant and parameters that an estimator selects, and how "auto" is resolved for it."""

    variant: str
    parameters: dict[str, Any]
    """JSON values, without the loss, which may depend on the data."""

    likelihood: bool = False
    """Whether loss="auto" prefers a loss in nats."""

    counts_scale: str = "proportions"
    """The scale that "auto" takes for counts."""

    centers: bool = False
    """Whether scale="auto" is "center" if the loss is squared error."""

    cannot_copy: bool = False
    """Whether even a code wider than the row cannot copy it."""

    pretraining: LayerwisePretraining | None = None
    """Settings of layer-wise pretraining; its batch size is replaced by the fit's."""

    fine_tune: bool = True
    """Whether to train the whole net after its layers."""


def check_parameters(estimator: Any) -> None:
    """Check the arguments that all autoencoders share, before any data are read.

    Raises
    ------
    UsageError
    """
    check_number("n_components", estimator.n_components, low=1, integer=True)
    check_number("max_epochs", estimator.max_epochs, low=1, integer=True)
    check_number("learning_rate", estimator.learning_rate, low=0, low_open=True)
    check_number("weight_decay", getattr(estimator, "weight_decay", 0.0), low=0)
    check_number("sampled_words", getattr(estimator, "sampled_words", 0), low=0, integer=True)
    if (n_neighbors := getattr(estimator, "n_neighbors", 0)) is not None:
        check_number("n_neighbors", n_neighbors, low=0, integer=True)
    if (by := getattr(estimator, "neighbors_by", "rows")) not in _NEIGHBORS_BY:
        raise unknown_name("neighbors_by", by, _NEIGHBORS_BY)
    fraction = estimator.validation_fraction
    check_number("validation_fraction", fraction, low=0, high=1, high_open=True)
    if estimator.patience is not None:
        check_number("patience", estimator.patience, low=1, integer=True)


def check_sizes(estimator: Any, source: Source) -> None:
    """Refuse layer widths that do not fit into memory, before any row is read.

    Raises
    ------
    ResourceError
    """
    arguments = estimator.get_params(deep=False)
    json_parameters(arguments)  # raises early if a model file could not hold them
    sizes: dict[str, Any] = {
        name: widths_of(arguments[name], name)
        for name in ("hidden", "channels")
        if name in arguments
    }
    sizes |= {
        name: int(arguments[name]) for name in ("n_components", "blocks") if name in arguments
    }
    check_widths_fit(sizes, source.n_features, device=resolve_device(estimator.device))


def named_loss(estimator: Any) -> Any:
    """Return the spec of the loss that the user named; None for "auto"."""
    loss = estimator.loss
    if isinstance(loss, str) and loss == "auto":
        return None
    if isinstance(loss, str) and loss.partition(":")[0] not in LOSSES:
        raise unknown_name("loss", loss, ["auto", *LOSSES])
    return spec_of(LOSSES, loss, slot="loss")


def penalty_specs(estimator: Any) -> list[Any]:
    """Return the specs of the penalties, with the number of classes if one is a task."""
    specs = specs_of(PENALTIES, estimator.penalties, slot="penalties")
    for spec in specs:
        if name_of(spec) == "auxiliary" and hasattr(estimator, "classes_"):
            spec["n_outputs"] = len(estimator.classes_)
    return specs


def task_of(estimator: Any) -> str | None:
    """Return the task of the penalty that needs y: "classification", "regression" or None."""
    for spec in estimator._choice().parameters.get("penalties", ()):
        if name_of(spec) == "auxiliary":
            return spec["task"]
    return None


def admits_missing(estimator: Any) -> bool:
    """Return whether the corruption accepts NaN."""
    corruption = estimator._choice().parameters.get("corruption", _NO_CORRUPTION)
    return piece_from_spec(CORRUPTIONS, corruption, slot="corruption").admits_missing


def number_of_neighbors(estimator: Any, source: Source) -> int:
    """Return the number of nearest rows whose mean the net reconstructs; 0 for none."""
    if (n_neighbors := getattr(estimator, "n_neighbors", 0)) is not None:
        return int(n_neighbors)
    if getattr(estimator, "sampled_words", 0):
        return 0
    few = source.n_rows <= EXACT or estimator.neighbors_by == "code"
    return _NEIGHBORS if few and source.holds_targets and not admits_missing(estimator) else 0


def new_plan(
    estimator: Any, source: Source, statistics: Statistics, seed: int, *, pairs: bool = False
) -> Plan:
    """Resolve every argument; with ``pairs`` the user gives both corrupted and clean rows.

    Raises
    ------
    UsageError, InvalidData
        Naming the argument that is invalid.
    """
    choice, named = estimator._choice(), named_loss(estimator)
    scale = estimator.scale
    if scale == "auto" and choice.centers and named == piece_to_spec(LOSSES, SquaredError()):
        scale = "center"
    kind = choose_scale(scale, source, statistics, _as_known(named))
    if scale == "auto" and kind == "proportions":
        kind = choice.counts_scale
    loss = named or choose_loss(kind, source, statistics, likelihood=choice.likelihood)
    parameters = {**choice.parameters, "loss": loss}
    if pairs:
        check_no_corruption(estimator, corrupts="corruption" in parameters)
    if "corruption" in parameters:
        spec = with_image_shape(parameters["corruption"], source.image_shape)
        parameters["corruption"] = _NO_CORRUPTION if pairs else spec
    n_neighbors = 0
    if not pairs:
        n_neighbors = number_of_neighbors(estimator, source)
        _check_neighbors(estimator, source, n_neighbors)
        _warn_of_copying(choice, source)
    batch_size = batch_size_for(estimator.batch_size, source.n_rows)
    pretraining = choice.pretraining
    if pretraining is not None:
        pretraining = replace(pretraining, batch_size=batch_size)
    augmentation = getattr(estimator, "augmentation", None)
    if augmentation is not None:
        augmentation = spec_of(AUGMENTATIONS, augmentation, slot="augmentation")
    bounded = piece_from_spec(LOSSES, loss, slot="loss").bounded
    return Plan(
        variant=choice.variant,
        parameters=parameters,
        scaling=fit_scaling(kind, source, statistics, bounded=bounded),
        statistics=statistics,
        max_epochs=int(estimator.max_epochs) if choice.fine_tune else 0,
        batch_size=batch_size,
        learning_rate=float(estimator.learning_rate),
        validation_fraction=float(estimator.validation_fraction),
        patience=None if estimator.patience is None else int(estimator.patience),
        precision=estimator.precision,
        device=estimator.device,
        seed=seed,
        augmentation=augmentation,
        weight_decay=float(getattr(estimator, "weight_decay", 0.0)),
        pretraining=pretraining,
        n_neighbors=n_neighbors,
        neighbors_by=_neighbors_by(estimator, source, loss),
        sampled_words=int(getattr(estimator, "sampled_words", 0)),
    )


def _as_known(loss: Any) -> dict[str, Any] | None:
    """Return a built-in loss that needs the same scale as a user's own; any other unchanged."""
    if loss is None or isinstance(loss, dict):
        return loss
    return {"name": "bernoulli" if loss.bounded else "squared_error"}


def _warn_of_copying(choice: Choice, source: Source) -> None:
    """Warn of a code as wide as the row if nothing else keeps the net from copying."""
    parameters, width = choice.parameters, choice.parameters["n_components"]
    corrupts = parameters.get("corruption", _NO_CORRUPTION) != _NO_CORRUPTION
    if width < source.n_features or choice.cannot_copy or corrupts or parameters.get("penalties"):
        return
    warnings.warn(
        f"n_components={width} is not less than n_features="
        f"{source.n_features}: the net may learn to copy; narrow the code or add a "
        "corruption or penalty.",
        CopyingWarning,
        stacklevel=4,
    )


def _neighbors_by(estimator: Any, source: Source, loss: dict[str, Any]) -> str:
    """Return whether nearest rows are found by "rows" or by "code"."""
    by = getattr(estimator, "neighbors_by", "rows")
    if by != "auto":
        return by
    return "code" if name_of(loss) == "multinomial" and source.n_rows <= EXACT else "rows"


def _check_neighbors(estimator: Any, source: Source, n_neighbors: int) -> None:
    if not n_neighbors:
        if getattr(estimator, "neighbors_by", "rows") == "code":
            raise UsageError(
                "neighbors_by: 'code' has no effect, since n_neighbors is 0; give n_neighbors, "
                "such as 20, or neighbors_by='rows'."
            )
        return
    if not source.holds_targets:
        raise UsageError(
            f"n_neighbors: {source.origin} is streamed; neighbors need rows in memory."
        )
    if admits_missing(estimator):
        raise UsageError(
            "n_neighbors: rows with missing values have no neighbors; set n_neighbors=0, or give "
            "another corruption."
        )
