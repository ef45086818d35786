"""Refuse nets that do not fit into memory for training, before they are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from narrows.data.memory import available_memory, gib
from narrows.errors import ResourceError
from narrows.variants.building import build_objective

__all__ = ["check_head_fits", "check_net_fits", "check_widths_fit", "dense_sizes"]

_COPIES = 4
"""Numbers kept for each weight: itself, its gradient, and Adam's two moments."""

_PER_UNIT = 4
"""Numbers kept for each unit and row: before and after its activation, forward and backward."""

_PER_FEATURE = 6
"""Numbers kept for each feature and row: x, x~, the output, the loss and gradients."""

_PER_BLOCK = 3
"""Maps that a residual block keeps, each as large as its input."""

_WINDOW = 16  # weights of a convolution between two channels


def check_net_fits(
    variant: str,
    parameters: Mapping[str, Any],
    n_features: int,
    *,
    batch_size: int,
    device: torch.device,
) -> None:
    """Refuse a net whose training needs more memory than is available.

    This counts the weights, their gradients, Adam's moments and the activations of a batch; the
    rows themselves are already in memory, or stream.

    Raises
    ------
    ResourceError
        With the number of parameters, the memory needed and available, and what to lower.
    """
    check_widths_fit(parameters, n_features, device=device)
    with torch.device("meta"):  # nothing is allocated
        net = build_objective(variant, parameters, n_features)
    n_weights = _n_weights(net)
    maps = 1 + _PER_BLOCK * int(parameters.get("blocks", 0))
    per_row = _PER_UNIT * maps * sum(net.encoder.widths) + _PER_FEATURE * n_features
    lower = _way_out(parameters, n_features)
    if batch_size > 1 and batch_size * per_row > _COPIES * n_weights:
        lower = f"batch_size={batch_size:,}"
    check_head_fits(n_weights, per_row, batch_size=batch_size, device=device, lower=lower)


def check_widths_fit(
    parameters: Mapping[str, Any], n_features: int, *, device: torch.device
) -> None:
    """Refuse widths whose weights alone need more memory than is available, before reading rows.

    ``parameters`` are n_components, and hidden, channels and blocks if the net has them.

    Raises
    ------
    ResourceError
    """
    available, at_least = _available(device), _fewest_weights(parameters, n_features)
    if 4 * _COPIES * at_least > available:
        raise _refusal(at_least, 0, available, 1, _way_out(parameters, n_features))


def check_head_fits(
    n_weights: int, per_row: int, *, batch_size: int, device: torch.device, lower: str
) -> None:
    """Refuse a net or head that needs more memory to train than is available.

    It keeps ``per_row`` numbers for each row of a batch. ``lower`` names the argument to lower.

    Raises
    ------
    ResourceError
    """
    available = _available(device)
    if 4 * (_COPIES * n_weights + batch_size * per_row) > available:
        raise _refusal(n_weights, batch_size * per_row, available, batch_size, lower)


def dense_sizes(widths: Sequence[int]) -> tuple[int, int]:
    """Return the number of weights of dense layers, and of numbers that they keep for a row.

    Examples
    --------
    >>> dense_sizes([4, 3, 2])
    (23, 36)
    """
    weights = sum(a * b + b for a, b in pairwise(widths))
    return weights, _PER_UNIT * sum(widths)


def _available(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def _fewest_weights(parameters: Mapping[str, Any], n_features: int) -> int:
    """Return a lower bound of the number of weights of a net, from its widths alone."""
    widths = [n_features, *parameters.get("hidden", ()), parameters["n_components"]]
    channels = [1, *parameters.get("channels", ())]
    blocks = int(parameters.get("blocks", 0))
    if len(channels) > 1:
        widths = [channels[-1], *widths[1:]]
    return (
        sum(a * b for a, b in pairwise(widths))
        + _WINDOW * sum(a * b for a, b in pairwise(channels))
        + blocks * sum(c * c for c in channels[1:])
    )


def _n_weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _way_out(parameters: Mapping[str, Any], n_features: int) -> str:
    """Return the argument that makes the net large, with its value."""
    sizes: dict[str, Any] = {}
    for name in ("hidden", "channels"):
        if parameters.get(name):
            sizes[name] = max(parameters[name])
    for name in ("n_components", "blocks"):
        if parameters.get(name):
            sizes[name] = parameters[name]
    largest = max(sizes, key=lambda name: sizes[name])
    value = parameters[largest]
    named = f"{largest}={tuple(value) if isinstance(value, list) else value!r}"
    if n_features <= sizes[largest]:
        return named
    return (
        f"the {n_features:,} columns of the rows (smaller images, fewer words by max_features), or "
        f"{named}"
    )


def _refusal(
    n_weights: int, kept: int, available: int, batch_size: int, lower: str
) -> ResourceError:
    """Return the error; a batch keeps ``kept`` numbers, 0 if they were not counted."""
    needed = 4 * (_COPIES * n_weights + kept)
    of_batch = f", activations of {batch_size:,} rows" if kept else ""
    counted = f"{n_weights:,} parameters{'' if kept else ' or more'}"
    return ResourceError(
        f"{counted} need {gib(needed)} to train (weights, gradients, Adam's two "
        f"moments{of_batch}), and {gib(available)} of memory are available; lower {lower}."
    )
