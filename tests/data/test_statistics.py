"""Statistics of columns are exact for hard columns, dense or sparse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from narrows.data.array_sources import array_source
from narrows.data.statistics import describe


def hard_columns(rng):
    n = 40_000  # more than two blocks
    return np.stack(
        [
            rng.normal(size=n),
            rng.normal(1e6, 1, n),
            rng.normal(-3e4, 0.01, n),
            np.full(n, 7.7),
            np.zeros(n),
            np.where(np.arange(n) == 39_999, 1e20, 0),
            np.sort(rng.normal(size=n)),
            rng.normal(size=n) * 1e-30,
        ],
        axis=1,
    ).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_mean_and_variance_equal_numpys_on_hard_columns(rng, form):
    X = hard_columns(rng)
    statistics = describe(array_source(form(X)))
    wide = X.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, wide.mean(0), rtol=1e-10)
    np.testing.assert_allclose(statistics.variance, wide.var(0), rtol=1e-7, atol=1e-20)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_range_covers_all_values(form):
    X = np.array([[0, 2.5], [1, -4], [0, 0]], np.float32)
    statistics = describe(array_source(form(X)))
    assert (statistics.low, statistics.high, statistics.n_rows) == (-4, 2.5, 3)
    assert not statistics.whole_numbers


def test_the_range_of_sparse_rows_includes_zero():
    statistics = describe(array_source(sp.csr_array(np.array([[0, 3], [4, 0]], np.float32))))
    assert (statistics.low, statistics.high) == (0, 4)
