"""Fill in the hidden values of rows from the known ones.

"pass"         g(f(x)) once, for nets that were trained on hidden values
"projection"   replace hidden values by those of g(f(x)) until x hardly changes
"code"         g(h) of the h that best explains the known values and is likely under the density
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.filling.hidden import PartialRows, filled, start, with_marks
from narrows.applications.filling.latent_optimizer import LatentOptimizer
from narrows.core.checks import check_number
from narrows.core.sparse import dense_rows
from narrows.corruptions import Masking
from narrows.data.source import Source
from narrows.data.statistics import check_finite
from narrows.errors import UsageError, unknown_name
from narrows.model.coding import BATCH, output_of
from narrows.model.model import Model

__all__ = ["METHODS", "incomplete_rows", "inpainted", "resolved_method"]

METHODS = ("auto", "pass", "projection", "code")

_MAX_STEPS = 100
_STILL = 1e-3
"""A row is done when it moves by less than this share of its distance from the start."""

_HIDDEN_MORE = 0.25
MAX_DRAWS = 10_000


def resolved_method(model: Model, method: str) -> str:
    """Return the method; "auto" is "pass" for nets trained on hidden values, else "code".

    A net that stayed at its linear start has not been trained.

    Raises
    ------
    UsageError
        If the method is unknown.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method != "auto":
        return method
    corruption = model.objective.corruption
    trained = corruption.admits_missing or isinstance(corruption, Masking)
    return "pass" if trained and model.record.get("best_epoch") != 0 else "code"


def inpainted(
    model: Model,
    source: Source,
    hidden: np.ndarray,
    *,
    method: str = "auto",
    n_draws: int = 0,
    generator: Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield rows with their hidden values filled in, and the standard deviation of ``n_draws``
    random fills.

    ``hidden`` is (n_rows, n_features), or (1, n_features) for all rows; missing values, NaN, are
    hidden too. Hidden values are never read, and known values stay as they are, bit by bit. Blocks
    are (rows, n_features), in input units, float32. ``generator`` is on the CPU. The standard
    deviation is 0 for known values, and None if ``n_draws`` is 0.

    Raises
    ------
    UsageError
        If the rows are sparse, or the method is unknown.
    InvalidData
        If a known value is infinite, or the loss refuses it.
    """
    if source.sparse:
        raise UsageError(
            f"inpaint: {source.origin} is sparse, and values that are not stored are 0, not "
            "missing; give dense rows, such as X.toarray()."
        )
    check_number("n_draws", n_draws, low=0, high=MAX_DRAWS, integer=True)
    return _inpainted(model, source, hidden, resolved_method(model, method), n_draws, generator)


@torch.no_grad()
def _inpainted(
    model: Model,
    source: Source,
    hidden: np.ndarray,
    method: str,
    n_draws: int,
    generator: Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    search = LatentOptimizer(model, generator) if method == "code" else None
    first = 0
    for raw in source.in_order(BATCH):
        assert isinstance(raw, Tensor)
        part = hidden if len(hidden) == 1 else hidden[first : first + len(raw)]
        where = torch.from_numpy(np.array(part)).expand(len(raw), -1) | raw.isnan()
        known = torch.where(where, torch.nan, raw)
        check_finite(known, source, first_row=first, missing=True)
        model.scaling.check(known, source.origin)
        first += len(raw)
        rows = PartialRows(known.to(model.device), where.to(model.device))
        model.objective.loss.check(model.scaling.forward(rows.raw))
        best, std = _fill(model, rows, method, n_draws, generator, search)
        yield (
            torch.where(where, best.cpu(), raw).numpy(),
            None if std is None else torch.where(where, std.cpu(), 0.0).numpy(),
        )


def _fill(
    model: Model,
    rows: PartialRows,
    method: str,
    n_draws: int,
    generator: Generator,
    search: LatentOptimizer | None,
) -> tuple[Tensor, Tensor | None]:
    """Return the best fill and the standard deviation of the draws, each (rows, n_features)."""
    if search is not None:
        output = search.best(rows)
        draws = (filled(model, drawn, rows) for drawn in search.drawn(rows, n_draws))
        return filled(model, output, rows), _std(draws)
    fill = _by_pass if method == "pass" else _by_projection
    draws = (fill(model, rows.hiding_more(_HIDDEN_MORE, generator)) for _ in range(n_draws))
    std, unknown = _std(draws), rows.hidden.all(dim=1)
    if n_draws and bool(unknown.any()):
        # without a known value to hide, the rows are drawn from the density
        some = PartialRows(rows.raw[unknown], rows.hidden[unknown])
        outputs = LatentOptimizer(model, generator).drawn_from_density(len(some.raw), n_draws)
        of_unknown = _std(filled(model, output, some) for output in outputs)
        assert std is not None and of_unknown is not None
        std[unknown] = of_unknown
    return fill(model, rows), std


def _by_pass(model: Model, rows: PartialRows) -> Tensor:
    return filled(model, output_of(model, with_marks(model, rows)), rows)


def _by_projection(model: Model, rows: PartialRows) -> Tensor:
    """Iterate x <- known values, g(f(x)) where hidden; a row whose moves grow halves its steps.

    A row whose next move is not finite stays where it is.
    """
    current = start(model, rows)
    x = begin = _scaled(model, current)
    step = torch.ones(len(current), 1, device=current.device)
    last = torch.full_like(step, torch.inf)
    moving = torch.ones_like(step, dtype=torch.bool)
    for _ in range(_MAX_STEPS):
        target = filled(model, output_of(model, x), rows)
        moved = (_scaled(model, target) - x).norm(dim=1, keepdim=True)
        # a row that is done does not move again, so that its fill does not depend on other rows
        moving = moving & moved.isfinite()
        step = torch.where(moved > last, step / 2, step)
        current = torch.where(moving & rows.hidden, current + step * (target - current), current)
        x = _scaled(model, current)
        so_far = (x - begin).norm(dim=1, keepdim=True)
        moving = moving & (step * moved > _STILL * so_far)
        if not bool(moving.any()):
            break
        last = moved
    return current


def _scaled(model: Model, rows: Tensor) -> Tensor:
    return dense_rows(model.scaling.forward(rows))


def _std(draws: Iterator[Tensor]) -> Tensor | None:
    """Return the standard deviation of each value over the draws, None without any.

    By Welford's algorithm: only one draw is held at a time.
    """
    n, mean, squares = 0, None, None
    for draw in draws:
        n += 1
        if mean is None or squares is None:
            mean, squares = draw.clone(), torch.zeros_like(draw)
            continue
        off = draw - mean
        mean += off / n
        squares += off * (draw - mean)
    return None if squares is None else (squares / max(n - 1, 1)).sqrt()


def incomplete_rows(source: Source) -> Tensor:
    """Return which rows hold NaN, bool (n_rows,); all of sparse rows, which are never filled in."""
    if source.sparse:
        return torch.ones(source.n_rows, dtype=torch.bool)
    return torch.cat([dense_rows(rows).isnan().any(dim=1) for rows in source.in_order(4096)])
