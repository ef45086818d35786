"""Choose the scale of the rows and the loss, where they are "auto"."""

from __future__ import annotations

from collections.abc import Mapping

from narrows.data.scaling import SCALES, SHARES
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import InvalidData, unknown_name

__all__ = ["choose_loss", "choose_scale"]


def choose_scale(
    scale: str,
    source: Source,
    statistics: Statistics,
    loss: Mapping[str, str] | None = None,
) -> str:
    """Return the kind of scaling; "auto" is resolved from the data and the ``loss``.

    "auto" scales bytes to [0, 1] and sparse counts to proportions, and standardizes tables. Dense
    values in [0, 1], and sparse values that are not counts, are not scaled. Bytes whose maximum is
    below 128 are taken for a table of small numbers, unless the rows have an image shape. A
    ``loss`` that needs values in [0, 1], or proportions, gets them. Conditions on every row, such
    as values >= 0, are checked on all rows; the training rows decide the rest.

    Raises
    ------
    UsageError
        If ``scale`` is unknown.
    InvalidData
        If ``scale`` requires proportions and a value is negative.
    """
    if scale != "auto":
        if scale not in SCALES:
            raise unknown_name("scale", scale, ["auto", *SCALES])
        if scale in SHARES and statistics.lowest < 0:
            raise _negative(scale, statistics.lowest, source.origin)
        return scale
    if loss is not None and loss["name"] == "multinomial" and statistics.lowest >= 0:
        return "proportions"
    if loss is not None and (
        loss["name"] == "bernoulli" or loss.get("link") in ("logistic", "clamp")
    ):
        return "none" if _all_within(statistics) else "unit"
    if source.sparse:
        counts = statistics.whole_numbers and statistics.lowest >= 0 and statistics.high > 0
        return "proportions" if counts else "none"
    pictures = source.image_shape is not None or statistics.high > 127
    if source.kind == "image" and pictures and statistics.high > 1:
        return "unit"
    return "none" if statistics.low >= 0 and statistics.high <= 1 else "standard"


def choose_loss(
    kind: str, source: Source, statistics: Statistics, *, likelihood: bool = False
) -> dict[str, str]:
    """Return the spec of the loss that "auto" means for a kind of scaling.

    Proportions get the multinomial loss. Dense values in [0, 1] get squared error through a clamp,
    so that reconstructions stay in range and errors are comparable with PCA's.
    All others get squared error. If a ``likelihood`` is needed, values of 0 and 1 alone get the
    Bernoulli loss.
    """
    if kind in SHARES:
        return {"name": "multinomial"}
    within = statistics.low >= 0 and statistics.high <= 1
    within = kind == "unit" or (kind == "none" and within)
    if likelihood and within and statistics.whole_numbers and _all_within(statistics):
        return {"name": "bernoulli"}
    if within and not source.sparse:
        return {"name": "squared_error", "link": "clamp"}
    return {"name": "squared_error", "link": "identity"}


def _all_within(statistics: Statistics) -> bool:
    return statistics.lowest >= 0 and statistics.highest <= 1


def _negative(kind: str, low: float, origin: str) -> InvalidData:
    return InvalidData(
        f"Negative values in data: scale={kind!r} needs values >= 0, got {low:.6g} in {origin}; "
        "use scale='standard' (--scale standard)."
    )
