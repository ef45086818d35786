"""Nets start at the linear code of their rows: PCA, as far as their pieces allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA

from narrows import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from narrows.core.linear_path import LinearCode, LinearPath
from narrows.core.slots import Forward
from narrows.core.sparse import SparseRows
from narrows.encoders import DenseEncoder, QuantizedEncoder
from narrows.losses import SquaredError
from narrows.penalties import PENALTIES

WIDTH = 5


@pytest.fixture(scope="module")
def table():
    x = load_breast_cancer().data
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.fixture(scope="module")
def images():
    return load_digits().data / 16


def start(estimator, x):
    """Return the estimator fitted at a rate at which no weight moves: its start."""
    settings = {"learning_rate": 1e-30, "max_epochs": 1, "validation_fraction": 0.0}
    return estimator.set_params(scale="none", random_state=0, **settings).fit(x)


def squared_error(x, rebuilt):
    return float(np.square(x - rebuilt).sum(axis=1).mean())


def pca_error(x, width=WIDTH):
    pca = PCA(width).fit(x)
    return squared_error(x, pca.inverse_transform(pca.transform(x)))


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(WIDTH),
        Autoencoder(WIDTH, hidden=()),
        Autoencoder(WIDTH, tied=True),
        Autoencoder(WIDTH, tied=True, hidden=()),
        Autoencoder(WIDTH, code_activation="tanh"),
        Autoencoder(WIDTH, code_activation="sigmoid"),
        Autoencoder(WIDTH, code_activation="relu"),
        ContractiveAutoencoder(WIDTH),
        DenoisingAutoencoder(WIDTH),
        SparseAutoencoder(WIDTH, sparsity="kl"),
        StackedAutoencoder(WIDTH, pretrain_epochs=1),
        VariationalAutoencoder(WIDTH, loss="squared_error"),
        VariationalAutoencoder(WIDTH, beta=1e-3),
    ],
    ids=repr,
)
def test_a_net_starts_at_pca(estimator, table):
    net = start(estimator, table)
    assert squared_error(table, net.reconstruct(table)) == pytest.approx(pca_error(table), rel=0.02)


def test_a_net_of_images_starts_at_pca_within_bounds(images):
    pca = PCA(WIDTH).fit(images)
    expected = pca.inverse_transform(pca.transform(images)).clip(0, 1)
    rebuilt = start(Autoencoder(WIDTH), images).reconstruct(images)
    np.testing.assert_allclose(rebuilt, expected, atol=2e-4)


def test_a_convolutional_net_starts_at_pca(images):
    net = ConvolutionalAutoencoder(WIDTH, image_shape=(8, 8), channels=(4, 8))
    rebuilt = start(net, images[:400]).reconstruct(images[:400])
    assert squared_error(images[:400], rebuilt) <= pca_error(images[:400])


def test_distances_of_codes_are_those_along_the_principal_axes(table):
    codes, scores = (
        start(Autoencoder(WIDTH), table).transform(table),
        PCA(WIDTH).fit_transform(table),
    )
    a, b = (np.linalg.norm(c[:50, None] - c[None, :50], axis=2) for c in (codes, scores))
    np.testing.assert_allclose(a / a.max(), b / b.max(), atol=1e-3)


def test_a_bernoulli_net_starts_at_logistic_pca(images):
    x = (images > 0.5).astype(float)
    net = start(Autoencoder(WIDTH, loss="bernoulli"), x)
    assert squared_error(x, net.reconstruct(x)) < 1.05 * pca_error(x)


def test_missing_values_do_not_prevent_the_start(table, rng):
    x = np.where(rng.random(table.shape) < 0.1, np.nan, table)
    net = start(Autoencoder(WIDTH, corruption="missing:0.1"), x)
    assert squared_error(table, net.reconstruct(table)) < 1.2 * pca_error(table)


@pytest.mark.parametrize("k", [1, 4, 8])
def test_the_largest_k_of_signed_components_are_no_worse_than_the_first_k(k, table):
    net = SparseAutoencoder(128, sparsity="top_k", k=k)
    new, rows = table[:200], table[200:]
    pca = PCA(k).fit(rows)
    expected = squared_error(new, pca.inverse_transform(pca.transform(new)))
    fitted = start(net, rows)
    assert squared_error(new, fitted.reconstruct(new)) <= expected
    assert ((fitted.transform(new) > 0).sum(axis=1) <= k).all()


def test_a_wide_rectified_code_starts_half_at_zero(table):
    net = start(SparseAutoencoder(80), table)
    codes = net.transform(table)
    assert squared_error(table, net.reconstruct(table)) < 1e-3 * squared_error(table, 0)
    assert 0.3 < (codes == 0).mean() < 0.7


def test_every_unit_of_a_wide_sparse_code_can_learn(table):
    encoder = start(SparseAutoencoder(80, sparsity="top_k"), table).model_.objective.encoder
    assert (encoder.weights[0].square().sum(dim=0) > 0).all()


def test_a_sparse_code_of_sparse_rows_starts_too(rng):
    import scipy.sparse as sp

    x = sp.random_array((60, 30), density=0.2, rng=rng, format="csr")
    net = start(SparseAutoencoder(70, sparsity="top_k", k=20), x)
    assert net.transform(x).shape == (60, 70)


def test_the_contraction_is_a_tenth_of_the_error(table):
    ae = start(ContractiveAutoencoder(WIDTH), table)
    net, x = ae.model_.objective, torch.from_numpy(table).float()
    with torch.no_grad():
        terms = net(x, generator=torch.Generator().manual_seed(0))
    assert float(terms.penalty) == pytest.approx(float(terms.loss) / 10, rel=0.02)


def test_a_variational_start_has_the_likelihood_of_probabilistic_pca(table):
    ae = start(VariationalAutoencoder(WIDTH), table)
    net, beta = ae.model_.objective, ae.model_.parameters["beta"]
    bound = ae.log_likelihood(table[:40], n_samples=3000, random_state=0)
    matrix = net.decoder.path.matrix.detach().double().numpy()
    mean = net.output(torch.zeros(1, WIDTH)).detach().double().numpy()[0]
    covariance = matrix.T @ matrix + beta / 2 * np.eye(table.shape[1])
    exact = multivariate_normal(mean, covariance).logpdf(table[:40])
    assert np.abs(bound - exact).mean() < 0.5


def test_beta_is_a_quarter_of_what_pca_leaves_over(table):
    ae = start(VariationalAutoencoder(WIDTH), table)
    left_over = pca_error(table) / (table.shape[1] - WIDTH)
    assert ae.model_.parameters["beta"] == pytest.approx(2 * left_over / 4, rel=1e-3)


def test_without_a_linear_start_there_is_no_path(table):
    net = start(Autoencoder(WIDTH, linear_start=False), table).model_
    assert "linear_path" not in net.parameters
    assert not [name for name, _ in net.objective.named_parameters() if "path" in name]


def test_rows_that_are_all_alike_have_no_linear_code():
    ae = Autoencoder(2, hidden=(4,), max_epochs=1, validation_fraction=0.0, random_state=0)
    assert np.isfinite(ae.fit(np.ones((20, 4))).transform(np.ones((2, 4)))).all()


def test_a_code_wider_than_the_rows_dimensions_starts_too(rng):
    x = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6))
    net = start(Autoencoder(4), x)
    assert squared_error(x, net.reconstruct(x)) < 1e-4 * x.var(axis=0).sum()


def test_more_training_leaves_the_start_where_that_helps(images):
    fitted = Autoencoder(WIDTH, random_state=0).fit(images[:300])
    new = images[300:]
    assert fitted.model_.record["best_epoch"] > 0
    pca = PCA(WIDTH).fit(images[:300])
    by_pca = squared_error(new, pca.inverse_transform(pca.transform(new)))
    assert squared_error(new, fitted.reconstruct(new)) < 0.8 * by_pca


def test_rows_that_are_linear_keep_the_start(rng):
    x = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(size=(150, 12))
    fitted = Autoencoder(3, random_state=0).fit(x)
    assert fitted.model_.record["best_epoch"] == 0
    pca, scale = PCA(3).fit(x), x.std(axis=0)
    pca = PCA(3).fit((x - x.mean(axis=0)) / scale)
    scaled = (x - x.mean(axis=0)) / scale
    expected = pca.inverse_transform(pca.transform(scaled)) * scale + x.mean(axis=0)
    np.testing.assert_allclose(fitted.reconstruct(x), expected, atol=2e-3)


def test_a_path_reads_sparse_and_dense_rows_alike(rng):
    x = rng.random((6, 5)) * (rng.random((6, 5)) < 0.5)
    path = LinearPath(5, 3)
    torch.nn.init.normal_(path.matrix, generator=torch.Generator().manual_seed(0))
    dense, z = torch.from_numpy(x).float(), torch.ones(6, 3)
    import scipy.sparse as sp

    csr = sp.csr_array(x.astype(np.float32))
    parts = (csr.indptr, csr.indices, csr.data)
    sparse = SparseRows(*(torch.from_numpy(np.asarray(part)) for part in parts), 5)
    torch.testing.assert_close(path(z, sparse), path(z, dense))


@pytest.mark.parametrize(
    ("hidden", "method"), [((), "closed"), ((), "exact"), ((7,), "exact"), ((7, 6), "exact")]
)
def test_the_jacobian_includes_the_path(hidden, method):
    generator = torch.Generator().manual_seed(0)
    encoder = DenseEncoder(
        [4, *hidden, 3], activation="tanh", code_activation="sigmoid", linear_path=True,
        generator=generator,
    )  # fmt: skip
    for parameter in encoder.path.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.randn(5, 4, generator=generator)
    code = encoder(x)
    step = Forward(x, x, code, x, encoder, torch.nn.Identity(), None, generator)  # pyright: ignore
    found = PENALTIES["contractive"](weight=1.0, method=method)(step)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda row: encoder(row[None]).h[0]))(x)
    torch.testing.assert_close(found, jacobians.square().sum(dim=(1, 2)).mean())


def test_entries_start_at_centers_of_the_codes(rng):
    x = torch.from_numpy(rng.normal(size=(500, 6))).float()
    components = torch.linalg.svd(x, full_matrices=False).Vh[:2]
    deviations = (x @ components.t()).std(dim=0)
    encoder = QuantizedEncoder(
        [6, 2], n_groups=2, n_entries=16, activation="silu",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    code = LinearCode(components, x.mean(dim=0), deviations, 0.1, x)
    assert encoder.start_linear(code)
    with torch.no_grad():
        z = encoder(x).preactivation
        assert float((encoder(x).h - z).square().sum() / z.square().sum()) < 0.02


def test_entries_reach_beyond_the_codes_of_few_rows(rng):
    x = torch.from_numpy(rng.normal(size=(10, 3))).float()
    encoder = QuantizedEncoder(
        [3, 1], n_groups=1, n_entries=64, activation="silu",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    axis = torch.tensor([[1.0, 0.0, 0.0]])
    assert encoder.start_linear(LinearCode(axis, torch.zeros(3), torch.ones(1), 0.1, x))
    low, high = float(x[:, 0].min()), float(x[:, 0].max())
    for beyond in (low - 0.2 * (high - low), high + 0.2 * (high - low)):
        nearest = encoder.project(torch.tensor([[beyond]])).detach()
        assert abs(float(nearest) - beyond) < (high - low) / 32


def test_the_clamp_keeps_the_gradient_of_outputs_on_the_wrong_side():
    output = torch.tensor([[-0.5, 1.5, 0.25]], requires_grad=True)
    x = torch.tensor([[0.0, 0.5, 0.5]])
    SquaredError(link="clamp").per_sample(output, x).sum().backward()
    torch.testing.assert_close(output.grad, torch.tensor([[0.0, 1.0, -0.5]]))
