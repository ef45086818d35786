"""Resolve the arguments of an autoencoder, given its data, into a training plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from narrows.augmentations import AUGMENTATIONS
from narrows.core.pieces import name_of, piece_from_spec, piece_to_spec
from narrows.corruptions import CORRUPTIONS
from narrows.corruptions.patches import with_image_shape
from narrows.data.scaling import SHARES, fit_scaling
from narrows.data.source import Source, n_batches
from narrows.data.statistics import Statistics
from narrows.errors import CopyingWarning, InvalidData, UsageError, unknown_name, warn
from narrows.estimators.parameters import (
    corruption_spec,
    json_parameters,
    spec_of,
    widths_of,
)
from narrows.fitting.auto_settings import (
    DENSE,
    AutoSettings,
    beta_for,
    contraction_for,
    patience_for,
)
from narrows.fitting.choose_scale_and_loss import choose_loss, choose_scale
from narrows.fitting.code_width import code_width
from narrows.fitting.plan import Plan, batch_size_for
from narrows.losses import LOSSES, SquaredError
from narrows.model.model import Model
from narrows.neighbors.nearest import EXACT
from narrows.training.layerwise import LayerwisePretraining
from narrows.training.precision import resolve_device
from narrows.training.sizes import check_widths_fit

__all__ = [
    "Choice",
    "admits_missing",
    "check_sizes",
    "new_plan",
]

_NEIGHBORS = 10
_NO_CORRUPTION = {"name": "identity"}
_AUTO_WEIGHTS = {"beta": (beta_for, 1.0), "weight": (contraction_for, 0.1)}
"""How a penalty's weight is found for squared error, and its value for other losses."""


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

    bounded: bool = True
    """Whether an epoch has to reconstruct clean rows better than the linear start to be chosen,
    whatever corruption, noise and the default penalties gain."""

    pretraining: LayerwisePretraining | None = None
    """Settings of layer-wise pretraining; its batch size is replaced by the fit's."""

    fine_tune: bool = True
    """Whether to train the whole net after its layers."""

    augmentation: Any = None
    """The augmentation, as the user gave it; None for none."""

    n_neighbors: int | None = 0
    """Number of nearest rows whose mean is reconstructed; None takes it from the data."""

    neighbors_by: str = "rows"
    """Whether nearest rows are found by "rows" or by "code", or "auto"."""

    sampled_words: int = 0
    """Number of words besides those of a batch that the softmax covers in training; 0 for all."""

    only_counts: bool = False
    """Whether negative values are refused."""

    auto: AutoSettings = DENSE
    """What "auto" stands for."""

    auto_otherwise: AutoSettings | None = None
    """What it stands for without a linear path, and for rows that are not counts; None for the
    same."""

    after_training: Callable[[Model, Source, Statistics], Mapping[str, Any]] | None = None
    """Completes the trained model, and returns further fitted attributes, given the training rows
    and their statistics."""


def check_sizes(estimator: Any, source: Source) -> None:
    """Refuse layer widths that do not fit into memory, before any row is read.

    Raises
    ------
    ResourceError
    """
    arguments = estimator.get_params(deep=False)
    json_parameters(arguments)  # raises early if a model file could not hold them
    choice = estimator._choice()
    auto = _auto(choice, choice.parameters, None)
    sizes: dict[str, Any] = {
        name: auto.hidden(source.n_features, source.n_rows)
        if arguments[name] == "auto"
        else widths_of(arguments[name], name)
        for name in ("hidden", "channels")
        if name in arguments
    }
    sizes |= {
        name: int(arguments[name])
        for name in ("n_components", "blocks")
        if arguments.get(name, "auto") != "auto"
    }
    sizes.setdefault("n_components", 1)
    check_widths_fit(sizes, source.n_features, device=resolve_device(estimator.device))


def _auto(choice: Choice, parameters: Mapping[str, Any], scale: str | None) -> AutoSettings:
    """Return what "auto" stands for; ``scale`` is None if it is not known yet."""
    counts = parameters.get("linear_path") and scale in SHARES
    return choice.auto if counts or choice.auto_otherwise is None else choice.auto_otherwise


def _named_loss(estimator: Any) -> Any:
    """Return the spec of the loss that the user named; None for "auto"."""
    loss = estimator.loss
    if isinstance(loss, str) and loss == "auto":
        return None
    if isinstance(loss, str) and loss.partition(":")[0] not in LOSSES:
        raise unknown_name("loss", loss, ["auto", *LOSSES])
    return spec_of(LOSSES, loss, slot="loss")


def admits_missing(estimator: Any) -> bool:
    """Return whether the corruption accepts NaN."""
    return _corruption_admits_missing(estimator._choice())


def _corruption_admits_missing(choice: Choice) -> bool:
    corruption = choice.parameters.get("corruption", _NO_CORRUPTION)
    return piece_from_spec(CORRUPTIONS, corruption, slot="corruption").admits_missing


def new_plan(
    estimator: Any,
    source: Source,
    statistics: Statistics,
    seed: int,
    *,
    training: Source | None = None,
    pairs: bool = False,
    n_classes: int | None = None,
) -> Plan:
    """Resolve every argument.

    ``training`` are the rows of the source that are trained on, if others are held out. With
    ``pairs`` the user gives both corrupted and clean rows. ``n_classes`` is the number of classes
    of y, if a penalty reads it.

    Raises
    ------
    UsageError, InvalidData
        Naming the argument that is invalid.
    """
    choice, named = estimator._choice(), _named_loss(estimator)
    _check_counts(choice, type(estimator).__name__, source, statistics, named)
    scale = estimator.scale
    if scale == "auto" and choice.centers and named == piece_to_spec(LOSSES, SquaredError()):
        scale = "center"
    kind = choose_scale(scale, source, statistics, _as_known(named))
    if scale == "auto" and kind == "proportions":
        kind = choice.counts_scale
    loss = named or choose_loss(kind, source, statistics, likelihood=choice.likelihood)
    if choice.pretraining is not None and choice.pretraining.method == "rbm" and named is None:
        loss = _of_boltzmann_machine(loss)
    bounded = piece_from_spec(LOSSES, loss, slot="loss").bounded
    parameters = {**choice.parameters, "loss": loss}
    if n_classes is not None:
        parameters["penalties"] = _with_classes(parameters["penalties"], n_classes)
    if pairs:
        _check_no_corruption(estimator, choice)
        parameters.pop("linear_path", None)  # PCA of the clean rows is no start for others
    if "corruption" in parameters:
        spec = with_image_shape(parameters["corruption"], source.image_shape)
        parameters["corruption"] = _NO_CORRUPTION if pairs else spec
    n_neighbors = 0
    if not pairs:
        n_neighbors = _number_of_neighbors(choice, source)
        _check_neighbors(choice, source, n_neighbors)
    auto, size = _auto(choice, parameters, kind), (source.n_features, source.n_rows)
    batch_size = batch_size_for(estimator.batch_size, source.n_rows, least=auto.least_batch)
    if parameters.get("hidden") == "auto":
        parameters["hidden"] = auto.hidden(*size)
    scaling = fit_scaling(kind, source, statistics, bounded=bounded)
    rows = source if training is None else training
    if parameters["n_components"] == "auto":
        width = code_width(rows, scaling, widest=estimator._widest, seed=seed)
        parameters["n_components"] = width
    if not pairs:
        _warn_of_copying(choice, parameters["n_components"], source)
    squared = name_of(loss) == "squared_error"
    for name, (weight_for, otherwise) in _AUTO_WEIGHTS.items():
        if parameters.get(name) == "auto":
            weight = otherwise
            if squared:
                weight = weight_for(rows, scaling, parameters["n_components"], seed=seed)
            parameters[name] = weight
    max_epochs, patience = _epochs(estimator, auto, n_batches(source, batch_size))
    rate = estimator.learning_rate
    linear_start = bool(getattr(estimator, "linear_start", False)) and not pairs
    pretraining = choice.pretraining
    if pretraining is not None:
        pretraining = replace(pretraining, batch_size=batch_size)
    augmentation = choice.augmentation
    if augmentation is not None:
        augmentation = spec_of(AUGMENTATIONS, augmentation, slot="augmentation")
    return Plan(
        variant=choice.variant,
        parameters=parameters,
        scaling=scaling,
        statistics=statistics,
        max_epochs=max_epochs if choice.fine_tune else 0,
        batch_size=batch_size,
        learning_rate=auto.learning_rate(*size) if rate == "auto" else float(rate),
        validation_fraction=estimator.validation_fraction,
        patience=patience,
        precision=estimator.precision,
        device=estimator.device,
        seed=seed,
        augmentation=augmentation,
        weight_decay=float(estimator.weight_decay),
        pretraining=pretraining,
        n_neighbors=n_neighbors,
        neighbors_by=_neighbors_by(choice, source, loss, linear_start=linear_start),
        sampled_words=int(choice.sampled_words),
        linear_start=linear_start,
        bounded=choice.bounded
        and not parameters.get("penalties")
        and not (_corrupts(choice) and _asks_for_corruption(estimator)),
    )


def _of_boltzmann_machine(loss: dict[str, str]) -> dict[str, str]:
    """Return the loss whose link is the visible units'."""
    return {**loss, "link": "logistic"} if loss.get("link") == "clamp" else loss


def _epochs(estimator: Any, auto: AutoSettings, steps_per_epoch: int) -> tuple[int, int | None]:
    """Return the largest number of epochs, and the patience."""
    max_epochs, patience = estimator.max_epochs, estimator.patience
    max_epochs = auto.epochs(steps_per_epoch) if max_epochs == "auto" else int(max_epochs)
    if patience is None:
        return max_epochs, None
    return max_epochs, patience_for(max_epochs) if patience == "auto" else int(patience)


def _as_known(loss: Any) -> dict[str, Any] | None:
    """Return a built-in loss that needs the same scale as a user's own; any other unchanged."""
    if loss is None or isinstance(loss, dict):
        return loss
    return {"name": "bernoulli" if loss.bounded else "squared_error"}


def _warn_of_copying(choice: Choice, width: int, source: Source) -> None:
    """Warn of a code as wide as the row if nothing else keeps the net from copying."""
    kept_from_copying = choice.cannot_copy or _corrupts(choice)
    if width < source.n_features or kept_from_copying or choice.parameters.get("penalties"):
        return
    warn(
        f"n_components={width} is not less than n_features="
        f"{source.n_features}: the net may learn to copy; narrow the code or add a "
        "corruption or penalty.",
        CopyingWarning,
    )


def _check_counts(
    choice: Choice, estimator: str, source: Source, statistics: Statistics, loss: Any
) -> None:
    """Refuse rows that an estimator of counts cannot read; ``loss`` is the one that is named."""
    if choice.only_counts and statistics.lowest < 0:
        raise InvalidData(
            f"Negative values in data: {source.origin} holds {statistics.lowest:.6g}, and "
            f"{estimator} (--variant {choice.variant}) is for texts and word counts; for a "
            "table of numbers use Autoencoder (--variant plain)."
        )
    if choice.sampled_words:
        multinomial = name_of(loss) == "multinomial"
        if _number_of_neighbors(choice, source) or not source.sparse or not multinomial:
            raise UsageError(
                "sampled_words: needs CSR counts and the multinomial loss, and no neighbors; "
                "set sampled_words=0, or give X as CSR."
            )


def _with_classes(penalties: list[Any], n_classes: int) -> list[Any]:
    """Return specs of penalties, with one output per class in the one that reads y."""
    return [
        {**spec, "n_outputs": n_classes} if name_of(spec) == "auxiliary" else spec
        for spec in penalties
    ]


def _check_no_corruption(estimator: Any, choice: Choice) -> None:
    """Refuse arguments that have no effect if the user gives clean rows."""
    if _corrupts(choice) and _asks_for_corruption(estimator):
        raise UsageError(
            f"corruption: {estimator.corruption!r} has no effect if y gives the clean rows "
            "of X, which is already corrupted; leave it out."
        )
    if choice.augmentation is not None:
        raise UsageError("augmentation: would change X but not the clean rows in y; leave it out.")
    for name, value in (
        ("n_neighbors", choice.n_neighbors), ("sampled_words", choice.sampled_words)
    ):  # fmt: skip
        if value:
            raise UsageError(
                f"{name}: has no effect if y gives clean rows; set {name}=0, or leave y out."
            )


def _corrupts(choice: Choice) -> bool:
    return choice.parameters.get("corruption", _NO_CORRUPTION) != _NO_CORRUPTION


def _asks_for_corruption(estimator: Any) -> bool:
    """Return whether the corruption is not the one that the estimator has by default."""
    default = inspect.signature(type(estimator).__init__).parameters["corruption"].default
    return corruption_spec(estimator.corruption) != corruption_spec(default)


def _number_of_neighbors(choice: Choice, source: Source) -> int:
    """Return the number of nearest rows whose mean the net reconstructs; 0 for none."""
    if choice.n_neighbors is not None:
        return int(choice.n_neighbors)
    if choice.sampled_words:
        return 0
    few = source.n_rows <= EXACT or choice.neighbors_by == "code"
    suitable = few and source.holds_targets and not _corruption_admits_missing(choice)
    return _NEIGHBORS if suitable else 0


def _neighbors_by(
    choice: Choice, source: Source, loss: dict[str, Any], *, linear_start: bool
) -> str:
    """Return whether nearest rows are found by "rows" or by "code"."""
    if choice.neighbors_by != "auto":
        return choice.neighbors_by
    words = name_of(loss) == "multinomial" and source.n_rows <= EXACT
    return "code" if words and not linear_start else "rows"


def _check_neighbors(choice: Choice, source: Source, n_neighbors: int) -> None:
    if not n_neighbors:
        if choice.neighbors_by == "code":
            raise UsageError(
                "neighbors_by: 'code' has no effect, since n_neighbors is 0; give n_neighbors, "
                "such as 20, or neighbors_by='rows'."
            )
        return
    if not source.holds_targets:
        raise UsageError(
            f"n_neighbors: {source.origin} is streamed; neighbors need rows in memory."
        )
    if _corruption_admits_missing(choice):
        raise UsageError(
            "n_neighbors: rows with missing values have no neighbors; set n_neighbors=0, or give "
            "another corruption."
        )
