"""Read and draw masks of hidden values, and apply them to rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.core.checks import check_number
from narrows.data.scaling import row_totals
from narrows.errors import UsageError, did_you_mean
from narrows.losses import Multinomial
from narrows.model.model import Model

__all__ = ["PartialRows", "drawn_mask", "filled", "read_mask", "row_masks", "start", "with_marks"]

_KINDS = "'quadrant', 'square:SIDE', 'missing:SHARE', or the name of a .npy file"


def row_masks(
    mask: Any, n_rows: int, n_features: int, image_shape: tuple[int, ...] | None
) -> np.ndarray:
    """Return a mask as booleans, (1, n_features) for all rows or (n_rows, n_features).

    ``mask`` is (n_features,), (n_rows, n_features), or has the shape of one image or of n_rows
    images; the axis of the channels can be left out.

    Raises
    ------
    UsageError
        If it has another shape, or values other than True and False, or 1 and 0; if
        ``image_shape`` does not have n_features values.
    """
    _check_shape(image_shape, n_features)
    array = np.asarray(mask)
    if array.dtype != bool:
        if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
            raise UsageError("mask: must hold True (hidden) and False (known), or 1 and 0.")
        array = array.astype(bool)
    if array.shape == (n_features,):
        return array[None]
    if array.shape == (n_rows, n_features):
        return array
    whole = tuple(image_shape or ())
    for shape in {whole, whole[:2]}:
        if whole and array.shape in (shape, (n_rows, *shape)):
            rows = array.reshape(-1, math.prod(shape))
            return np.repeat(rows, math.prod(whole) // math.prod(shape), axis=1)
    images = f", or images {whole} or {n_rows} of them" if whole else ""
    raise UsageError(
        f"mask: must be ({n_features},) or ({n_rows}, {n_features}){images}, got {array.shape}."
    )


def read_mask(
    name: str,
    n_rows: int,
    n_features: int,
    image_shape: tuple[int, ...] | None,
    *,
    seed: int,
) -> np.ndarray:
    """Return the mask in a .npy file, or one drawn by a rule; shapes as in ``row_masks``.

    Raises
    ------
    UsageError
        If the name is neither a file nor a rule, or the mask does not fit the rows.
    """
    if Path(name).suffix.lower() != ".npy":
        return drawn_mask(name, n_rows, n_features, image_shape, seed=seed)
    try:
        array = np.load(name, allow_pickle=False, mmap_mode="r")
    except FileNotFoundError:
        raise UsageError(f"mask: {name}: no such file; give {_KINDS}.") from None
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"mask: {name}: cannot be read: {error}") from None
    return row_masks(array, n_rows, n_features, image_shape)


def drawn_mask(
    rule: str,
    n_rows: int,
    n_features: int,
    image_shape: tuple[int, ...] | None,
    *,
    seed: int,
) -> np.ndarray:
    """Return a mask for every row, (n_rows, n_features), drawn by a rule.

    "quadrant" hides one quadrant of an image, each in a quarter of the rows; "square:14" a square
    of 14 x 14 pixels at a random position; "missing:0.5" each value with probability 0.5, the
    channels of a pixel together.

    Raises
    ------
    UsageError
        If the rule is unknown or does not fit the image, or if the rows are not images of
        ``image_shape``.
    """
    _check_shape(image_shape, n_features)
    kind, _, text = rule.partition(":")
    rng = np.random.default_rng(seed)
    if kind not in ("quadrant", "square", "missing") or (kind == "quadrant") == bool(text):
        hint = did_you_mean(kind, ("quadrant", "square", "missing"))
        raise UsageError(f"mask: {rule!r} is unknown; give {_KINDS}.{hint}")
    value = _number(text, rule) if text else 0.0
    if kind == "missing":
        check_number("mask: missing", value, low=0, high=1)
        pixels = math.prod(image_shape[:2]) if image_shape else n_features
        hidden = rng.random((n_rows, pixels)) < value
        return np.repeat(hidden, n_features // pixels, axis=1)
    if image_shape is None or len(image_shape) > 3:
        raise UsageError(f"mask: {rule!r} needs images; give their shape, or use 'missing:0.5'.")
    height, width, channels = (*image_shape, 1)[:3]
    if kind == "quadrant":
        sides = (height + 1) // 2, (width + 1) // 2
        order = rng.permutation(n_rows)
        top, left = order // 2 % 2 * (height - sides[0]), order % 2 * (width - sides[1])
    else:
        side = int(value) if value.is_integer() else value
        check_number("mask: square", side, low=1, high=min(height, width), integer=True)
        sides = int(side), int(side)
        top = rng.integers(0, height - sides[0] + 1, n_rows)
        left = rng.integers(0, width - sides[1] + 1, n_rows)
    lines = _interval(top, sides[0], height)
    columns = _interval(left, sides[1], width)
    hidden = lines[:, :, None] & columns[:, None, :]
    return np.repeat(hidden.reshape(n_rows, -1), channels, axis=1)


def _check_shape(image_shape: tuple[int, ...] | None, n_features: int) -> None:
    if image_shape is not None and math.prod(image_shape) != n_features:
        raise UsageError(f"image shape {image_shape}: does not hold {n_features} features.")


def _interval(start: np.ndarray, length: int, side: int) -> np.ndarray:
    """Return which places of a side lie in the interval of each row, (n_rows, side)."""
    at = np.arange(side)
    return (at >= start[:, None]) & (at < start[:, None] + length)


def _number(text: str, rule: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"mask: {rule!r}: {text!r} is not a number; give {_KINDS}.") from None


@dataclass(frozen=True)
class PartialRows:
    """``raw`` (rows, n_features) in input units, NaN where ``hidden``."""

    raw: Tensor
    hidden: Tensor

    def hiding_more(self, share: float, generator: Generator) -> PartialRows:
        """Return the same rows with a random share of the known values hidden, too."""
        draw = torch.rand(self.raw.shape, generator=generator).to(self.raw.device)
        hidden = self.hidden | (draw < share)
        return PartialRows(torch.where(hidden, torch.nan, self.raw), hidden)


def filled(model: Model, output: Tensor, rows: PartialRows) -> Tensor:
    """Return the rows with their hidden values filled in from the ``output`` of the decoder.

    An output of shares, or of proportions of counts, does not determine the total of a row: the
    known values and their shares do. A row without a positive known value gets shares.
    """
    mean = model.scaling.inverse(model.objective.loss.expectation(output))
    return _with_total(model, mean, rows)


def _with_total(model: Model, mean: Tensor, rows: PartialRows) -> Tensor:
    """Return the rows with ``mean`` where hidden, times the total of the row if it is shares."""
    if model.scaling.shares or isinstance(model.objective.loss, Multinomial):
        share = torch.where(rows.hidden, 0.0, mean).sum(dim=1, keepdim=True)
        total = row_totals(rows.raw)[:, None] / share.clamp_min(1e-6)
        mean = mean * torch.where(total > 0, total, 1.0)
    return torch.where(rows.hidden, mean, rows.raw)


def with_marks(model: Model, rows: PartialRows) -> Tensor:
    """Return scaled rows with hidden values marked as in the training of a net on hidden values.

    The mark is NaN if the corruption of the net admits missing values, else 0, as in ``Masking``.
    """
    x = model.scaling.forward(rows.raw)
    assert isinstance(x, Tensor)
    return x if model.objective.corruption.admits_missing else x.nan_to_num(nan=0.0)


def _center(model: Model) -> Tensor:
    """Return a row to start from, (n_features,), in input units: the mean of the baseline, or the
    row decoded from the mean code."""
    if model.baseline is not None and model.baseline.mean is not None:
        mean = model.baseline.mean.to(model.device)
    else:
        h = torch.zeros(1, model.n_components, device=model.device)
        if "gaussian" in model.densities:
            h = model.densities["gaussian"].means[:1].to(model.device)
        mean = model.objective.decode(model.objective.encoder.project(h))[0]
    return model.scaling.inverse(mean[None])[0]


def start(model: Model, rows: PartialRows) -> Tensor:
    """Return the rows with hidden values at the mean."""
    return _with_total(model, _center(model).expand_as(rows.raw), rows)
