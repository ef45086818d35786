"""Inpainting: known values stay, and fills match closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Generator

from narrows import (
    Autoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    Masking,
    Patches,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
)
from narrows.applications.filling.hidden import PartialRows, filled
from narrows.applications.filling.inpainting import resolved_method
from narrows.applications.filling.latent_optimizer import LatentOptimizer
from narrows.data import DenseSource
from narrows.errors import InvalidData, UsageError

METHODS = ("pass", "projection", "code")
NET = {"n_components": 3, "hidden": (16,), "max_epochs": 100, "random_state": 0}


@pytest.fixture(scope="module")
def hidden(X) -> np.ndarray:
    return np.random.default_rng(1).random(X.shape) < 0.3


@pytest.fixture(scope="module")
def net(X):
    return Autoencoder(**NET).fit(X)


@pytest.fixture(scope="module")
def linear(X):
    return LinearAutoencoder(3, scale="center").fit(X)


@pytest.fixture(scope="module")
def trained(X):
    """A net trained on rows with missing values."""
    return DenoisingAutoencoder(
        3, hidden=(32,), corruption="missing:0.3", max_epochs=100, random_state=0
    ).fit(X)


def partial(X, hidden) -> PartialRows:
    where = torch.from_numpy(hidden)
    return PartialRows(torch.where(where, torch.nan, torch.from_numpy(X)), where)


def mean_filled(X, hidden):
    return np.where(hidden, X.mean(axis=0), X)


def squared(fill, X, hidden):
    return float(np.square(fill - X)[hidden].mean())


@pytest.mark.parametrize("method", METHODS)
def test_known_values_do_not_change(net, X, hidden, method):
    fill = net.inpaint(X, hidden, method=method)
    assert fill.dtype == X.dtype
    assert np.array_equal(fill[~hidden], X[~hidden])
    assert not np.array_equal(fill[hidden], X[hidden])


@pytest.mark.parametrize("method", METHODS)
def test_hidden_values_are_never_read(net, X, hidden, method):
    other = np.where(hidden, 77.0, X)
    holed = np.where(hidden, np.nan, X)
    fill = net.inpaint(X, hidden, method=method)
    assert np.array_equal(net.inpaint(other, hidden, method=method), fill)
    assert np.array_equal(net.impute(holed, method=method), fill)


@pytest.mark.parametrize("method", METHODS)
def test_without_hidden_values_the_input_is_returned(net, X, method):
    fill, std = net.inpaint(X, np.zeros(10, bool), method=method, return_std=True, n_draws=2)
    assert np.array_equal(fill, X) and not std.any()


@pytest.mark.parametrize("method", METHODS)
def test_rows_without_known_values_get_one_finite_fill(net, X, method):
    fill = net.inpaint(X, np.ones(10, bool), method=method)
    assert np.isfinite(fill).all()
    np.testing.assert_allclose(fill, np.broadcast_to(fill[0], fill.shape), atol=0.05)
    assert squared(fill, X.mean(axis=0), np.ones_like(X, bool)) < 0.5 * X.var()


@pytest.mark.parametrize("method", METHODS)
def test_without_known_values_the_draws_vary_like_the_data(linear, X, method):
    _, std = linear.inpaint(
        X[:2], np.ones(10, bool), method=method, return_std=True, n_draws=300, random_state=0
    )
    np.testing.assert_allclose(std, np.broadcast_to(X.std(axis=0), (2, 10)), rtol=0.15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("densities", [True, False])
def test_a_row_without_known_values_among_others_has_a_deviation(net, X, method, densities):
    from copy import deepcopy

    other = deepcopy(net)
    if not densities:
        other.model_.densities = {}
    holed = X[:5].copy()
    holed[[1, 3]] = np.nan
    holed[0, 2] = np.nan
    _, std = other.impute(holed, method=method, return_std=True)
    assert (std[[1, 3]] > 0).all() and std[0, 2] > 0 and np.isfinite(std).all()
    assert not std[~np.isnan(holed)].any()


def test_with_a_linear_decoder_the_optimizer_finds_least_squares(linear, X, hidden):
    rows = partial(X, hidden)
    model = linear.model_
    search = LatentOptimizer(model, Generator().manual_seed(0), prior=0.0, n_steps=600)
    fill = filled(model, search.best(rows), rows).numpy()
    # the net's own subspace; another test compares it with PCA's
    shift = linear.inverse_transform(np.zeros((1, 3), np.float32))[0].astype(np.float64)
    v = linear.inverse_transform(np.eye(3, dtype=np.float32)).astype(np.float64) - shift
    for i in range(30):
        known = ~hidden[i]
        h = np.linalg.lstsq(v[:, known].T, (X[i] - shift)[known], rcond=None)[0]
        np.testing.assert_allclose(fill[i], np.where(known, X[i], h @ v + shift), atol=0.02)


def posterior(linear, X, hidden, i, search):
    """Return mean and deviation of g(h), h given the known values, from the formula for normals."""
    known = ~hidden[i]
    m = linear.inverse_transform(search.mean[None].numpy())[0]
    steps = linear.inverse_transform((search.mean + search.factor.t()).numpy()) - m  # rows: e
    v = search.variance
    precision = np.eye(len(steps)) + steps[:, known] @ steps[:, known].T / v
    covariance = np.linalg.inv(precision)
    e = covariance @ steps[:, known] @ (X[i] - m)[known] / v
    return m + e @ steps, np.sqrt(np.einsum("ej,ef,fj->j", steps, covariance, steps))


def test_with_its_prior_the_optimizer_finds_the_posterior_mean(linear, X, hidden):
    fill = linear.inpaint(X, hidden, method="code")
    search = LatentOptimizer(linear.model_, Generator().manual_seed(0))
    for i in range(20):
        mean, _ = posterior(linear, X, hidden, i, search)
        np.testing.assert_allclose(fill[i][hidden[i]], mean[hidden[i]], atol=0.01)


def test_with_a_linear_decoder_the_std_is_the_posterior_deviation(linear, X):
    hidden = np.zeros_like(X, bool)
    hidden[:, :8] = True
    _, std = linear.inpaint(X[:4], hidden[:4], method="code", return_std=True, n_draws=400)
    search = LatentOptimizer(linear.model_, Generator().manual_seed(0))
    for i in range(4):
        _, deviation = posterior(linear, X, hidden, i, search)
        np.testing.assert_allclose(std[i, :8], deviation[:8], rtol=0.2)
        assert not std[i, 8:].any()


@pytest.mark.parametrize("method", METHODS)
def test_fills_are_better_than_the_mean(net, trained, X, hidden, method):
    fill = (trained if method == "pass" else net).inpaint(X, hidden, method=method)
    assert squared(fill, X, hidden) < 0.4 * squared(mean_filled(X, hidden), X, hidden)


def test_the_projection_converges(net, X, hidden):
    fill = net.inpaint(X, hidden, method="projection")
    again = np.where(hidden, net.reconstruct(fill), X)
    assert squared(again, fill, hidden) < 1e-3 * squared(mean_filled(X, hidden), fill, hidden)


def test_a_diverging_projection_ends_finite(net, X, hidden):
    from copy import deepcopy

    wild = deepcopy(net)
    with torch.no_grad():
        for weight in wild.model_.objective.decoder.weights:
            weight.mul_(8)
    fill = wild.inpaint(X, hidden, method="projection")
    assert np.isfinite(fill).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_and_another_differs(net, X, hidden, method):
    def std(seed):
        return net.inpaint(X, hidden, method=method, return_std=True, n_draws=3, random_state=seed)[
            1
        ]

    assert np.array_equal(std(1), std(1))
    assert not np.array_equal(std(1), std(2))


@pytest.mark.parametrize("method", METHODS)
def test_the_std_is_positive_at_hidden_values_only(net, X, hidden, method):
    _, std = net.inpaint(X, hidden, method=method, return_std=True, n_draws=8)
    assert (std[hidden] > 0).all() and not std[~hidden].any()


def test_the_training_decides_the_default_method(net, trained, X):
    masking = DenoisingAutoencoder(3, hidden=(8,), corruption=Masking(0.3), max_epochs=1).fit(X)
    found = [resolved_method(ae.model_, "auto") for ae in (net, trained, masking)]
    assert found == ["code", "pass", "pass"]
    assert np.array_equal(
        trained.impute(np.where(X > 1, np.nan, X)), trained.denoise(np.where(X > 1, np.nan, X))
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["bernoulli", "multinomial", "squared_error"])
def test_every_loss_can_be_inpainted(X, hidden, loss, method):
    positive = np.abs(X) / np.abs(X).max()
    ae = Autoencoder(**NET, loss=loss).fit(positive)
    fill, std = ae.inpaint(positive, hidden, method=method, return_std=True, n_draws=2)
    assert np.isfinite(fill).all() and np.isfinite(std).all()
    assert loss == "squared_error" or (fill >= 0).all()


def test_hidden_counts_follow_the_total_of_the_row(rng):
    """Rows of one profile and very different totals: hidden counts grow with known counts."""
    profile = rng.dirichlet(np.ones(12), size=200)
    counts = np.round(profile * rng.choice([50, 5000], size=(200, 1))).astype(np.float32)
    ae = Autoencoder(2, hidden=(8,), loss="multinomial", max_epochs=5, random_state=0).fit(counts)
    hidden = np.zeros(12, bool)
    hidden[:4] = True
    one = ae.inpaint(counts, hidden, method="code")[:, :4].sum(axis=1)
    total = counts[:, 4:].sum(axis=1)
    assert np.corrcoef(np.log(one + 1), np.log(total + 1))[0, 1] > 0.95


@pytest.mark.parametrize(
    "ae",
    [
        SparseAutoencoder(8, max_epochs=3, random_state=0),
        VariationalAutoencoder(2, hidden=(8,), max_epochs=3, random_state=0),
        VectorQuantizedAutoencoder(4, hidden=(8,), max_epochs=3, random_state=0),
    ],
    ids=lambda ae: type(ae).__name__,
)
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_code_is_optimized(ae, method, X, hidden):
    fill = ae.fit(X).inpaint(X, hidden, method=method)
    assert np.isfinite(fill).all() and np.array_equal(fill[~hidden], X[~hidden])


@pytest.fixture(scope="module")
def images():
    """Color images of 4 x 5 pixels in float32, and a net fitted to them."""
    rng = np.random.default_rng(0)
    source = DenseSource(rng.random((60, 60), dtype=np.float32))
    source.image_shape = (4, 5, 3)
    ae = DenoisingAutoencoder(
        6, hidden=(16,), corruption=Patches(0.3, 0.6), max_epochs=2, random_state=0
    )
    return source, ae.fit(source)


@pytest.mark.parametrize("shape", [(60,), (60, 60), (4, 5), (4, 5, 3), (60, 4, 5), (60, 4, 5, 3)])
def test_masks_are_flat_or_shaped_as_images(images, shape):
    source, ae = images
    whole = np.zeros((60, 4, 5, 3), bool)
    whole[:, 1:3, 2:] = True
    flat = ae.inpaint(source, whole.reshape(60, 60))
    one = whole if shape in ((60, 60), (60, 4, 5), (60, 4, 5, 3)) else whole[0]
    mask = one[..., 0] if shape[-1] == 5 else one.reshape(shape)
    assert np.array_equal(ae.inpaint(source, mask), flat)


def test_a_model_of_patches_keeps_its_image_shape_in_the_file(images, tmp_path):
    from narrows import load

    source, ae = images
    assert ae.model_.parameters["corruption"]["image_shape"] == [4, 5, 3]
    ae.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.model_.objective.corruption == Patches(0.3, 0.6, image_shape=(4, 5, 3))
    mask = np.eye(4, 5, dtype=bool)
    assert np.array_equal(again.inpaint(source, mask), ae.inpaint(source, mask))


def test_sparse_rows_are_refused_with_the_way_out(X):
    ae = Autoencoder(**NET).fit(sp.csr_array(np.abs(X)))
    with pytest.raises(
        UsageError, match="inpaint: X is sparse.* give dense rows, such as X.toarray"
    ):
        ae.inpaint(sp.csr_array(np.abs(X)), np.ones(10, bool))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(9, bool), r"mask: must be \(10,\) or \(120, 10\), got \(9,\)"),
        (np.full(10, 0.5), r"mask: must hold True \(hidden\) and False \(known\)"),
        (np.full(10, "x"), "mask: must hold True"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(net, X, mask, message):
    with pytest.raises(UsageError, match=message):
        net.inpaint(X, mask)


def test_an_unknown_method_is_refused_with_the_nearest(net, X):
    with pytest.raises(UsageError, match="method: unknown name 'projections'.*'projection'"):
        net.impute(X, method="projections")


def test_return_std_with_one_draw_is_refused(net, X):
    with pytest.raises(UsageError, match="n_draws: must be an integer >= 2, got 1"):
        net.impute(X, return_std=True, n_draws=1)


def test_a_known_infinity_is_refused_and_a_hidden_one_is_not_read(net, X):
    bad = X.copy()
    bad[3, 4] = np.inf
    hidden = np.zeros(10, bool)
    with pytest.raises(InvalidData, match="infinity .* row 3, column 4"):
        net.inpaint(bad, hidden)
    hidden[4] = True
    assert np.isfinite(net.inpaint(bad, hidden)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_fill_of_a_row_does_not_depend_on_other_rows(net, X, hidden, method):
    whole = net.inpaint(X, hidden, method=method)
    part = net.inpaint(X[40:60], hidden[40:60], method=method)
    np.testing.assert_allclose(part, whole[40:60], atol=1e-3)


def test_blocks_of_a_long_table_are_paired_with_their_masks(net, X, hidden, monkeypatch):
    from narrows.applications.filling import inpainting

    whole = net.inpaint(X, hidden, method="pass")
    monkeypatch.setattr(inpainting, "BATCH", 50)
    np.testing.assert_allclose(net.inpaint(X, hidden, method="pass"), whole, atol=1e-5)
