"""The pixels of a model's rows: image shape, input units, and the values of black and white."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from narrows.errors import InvalidData
from narrows.losses import Bernoulli, SquaredError
from narrows.model.model import Model

__all__ = ["image_shape_of", "pixel_limits", "pixel_range", "unscaled"]


def image_shape_of(model: Model, image_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the shape of a row as an image, or None if rows are not images.

    Raises
    ------
    InvalidData
        If ``image_shape`` does not fit the rows of the model.
    """
    shape = image_shape or model.schema.image_shape
    if shape is not None and math.prod(shape) != model.schema.n_features:
        raise InvalidData(f"image shape {shape}: does not hold {model.schema.n_features} features.")
    return shape


def pixel_range(model: Model) -> tuple[float, float] | None:
    """Return the values of black and white in input units, if they are the same for all pixels.

    They are known from a scaling to "unit", or from a loss that keeps unscaled values in [0, 1];
    otherwise return None.
    """
    scaling, loss = model.scaling, model.objective.loss
    if scaling.kind == "unit" and scaling.scale is not None and scaling.scale.ndim == 0:
        low = 0.0 if scaling.shift is None else float(scaling.shift)
        return low, low + float(scaling.scale)
    within = isinstance(loss, SquaredError) and loss.link != "identity"
    if scaling.kind == "none" and (within or isinstance(loss, Bernoulli)):
        return 0.0, 1.0
    return None


def pixel_limits(model: Model, rows: np.ndarray) -> tuple[float, float]:
    """Return the values of black and white for a figure: the pixel range of the model, so that its
    figures are comparable, or else the range of ``rows``, in input units."""
    return pixel_range(model) or (float(np.nanmin(rows)), float(np.nanmax(rows)))


def unscaled(model: Model, scaled: Tensor) -> Tensor:
    """Return scaled rows in input units, on the CPU; shares stay, as their totals are unknown."""
    if model.scaling.shares:
        return scaled.cpu()
    with torch.no_grad():
        return model.scaling.inverse(scaled.to(model.device)).cpu()
