"""Build a variant from its name and JSON values, within limits of its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from torch import Generator

from narrows.catalog import VARIANTS
from narrows.core.objective import Objective
from narrows.errors import UsageError, unknown_name

__all__ = ["build_objective", "builder_of"]

_MAX_WEIGHTS = 1 << 33
_MAX_LAYERS = 1000


def builder_of(variant: str) -> Callable[..., Objective]:
    """Return the function that builds a variant: the one that its module is named after.

    Raises
    ------
    UsageError
        If there is no such variant.
    """
    if variant not in VARIANTS:
        raise unknown_name("variant", variant, VARIANTS)
    return getattr(import_module(f"narrows.variants.{variant}"), variant)


def build_objective(
    variant: str, parameters: Mapping[str, Any], n_features: Any, *, seed: int = 0
) -> Objective:
    """Build a variant by name from JSON values.

    Parameters
    ----------
    variant : str
        A key of ``catalog.VARIANTS``.
    parameters : mapping
        The variant's keyword arguments.
    n_features : int
        Checked here, like the other widths, since a file may hold anything.
    seed : int
        Seed of the generator that draws the weights.

    Raises
    ------
    UsageError
        If the variant is unknown, the net too large, or a value refused.

    Examples
    --------
    >>> net = build_objective("plain", {"n_components": 2, "hidden": [8]}, 10)
    >>> net.encoder.widths
    [8, 2]
    """
    build = builder_of(variant)
    channels, blocks = parameters.get("channels", ()), parameters.get("blocks", 0)
    widths = [n_features, *parameters.get("hidden", ()), parameters["n_components"]]
    for name, count in (("hidden", len(widths) - 2), ("channels", len(channels))):
        if count > _MAX_LAYERS - 2:
            raise UsageError(f"{name}: {count} layers, at most {_MAX_LAYERS - 2} are built.")
    for width in (*widths, *channels, blocks + 1):
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise UsageError(
                f"hidden, channels, blocks, n_components: must be integers >= 1, got {width!r}."
            )
    if len(channels) * blocks > _MAX_LAYERS:
        raise UsageError(f"blocks: {blocks} in each stage are more than {_MAX_LAYERS} in all.")
    if sum(a * b for a, b in zip(widths, widths[1:], strict=False)) > _MAX_WEIGHTS:
        raise UsageError(f"hidden: {widths} needs more than {_MAX_WEIGHTS} weights.")
    generator = Generator().manual_seed(seed)
    return build(n_features=n_features, generator=generator, **parameters)
