"""From the arguments of a constructor, and the data, to a plan of training."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import torch

from narrows.augmentations import AUGMENTATIONS
from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.core.slots import piece_from_spec
from narrows.corruptions import CORRUPTIONS
from narrows.corruptions.patches import with_image_shape
from narrows.data.nearest import EXACT
from narrows.data.scaling import choose_loss, choose_scale, fit_scaling
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import CopyingWarning, UsageError, unknown_name
from narrows.estimators.autoencoders.clean_rows import check_no_corruption
from narrows.estimators.parameters import (
    WithDefaults,
    batch_size_for,
    corruption_spec,
    json_parameters,
    spec_of,
    specs_of,
    widths_of,
)
from narrows.estimators.targets import read_classes, read_values
from narrows.fitting.plan import Plan
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES
from narrows.training.layerwise import LayerwisePretraining
from narrows.training.precision import resolve_device
from narrows.training.sizes import check_widths_fit

__all__ = ["Choices", "NeighborChoices"]


_NEIGHBORS = 10
_BY = ("auto", "rows", "code")


class NeighborChoices:
    """The arguments ``n_neighbors`` and ``neighbors_by``, of estimators that have them."""

    @abstractmethod
    def _admits_missing(self) -> bool: ...

    def _check_neighbors(self) -> None:
        if (value := self._asked_for) is not None:
            check_number("n_neighbors", value, low=0, integer=True)
        if self._asked_by not in _BY:
            raise unknown_name("neighbors_by", self._asked_by, _BY)

    def _neighbors(self, source: Source) -> int:
        """Return how many nearest rows a row is rebuilt with."""
        if self._asked_for is not None:
            return int(self._asked_for)
        few = source.n_rows <= EXACT or self._asked_by == "code"
        return _NEIGHBORS if few and source.holds_targets and not self._admits_missing() else 0

    def _neighbors_by(self, source: Source, loss: dict[str, Any]) -> str:
        """Return what says which rows are near, of a net of this loss."""
        if self._asked_by != "auto":
            return self._asked_by
        return "code" if loss["name"] == "multinomial" and source.n_rows <= EXACT else "rows"

    def _check_neighbors_of(self, source: Source) -> None:
        if not self._neighbors(source):
            if self._asked_by == "code":
                raise UsageError(
                    "neighbors_by: 'code' says which rows are near, and n_neighbors is 0: give "
                    "n_neighbors, such as 20, or neighbors_by='rows'."
                )
            return
        if not source.holds_targets:
            raise UsageError(f"n_neighbors: {source.origin} is streamed; they need rows in memory.")
        if self._admits_missing():
            raise UsageError(
                "n_neighbors: rows with missing values have none; set n_neighbors=0, or another "
                "corruption."
            )

    @property
    def _asked_for(self) -> Any:
        return getattr(self, "n_neighbors", 0)

    @property
    def _asked_by(self) -> Any:
        return getattr(self, "neighbors_by", "rows")


class Choices(NeighborChoices, WithDefaults):
    """The constructor's arguments, checked and resolved. Subclasses name the variant."""

    n_components: int
    hidden: Any
    activation: str
    loss: Any
    max_epochs: int
    batch_size: int | str
    learning_rate: float
    validation_fraction: float
    patience: int | None
    scale: str
    precision: str
    device: str
    random_state: Any
    verbose: int

    # Mean and deviation of the y of a penalty that is a regression.
    _moments_of_y: tuple[float, float] | None = None

    # Whether a code wider than the row is what the net is for.
    _overcomplete = False

    # What "auto" scales counts to.
    _counts_scale = "proportions"

    @abstractmethod
    def _variant(self, loss: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the variant's name and its parameters as JSON values."""

    def _loss_spec(self) -> dict[str, Any] | None:
        """Return the loss that the user named, None for "auto"."""
        loss = self.loss
        if isinstance(loss, str) and loss == "auto":
            return None
        if isinstance(loss, str) and loss.partition(":")[0] not in LOSSES:
            raise unknown_name("loss", loss, ["auto", *LOSSES])
        return spec_of(LOSSES, loss, slot="loss")

    def _activation(self) -> str:
        """Return the name of the activation between layers."""
        return self.activation

    def _shape(self) -> dict[str, Any]:
        """Return the parameters of a variant that say its layers."""
        activation_named(self._activation())
        return {
            "n_components": int(self.n_components),
            "hidden": widths_of(self.hidden),
            "activation": self._activation(),
        }

    def _penalties(self) -> list[dict[str, Any]]:
        """Return the specs of the penalties that were given, a task's with its classes."""
        given = self.get_params(deep=False).get("penalties")
        specs = specs_of(PENALTIES, given, slot="penalties")
        for spec in specs:
            if spec["name"] == "auxiliary" and hasattr(self, "classes_"):
                spec["n_outputs"] = len(self.classes_)
        return specs

    def _task(self) -> str | None:
        """Return what a penalty needs y for: "classification", "regression" or None."""
        for spec in self._penalties():
            if spec["name"] == "auxiliary":
                return spec["task"]
        return None

    def _read_targets(
        self, y: Any, source: Source, *, counted: torch.Tensor | None = None, again: bool = False
    ) -> torch.Tensor | None:
        """Return y for the loop, values standardized by the moments of the rows in the mask
        ``counted``, or, if ``again``, by those of the last call."""
        task = self._task()
        if task is None:
            return None
        if not source.holds_targets:
            raise UsageError(f"y: {source.origin} is streamed, and a task needs rows in memory.")
        if y is None:
            raise UsageError("y: a penalty is another task and needs it; call fit(X, y).")
        if task == "regression":
            targets, *found = read_values(
                y,
                source.n_rows,
                missing=True,
                counted=None if counted is None else counted.numpy(),
                weights=None if source.weights is None else source.weights.numpy(),
                moments=self._moments_of_y if again else None,
            )
            self._moments_of_y = (found[0], found[1])
            return targets
        known = getattr(self, "classes_", None)
        targets, self.classes_ = read_classes(y, source.n_rows, unknown=-1, classes=known)
        return targets

    def _may_copy(self) -> bool:
        """Return whether nothing but the width of the code keeps the net from copying."""
        given = self.get_params(deep=False)
        corrupted = corruption_spec(given.get("corruption"))["name"] != "identity"
        return not (self._overcomplete or corrupted or len(self._penalties()))

    def _admits_missing(self) -> bool:
        """Return whether the corruption takes NaN."""
        corruption = self.get_params(deep=False).get("corruption", "identity")
        return CORRUPTIONS[corruption_spec(corruption)["name"]].admits_missing

    def _scale_for(self, loss: dict[str, Any] | None) -> str:
        """Return the scale that was asked for, "auto" or a name."""
        return self.scale

    def _auto_loss(self, kind: str, source: Source, statistics: Statistics) -> dict[str, Any]:
        """Return the loss of "auto" for a resolved scale."""
        return choose_loss(kind, source, statistics)

    def _augmentation(self) -> dict[str, Any] | None:
        """Return the spec of the augmentation, None for none."""
        given = self.get_params(deep=False).get("augmentation")
        return None if given is None else spec_of(AUGMENTATIONS, given, slot="augmentation")

    @property
    def _epochs(self) -> int:
        """Passes over the data of the whole net's training."""
        return int(self.max_epochs)

    def _pretraining(self, source: Source) -> LayerwisePretraining | None:
        """Return how the layers are trained before the whole, None for not at all."""
        return None

    def _check_parameters(self) -> None:
        check_number("n_components", self.n_components, low=1, integer=True)
        check_number("max_epochs", self.max_epochs, low=1, integer=True)
        check_number("learning_rate", self.learning_rate, low=0, low_open=True)
        check_number("weight_decay", getattr(self, "weight_decay", 0.0), low=0)
        check_number("sampled_words", getattr(self, "sampled_words", 0), low=0, integer=True)
        self._check_neighbors()
        check_number("validation_fraction", self.validation_fraction, low=0, high=1, high_open=True)
        if self.patience is not None:
            check_number("patience", self.patience, low=1, integer=True)

    def _check_sizes(self, source: Source) -> None:
        """Refuse widths that do not fit into memory, before any row is read.

        Raises
        ------
        ResourceError
        """
        given = self.get_params(deep=False)
        json_parameters(given)  # refuses now what no file can hold
        sizes = {name: widths_of(given[name], name) for name in ("hidden", "channels")
                 if name in given}  # fmt: skip
        sizes |= {name: int(given[name]) for name in ("n_components", "blocks") if name in given}
        check_widths_fit(sizes, source.n_features, device=resolve_device(self.device))

    def _plan(
        self, source: Source, statistics: Statistics, seed: int, *, pairs: bool = False
    ) -> Plan:
        """Resolve every choice; ``pairs`` says that the user gave the corrupted rows, too."""
        named = self._loss_spec()
        kind = choose_scale(self._scale_for(named), source, statistics, named)
        if self.scale == "auto" and kind == "proportions":
            kind = self._counts_scale
        loss = named or self._auto_loss(kind, source, statistics)
        variant, parameters = self._variant(loss)
        if pairs:
            check_no_corruption(self, corrupts="corruption" in parameters)
        if "corruption" in parameters:
            spec = with_image_shape(parameters["corruption"], source.image_shape)
            parameters["corruption"] = {"name": "identity"} if pairs else spec
        if not pairs:
            self._check_neighbors_of(source)
        if not pairs and self.n_components >= source.n_features and self._may_copy():
            warnings.warn(
                f"n_components={self.n_components} is not less than n_features="
                f"{source.n_features}: the net may learn to copy; narrow the code or add a "
                "corruption or penalty.",
                CopyingWarning,
                stacklevel=3,
            )
        return Plan(
            variant=variant,
            parameters=parameters,
            scaling=fit_scaling(
                kind, source, statistics, bounded=piece_from_spec(LOSSES, loss, slot="loss").bounded
            ),
            statistics=statistics,
            max_epochs=self._epochs,
            batch_size=batch_size_for(self.batch_size, source.n_rows),
            learning_rate=float(self.learning_rate),
            validation_fraction=float(self.validation_fraction),
            patience=None if self.patience is None else int(self.patience),
            precision=self.precision,
            device=self.device,
            seed=seed,
            augmentation=self._augmentation(),
            weight_decay=float(getattr(self, "weight_decay", 0.0)),
            pretraining=self._pretraining(source),
            n_neighbors=0 if pairs else self._neighbors(source),
            neighbors_by=self._neighbors_by(source, loss),
            sampled_words=int(getattr(self, "sampled_words", 0)),
        )
