"""Hidden values from the known ones: what f and g make of a row of which they see a part.

"pass"         g(f(x)) once, for nets that were trained on hidden values
"projection"   x <- known values, and g(f(x)) where they are hidden, until x stands still
"code"         the h of which g says the known values, and which its density holds likely
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.filling.hidden import Partial, filled, marked, start
from narrows.applications.filling.latent_optimizer import LatentOptimizer
from narrows.core.checks import check_number
from narrows.core.slots import dense_rows
from narrows.corruptions import Masking
from narrows.data.source import Source
from narrows.data.statistics import check_finite
from narrows.errors import UsageError, unknown_name
from narrows.model.coding import BATCH, whole_vectors
from narrows.model.model import Model

__all__ = ["METHODS", "incomplete_rows", "inpainted", "resolved_method"]

METHODS = ("auto", "pass", "projection", "code")

_MAX_STEPS = 100
_STILL = 1e-3
"""A row stands still when it moves by less than this share of what was filled in."""

_HIDDEN_MORE = 0.25
MAX_DRAWS = 10_000


def resolved_method(model: Model, method: str) -> str:
    """Return the method of that name; "auto" is a pass where the net was trained for it.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method != "auto":
        return method
    corruption = model.objective.corruption
    trained = corruption.admits_missing or isinstance(corruption, Masking)
    return "pass" if trained else "code"


def inpainted(
    model: Model,
    source: Source,
    hidden: np.ndarray,
    *,
    method: str = "auto",
    n_draws: int = 0,
    generator: Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield rows with their hidden values filled in, and the spread of ``n_draws`` fills.

    ``hidden`` is (n_rows, n_features), or (1, n_features) for all rows; NaN is hidden too, and
    what stands where a value is hidden is never read. Blocks are (rows, n_features), in input
    units, float32; known values are the source's, to the bit. ``generator`` is on the CPU. The
    spread is 0 where values are known, and None where ``n_draws`` is 0.

    Raises
    ------
    UsageError
        If the rows are sparse, or the method is unknown.
    InvalidData
        If a known value is infinite, or the loss refuses it.
    """
    if source.sparse:
        raise UsageError(
            f"inpaint: {source.origin} is sparse, where what is not stored is 0 and not missing; "
            "give dense rows, such as X.toarray()."
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
        seen = torch.where(where, torch.nan, raw)
        check_finite(seen, source, first_row=first, missing=True)
        model.scaling.check(seen, source.origin)
        first += len(raw)
        rows = Partial(seen.to(model.device), where.to(model.device))
        model.objective.loss.check(model.scaling.forward(rows.raw))
        best, draws = _answers(model, rows, method, n_draws, generator, search)
        fill = torch.where(where, best.cpu(), raw).numpy()
        spread = None
        if draws is not None:
            spread = torch.where(where, draws.cpu(), 0.0).numpy()
        yield fill, spread


def _answers(
    model: Model,
    rows: Partial,
    method: str,
    n_draws: int,
    generator: Generator,
    search: LatentOptimizer | None,
) -> tuple[Tensor, Tensor | None]:
    """Return the best fill and the deviation of the draws, each (rows, n_features)."""
    if search is not None:
        output = search.best(rows)
        draws = (filled(model, drawn, rows) for drawn in search.drawn(rows, n_draws))
        return filled(model, output, rows), _deviation(draws)
    fill = _by_pass if method == "pass" else _by_projection
    draws = (fill(model, rows.hiding_more(_HIDDEN_MORE, generator)) for _ in range(n_draws))
    deviation, unknown = _deviation(draws), rows.hidden.all(dim=1)
    if n_draws and bool(unknown.any()):
        # there is no known value to hide: what a row may be is what the density says
        some = Partial(rows.raw[unknown], rows.hidden[unknown])
        outputs = LatentOptimizer(model, generator).drawn_alone(len(some.raw), n_draws)
        alone = _deviation(filled(model, output, some) for output in outputs)
        assert deviation is not None and alone is not None
        deviation[unknown] = alone
    return fill(model, rows), deviation


def _by_pass(model: Model, rows: Partial) -> Tensor:
    x = marked(model, rows)
    output = model.objective.decoder(model.objective.encode(whole_vectors(x)).h)[: len(x)].float()
    return filled(model, output, rows)


def _by_projection(model: Model, rows: Partial) -> Tensor:
    """Iterate x <- known, g(f(x)) where hidden; a row whose moves grow goes half as far.

    A row that is not finite any more stays where it last was.
    """
    net = model.objective
    current = start(model, rows)
    x = begin = _scaled(model, current)
    pace = torch.ones(len(current), 1, device=current.device)
    last = torch.full_like(pace, torch.inf)
    moving = torch.ones_like(pace, dtype=torch.bool)
    for _ in range(_MAX_STEPS):
        code = net.encode(whole_vectors(x))
        target = filled(model, net.decoder(code.h)[: len(current)].float(), rows)
        moved = (_scaled(model, target) - x).norm(dim=1, keepdim=True)
        # a row that stands still stays, so that its fill does not depend on the others
        moving = moving & moved.isfinite()
        pace = torch.where(moved > last, pace / 2, pace)
        current = torch.where(moving & rows.hidden, current + pace * (target - current), current)
        x = _scaled(model, current)
        so_far = (x - begin).norm(dim=1, keepdim=True)
        moving = moving & (pace * moved > _STILL * so_far)
        if not bool(moving.any()):
            break
        last = moved
    return current


def _scaled(model: Model, rows: Tensor) -> Tensor:
    return dense_rows(model.scaling.forward(rows))


def _deviation(draws: Iterator[Tensor]) -> Tensor | None:
    """Return the standard deviation of each value over the draws, None where there is none.

    By Welford's sums: no more than one draw is held.
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
