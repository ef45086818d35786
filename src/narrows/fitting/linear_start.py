"""Start a net at the linear code of its rows: PCA, as far as its pieces allow."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.core.linear_path import LinearCode
from narrows.core.objective import Objective
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, dense_rows
from narrows.core.weights import fill_missing
from narrows.data.source import Source
from narrows.model.baseline import Baseline
from narrows.model.model import Model

__all__ = ["start_at_linear_code"]

_ROWS = 10_000
"""Rows that the decoder is fitted to."""

_SMALLEST = 1e-6
"""Deviation of a code, as a fraction of the largest, below which its direction is not used."""


@torch.no_grad()
def start_at_linear_code(model: Model, source: Source, baseline: Baseline, *, seed: int) -> bool:
    """Make the untrained net the linear code of its baseline, with the decoder that suits it best.

    f(x) = (x - m) V' / deviations through the code's activation; g(h) = h B + c, with B and c that
    minimize the net's own loss over a sample of rows. Return whether the net has started so: its
    pieces may have no linear path, as a user's own.
    """
    objective = model.objective
    x = model.scaling.forward(source.sample(_ROWS, generator=Generator().manual_seed(seed)))
    x, _ = fill_missing(x, objective.corruption)
    code = _linear_code(baseline, x)
    if code is None or not objective.encoder.start_linear(code):
        return False
    objective.eval()
    h = objective.encoder(x).h
    return objective.decoder.start_linear(*_best_decoder(objective, h, x))


def _linear_code(baseline: Baseline, x: Rows) -> LinearCode | None:
    """Return the baseline's code of rows; None if the rows are all alike."""
    components = baseline.components
    mean = components.new_zeros(components.shape[1]) if baseline.mean is None else baseline.mean
    deviations = _codes(x, components).std(dim=0, correction=0)
    kept = deviations > _SMALLEST * deviations.max()
    if not bool(kept.any()):
        return None
    left_out = components.shape[1] - int(kept.sum())
    noise = float(baseline.error(x).mean()) / max(1, left_out)
    return LinearCode(components[kept], mean, deviations[kept], noise, x)


def _codes(x: Rows, components: Tensor) -> Tensor:
    if isinstance(x, SparseRows):
        return x.matmul(components.t().contiguous())
    return x @ components.t()


def _best_decoder(objective: Objective, h: Tensor, x: Rows) -> tuple[Tensor, Tensor]:
    """Return B (n_components, n_features) and c (n_features,) of the best output h B + c."""
    center = h.mean(dim=0)
    centered = (h - center).double()
    ridge = 1e-9 * centered.square().sum(dim=0).max().clamp_min(1e-30)
    gram = centered.t() @ centered + ridge * torch.eye(h.shape[1], dtype=torch.float64)
    x = dense_rows(x)
    mean = x.mean(dim=0)
    matrix = torch.linalg.solve(gram, centered.t() @ x.double()).float()
    if getattr(objective.loss, "link", None) in ("identity", "clamp"):
        return matrix, mean - center @ matrix
    return _minimized(objective.loss, h, x)


@torch.enable_grad()
def _minimized(loss: Loss, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=0)
    deviations = h.std(dim=0).clamp_min(1e-6)
    center = h.mean(dim=0)
    unit = (h - center) / deviations
    matrix = torch.zeros(h.shape[1], x.shape[1], requires_grad=True)
    bias = loss.inverse_link(mean).clone().requires_grad_()
    optimizer = torch.optim.LBFGS([matrix, bias], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss.per_sample(unit @ matrix + bias, x).mean()
        value.backward()
        return value

    optimizer.step(closure)
    matrix = matrix.detach() / deviations[:, None]
    return matrix, bias.detach() - center @ matrix
