"""Choose the width of a code by parallel analysis, where it is "auto"."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.model.baseline import fill_with_means

__all__ = ["code_width"]

_ROWS = 1000
_MAX_VALUES = 1 << 24
"""Rows and values of the sample that is analyzed."""

_PERMUTATIONS = 3


@torch.no_grad()
def code_width(source: Source, scaling: Scaling, *, widest: int, seed: int) -> int:
    """Return the number of principal components that stand out from noise, from 1 to ``widest``.

    A component counts if its variance is larger than that of the same component of rows whose
    columns are each in a random order, as are those before it. Images, whose neighboring pixels are
    alike, and sparse rows get ``widest``, at most half of the number of features.

    References
    ----------
    Horn (1965), "A rationale and test for the number of factors in factor analysis", Psychometrika
    30.
    """
    if source.sparse or source.image_shape is not None or scaling.kind == "unit":
        return max(1, min(widest, source.n_features // 2))
    generator = Generator().manual_seed(seed)
    n_rows = max(2, min(_ROWS, _MAX_VALUES // source.n_features))
    rows = scaling.forward(source.sample(n_rows, generator=generator))
    assert isinstance(rows, Tensor)
    rows = fill_with_means(rows)
    noise = [_variances(_shuffled(rows, generator)) for _ in range(_PERMUTATIONS)]
    stands_out = _variances(rows) > torch.stack(noise).mean(dim=0)
    return max(1, min(widest, int(stands_out.cumprod(dim=0).sum())))


def _variances(rows: Tensor) -> Tensor:
    """Return the squared singular values of centered rows (n, d), the largest first."""
    centered = (rows - rows.mean(dim=0)).double()
    n_rows, n_features = rows.shape
    wide = n_features > n_rows
    gram = centered @ centered.t() if wide else centered.t() @ centered
    return torch.linalg.eigvalsh(gram).flip(0)


def _shuffled(rows: Tensor, generator: Generator) -> Tensor:
    """Return rows (n, d) with the values of every column in an order of its own."""
    return rows.gather(0, torch.rand(rows.shape, generator=generator).argsort(dim=0))
