"""Read the parts of a model file, and check their type, shape, magnitude and meaning.

Every function raises ValueError, TypeError or KeyError if the part cannot be what was written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from narrows.data.scaling import SCALES, Scaling
from narrows.data.value_range import ValueRange
from narrows.model.baseline import Baseline

__all__ = [
    "check_magnitudes",
    "checked_record",
    "density_names",
    "read_baseline",
    "read_calibration",
    "read_scaling",
]

_LARGEST = 1e15
"""Far above any trained weight."""

_PARTS_OF_SCALINGS = {
    "none": (set(), set()),
    "proportions": (set(), set()),
    "unit": ({"scale"}, {"shift"}),
    "center": (set(), {"shift"}),
    "standard": ({"scale"}, {"shift"}),
    "tfidf": ({"scale"}, set()),
}
"""The tensors that each kind of scaling must have, and those that it may have."""

_WHOLE = (
    "best_epoch", "batch_size", "max_epochs", "n_rows", "n_validation_rows", "n_neighbors",
    "refit_epochs",
)  # fmt: skip
_EPOCH = {"objective", "loss", "penalty", "validation", "seconds"}


def check_magnitudes(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError if a weight is larger than 1e15."""
    for name, value in tensors.items():
        if value.is_floating_point() and value.numel():
            largest = float(value.abs().max())
            if not largest <= _LARGEST:
                raise ValueError(f"{name} holds {largest:.3g}, larger than any trained weight")


def read_scaling(
    kind: Any, tensors: Mapping[str, Tensor], n_features: int, fitted: ValueRange | None
) -> Scaling:
    """Return the scaling of a kind; ``fitted`` is the range of the values it was fitted to."""
    if kind not in SCALES:
        raise ValueError(f"unknown scaling {kind!r}")
    needed, optional = _PARTS_OF_SCALINGS[kind]
    if not needed <= tensors.keys() <= needed | optional:
        raise ValueError(f"scaling {kind!r} with {', '.join(sorted(tensors)) or 'no tensor'}")
    shape = () if kind == "unit" else (n_features,)
    for name, value in tensors.items():
        # rows far from 0, or with tiny deviations, are scaled in float64
        if tuple(value.shape) != shape or value.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name} of {value.dtype}, {tuple(value.shape)}, in scaling {kind!r}")
    scaling = Scaling(kind, **tensors)
    if scaling.scale is not None and not bool((scaling.scale > 0).all()):
        raise ValueError("a scale that is not positive")
    if fitted is not None:
        slack = 1e-3 * (abs(fitted.low) + abs(fitted.high))
        low, high = fitted.low - slack, fitted.high + slack
        shift, scale = scaling.shift, scaling.scale
        if shift is not None and not bool(((shift >= low) & (shift <= high)).all()):
            raise ValueError("a shift outside of the range of the values")
        # constant columns have scale 1, and images 255 whatever their range
        if scale is not None and not bool((scale <= max(255.0, 2 * (high - low))).all()):
            raise ValueError("a scale beyond the range of the values")
    return scaling


def read_baseline(name: Any, tensors: Mapping[str, Tensor], n_features: int) -> Baseline:
    """Return a linear baseline: PCA with a mean, or TruncatedSVD without one."""
    if name not in ("PCA", "TruncatedSVD"):
        raise ValueError(f"unknown baseline {name!r}")
    baseline = Baseline(name, **tensors)
    width = len(baseline.components) if baseline.components.ndim == 2 else 0
    shapes: dict[str, tuple[int, ...]] = {"components": (width, n_features)}
    if name == "PCA":
        shapes["mean"] = (n_features,)
    for part, shape in shapes.items():
        value = tensors.get(part)
        if (
            value is None
            or tuple(value.shape) != shape
            or value.dtype != torch.float32
            or not width
        ):
            raise ValueError(f"the {part} of {name} do not fit {n_features} features")
    if len(tensors) > len(shapes) or float(baseline.components.abs().max()) > 1.01:
        raise ValueError(f"the components of {name} are not of length 1")
    return baseline


def read_calibration(count: Any, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the errors of held-out rows, ascending; older files have no count."""
    if [*tensors] != ["errors"]:
        raise ValueError(f"a calibration by {count!r} errors with the tensors {sorted(tensors)}")
    errors = tensors["errors"]
    if count is not None and (type(count) is not int or count != errors.numel()):
        raise ValueError(f"{errors.numel()} errors for a calibration by {count!r}")
    if errors.ndim != 1 or not len(errors) or errors.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"calibration by {errors.dtype} of shape {tuple(errors.shape)}")
    if bool((errors.diff() < 0).any()):
        raise ValueError("calibration errors that are not in ascending order")
    return errors


def density_names(names: Any) -> list[str]:
    """Return the names of the densities of the codes."""
    if not isinstance(names, list) or not set(names) <= {"gaussian", "mixture"}:
        raise ValueError(f"densities {names!r}")
    return names


def checked_record(record: Any) -> dict[str, Any]:
    """Return the training record, if its epochs and counts are numbers."""
    if not isinstance(record, dict) or not isinstance(record.get("epochs"), list):
        raise ValueError("a training record without epochs")
    for name in _WHOLE:
        value = record.get(name, 0)
        if value is None and name in ("best_epoch", "refit_epochs"):
            continue
        if type(value) is not int or not 0 <= value < 1 << 53:
            raise ValueError(f"{name} {value!r} in the training record")
    layers = record.get("pretraining", [])
    for epochs in [record["epochs"], record.get("neighbor_model", []), *layers]:
        for epoch in epochs:
            if set(epoch) != _EPOCH or not all(_is_number(v) for v in epoch.values()):
                raise ValueError(f"an epoch {epoch!r:.80} in the training record")
    return record


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))
