"""Start a net at the linear code of its rows: PCA, or LSA of bags of words."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.core.linear_path import LinearCode
from narrows.core.objective import Objective
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, dense_rows
from narrows.core.weights import fill_missing
from narrows.data.source import Source
from narrows.encoders.dense import rows_of_length
from narrows.model.baseline import Baseline, sample_size, sampled_rows, truncated_svd
from narrows.model.model import Model

__all__ = ["start_at_linear_code"]

_ROWS = 10_000
"""Rows that the decoder is fitted to."""

_SMALLEST = 1e-6
"""Deviation of a code, as a fraction of the largest, below which its direction is not used."""


_RIDGE = 1e-9
"""Added to the squares of the codes, as a fraction of the largest, so that they can be inverted."""

_MOST_ROUNDS = 50
"""Of L-BFGS."""


@torch.no_grad()
def start_at_linear_code(model: Model, source: Source, baseline: Baseline, *, seed: int) -> bool:
    """Make the untrained net the linear code of its baseline, with the decoder that suits it best.

    f(x) = (x - m) V' / deviations through the code's activation; g(h) = h B + c, with B and c that
    minimize the net's own loss over a sample of rows. Return whether the net has started so: its
    pieces may have no linear path, as a user's own. If f reads the directions of rows alone, see
    ``_start_at_lsa``.
    """
    objective = model.objective
    if objective.encoder.row_length is not None:
        return _start_at_lsa(model, source, seed)
    x, weights = sampled_rows(source, model.scaling, _ROWS, seed=seed)
    x, _ = fill_missing(x, objective.corruption)
    code = _linear_code(baseline, x, weights)
    if code is None or not objective.encoder.start_linear(code):
        return False
    objective.eval()
    known = objective.encoder.linear_decoder(code)
    if known is not None and _is_squared_error(objective.loss):
        return objective.decoder.start_linear(known, known.new_zeros(len(known)), code.mean)
    h = objective.encoder(x).h
    return objective.decoder.start_linear(*_best_decoder(objective, h, x, weights))


def _start_at_lsa(model: Model, source: Source, seed: int) -> bool:
    """Make f(x) latent semantic analysis, x V' of rows of length 1, and g(h) the mean row.

    A decoder that suits the code already would keep the code where it is: one that begins at 0
    retrieves better once trained. Return False, since the start is no rival of later epochs.
    """
    objective = model.objective
    x, weights = sampled_rows(source, model.scaling, sample_size(source), seed=seed)
    x, _ = fill_missing(x, objective.corruption)
    unit, width = rows_of_length(x, 1.0), model.n_components
    with np.errstate(all="ignore"):  # scikit-learn's ratio of explained variance is not used
        lsa = truncated_svd(unit, weights, width, seed=seed)
    code = _linear_code(lsa, unit, weights)
    if code is not None and objective.encoder.start_linear(code):
        nothing = code.components.new_zeros(width, source.n_features)
        output = objective.loss.inverse_link(_mean(x, weights))
        objective.decoder.start_linear(nothing, nothing[:, 0], output)
    return False


def _linear_code(baseline: Baseline, x: Rows, weights: Tensor | None) -> LinearCode | None:
    """Return the baseline's code of rows; None if the rows are all alike."""
    components = baseline.components
    mean = components.new_zeros(components.shape[1]) if baseline.mean is None else baseline.mean
    deviations = _deviations(baseline.codes(x), weights)
    kept = deviations > _SMALLEST * deviations.max()
    if not bool(kept.any()):
        return None
    left_out = components.shape[1] - int(kept.sum())
    noise = float(_mean(baseline.error(x), weights)) / max(1, left_out)
    return LinearCode(components[kept], mean, deviations[kept], noise, x)


def _mean(values: Rows, weights: Tensor | None) -> Tensor:
    """Return the mean over rows of values (n_rows, ...); the weights have mean 1."""
    if isinstance(values, SparseRows):
        values = values if weights is None else values.times_rows(weights)
        sums = values.values.new_zeros(values.n_features)
        return sums.index_add_(0, values.indices, values.values) / len(values)
    if weights is None:
        return values.mean(dim=0)
    return (weights @ values) / len(weights)


def _deviations(values: Tensor, weights: Tensor | None) -> Tensor:
    return _mean((values - _mean(values, weights)).square(), weights).sqrt()


def _best_decoder(
    objective: Objective, h: Tensor, x: Rows, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return B, the center of h, and the output for it, of the best output (h - center) B + mean.

    They are (n_components, n_features), (n_components,) and (n_features,).
    """
    center, x = _mean(h, weights), dense_rows(x)
    centered, mean = (h - center).double(), _mean(x, weights)
    if not _is_squared_error(objective.loss):
        matrix, output = _minimized(objective.loss, h - center, x, weights)
        return matrix, center, output
    counted = centered if weights is None else centered * weights[:, None]
    ridge = _RIDGE * (counted * centered).sum(dim=0).max().clamp_min(1e-30)
    gram = counted.t() @ centered + ridge * torch.eye(h.shape[1], dtype=torch.float64)
    matrix = torch.linalg.solve(gram, counted.t() @ x.double()).float()
    return matrix, center, mean


def _is_squared_error(loss: Loss) -> bool:
    return getattr(loss, "link", None) in ("identity", "clamp")


@torch.enable_grad()
def _minimized(
    loss: Loss, centered: Tensor, x: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return B and c of the output h B + c with the lowest loss, for centered codes h."""
    deviations = _mean(centered.square(), weights).sqrt().clamp_min(_SMALLEST)
    unit = centered / deviations
    matrix = torch.zeros(unit.shape[1], x.shape[1], requires_grad=True)
    output = loss.inverse_link(_mean(x, weights)).clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [matrix, output], max_iter=_MOST_ROUNDS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = _mean(loss.per_sample(unit @ matrix + output, x), weights)
        value.backward()
        return value

    optimizer.step(closure)
    return matrix.detach() / deviations[:, None], output.detach()
