"""Scaling and its inverse, dense and sparse, and the choice of scale and loss."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from source_rows import ROWS, dense

from narrows.data import DenseSource
from narrows.data.array_sources import array_source
from narrows.data.scaling import SCALES, Scaling, fit_scaling
from narrows.data.statistics import describe
from narrows.errors import InvalidData, UsageError
from narrows.fitting.choose_scale_and_loss import choose_loss, choose_scale


def scaled(X, kind):
    source = X if isinstance(X, DenseSource) else array_source(X)
    return fit_scaling(kind, source, describe(source)), next(source.in_order(source.n_rows))


@pytest.mark.parametrize("kind", [kind for kind in SCALES if not Scaling(kind).shares])
def test_inverse_undoes_forward(rng, kind):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)).astype(np.float32), kind)
    torch.testing.assert_close(scaling.inverse(scaling.forward(x)), x, rtol=1e-5, atol=1e-5)


def test_standard_scaling_gives_mean_zero_and_variance_one(rng):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)), "standard")
    z = scaling.forward(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(4))


def test_centering_keeps_the_width(rng):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)), "center")
    torch.testing.assert_close(scaling.forward(x), x - x.mean(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_unit_scaling_stays_in_the_unit_interval(dtype):
    scaling, x = scaled(np.array([[5, 105], [55, 30]], dtype), "unit")
    expected = x / 255 if dtype == np.uint8 else (x - 5) / 100
    torch.testing.assert_close(scaling.forward(x), expected)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_sum_to_one(form):
    scaling, x = scaled(form(np.array([[1, 3], [0, 5]], np.float32)), "proportions")
    torch.testing.assert_close(dense(scaling.forward(x)), torch.tensor([[0.25, 0.75], [0, 1]]))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_of_an_empty_or_tiny_row_are_finite(form):
    scaling, x = scaled(form(np.array([[0, 0], [1e-45, 0], [2, 2]], np.float32)), "proportions")
    expected = torch.tensor([[0, 0], [1, 0], [0.5, 0.5]])
    torch.testing.assert_close(dense(scaling.forward(x)), expected)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_tfidf_matches_the_formula(form):
    X = np.array([[2, 0, 1, 0], [1, 3, 0, 0], [4, 0, 0, 0]], np.float32)
    scaling, x = scaled(form(X), "tfidf")
    idf = 1 + np.log((1 + 3) / (1 + np.array([3, 1, 1, 0])))
    weighed = np.log(1 + X) * idf
    expected = weighed / weighed.sum(axis=1, keepdims=True)
    torch.testing.assert_close(dense(scaling.forward(x)), torch.tensor(expected).float())


def test_tfidf_weights_equal_scikit_learns():
    X = sp.random_array((30, 6), density=0.4, format="csr", rng=0)
    scaling, _ = scaled(X, "tfidf")
    idf = TfidfTransformer().fit(X).idf_
    torch.testing.assert_close(1 / scaling.scale, torch.tensor(idf).float())


def test_tfidf_decodes_to_proportions_near_those_of_the_counts():
    scaling, x = scaled(np.array([[1, 1, 0], [0, 1, 1]], np.float32), "tfidf")
    rows = scaling.inverse(scaling.forward(x))
    torch.testing.assert_close(rows, torch.tensor([[0.5, 0.5, 0], [0, 0.5, 0.5]]))


@pytest.mark.parametrize("kind", [kind for kind in SCALES if Scaling(kind).shares])
def test_shares_of_negative_values_are_refused(kind):
    X = np.array([[1, 2], [3, -4]], np.float32)
    source = array_source(X)
    with pytest.raises(InvalidData, match=f"scale='{kind}' needs values >= 0, got -4 in X"):
        choose_scale(kind, source, describe(source))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_do_not_hide_negative_values_from_the_loss(form):
    scaling, x = scaled(form(np.array([[-1, -1], [1, -1], [3, -1]], np.float32)), "proportions")
    assert (dense(scaling.forward(x)).min(1).values < 0).all()


@pytest.mark.parametrize("kind", [kind for kind in SCALES if kind != "tfidf"])
@pytest.mark.parametrize("value", [0, 7.7, -1e6, 3e38])
def test_constant_columns_get_scale_one_and_stay_finite(kind, value):
    X = np.full((1000, 2), value, np.float32)
    scaling, x = scaled(X, kind)
    assert scaling.scale is None or (scaling.scale == 1).all()
    assert torch.isfinite(scaling.forward(x)).all()


def test_a_deviation_that_float32_rounds_to_zero_is_used():
    X = np.zeros((10_000, 2), np.float32)
    X[0] = 1e-45, 1
    scaling, x = scaled(X, "standard")
    deviation = scaling.forward(x).std(dim=0, correction=0)
    torch.testing.assert_close(deviation, torch.ones(2), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", ["none", "unit", "proportions"])
def test_sparse_scaling_equals_dense_scaling(rng, kind):
    X = rng.poisson(1.0, size=(30, 6)).astype(np.float32)
    (of_dense, x), (of_sparse, rows) = scaled(X, kind), scaled(sp.csr_array(X), kind)
    torch.testing.assert_close(of_sparse.forward(rows).to_dense(), of_dense.forward(x))


def test_sparse_standard_scaling_equals_dense_scaling_without_the_shift(rng):
    X = rng.poisson(1.0, size=(30, 6)).astype(np.float32)
    (of_dense, x), (of_sparse, rows) = scaled(X, "standard"), scaled(sp.csr_array(X), "standard")
    assert of_sparse.shift is None
    torch.testing.assert_close(of_sparse.forward(rows).to_dense(), x / of_dense.scale)


@pytest.mark.parametrize("kind", [kind for kind in SCALES if not Scaling(kind).shares])
def test_inverse_undoes_sparse_forward(rng, kind):
    X = sp.random_array((20, 5), density=0.4, format="csr", rng=0, data_sampler=rng.standard_normal)
    scaling, rows = scaled(X, kind)
    back = scaling.inverse(scaling.forward(rows).to_dense())
    torch.testing.assert_close(back, rows.to_dense())


def counts(high=3):
    return sp.csr_array(np.array([[0, high], [1, 0]], np.float32))


@pytest.mark.parametrize(
    ("X", "scale", "loss", "link"),
    [
        (np.array([[0, 255], [3, 4]], np.uint8), "unit", "squared_error", "clamp"),
        (np.array([[0, 1], [0.5, 0.2]]), "none", "squared_error", "clamp"),
        (np.array([[0, 1.5], [0.5, 0.2]]), "standard", "squared_error", "identity"),
        (np.array([[-0.1, 1], [0.5, 0.2]]), "standard", "squared_error", "identity"),
        (counts(), "proportions", "multinomial", None),
        (counts(0.5), "none", "squared_error", "identity"),
        (counts(-3), "none", "squared_error", "identity"),
        (sp.csr_array((4, 3)), "none", "squared_error", "identity"),
    ],
)
def test_auto_chooses_scale_and_loss(X, scale, loss, link):
    source = array_source(X)
    statistics = describe(source)
    assert choose_scale("auto", source, statistics) == scale
    chosen = choose_loss(scale, source, statistics)
    assert (chosen["name"], chosen.get("link")) == (loss, link)


@pytest.mark.parametrize("kind", SCALES)
def test_an_explicit_scale_is_kept(kind):
    source = array_source(abs(ROWS))
    assert choose_scale(kind, source, describe(source)) == kind


def test_an_unknown_scale_suggests_the_nearest_one():
    source = array_source(ROWS)
    with pytest.raises(UsageError, match="Did you mean 'standard'"):
        choose_scale("standart", source, describe(source))
