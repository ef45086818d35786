"""The linear autoencoder finds PCA's subspace, and its certificate measures that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from narrows import LinearAutoencoder, load
from narrows.errors import UsageError


@pytest.fixture(scope="module")
def digits_net(digits) -> LinearAutoencoder:
    return LinearAutoencoder(10, random_state=0).fit(digits)


class TestLinear:
    """The certificate: the loop trains the net to PCA's subspace."""

    def test_the_error_is_within_a_thousandth_of_pcas(self, digits_net, digits):
        evaluation = digits_net.evaluate(digits)
        assert evaluation.squared_error <= 1.001 * evaluation.baseline_squared_error
        assert evaluation.squared_error >= 0.9999 * evaluation.baseline_squared_error

    def test_the_angles_are_below_a_degree(self, digits_net):
        assert digits_net.pca_angles_.shape == (10,)
        assert digits_net.pca_angles_.max() < 1

    def test_the_components_equal_pcas(self, digits_net, digits):
        pca = PCA(10).fit(digits)
        cosines = np.abs(np.sum(digits_net.components_ * pca.components_, axis=1))
        assert (cosines > 0.999).all()
        np.testing.assert_allclose(
            digits_net.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=0.01
        )

    def test_the_code_is_uncorrelated_and_centered_with_those_variances(self, digits_net, digits):
        Z = digits_net.transform(digits)
        covariance = np.cov(Z.T)
        np.testing.assert_allclose(np.diag(covariance), digits_net.explained_variance_, rtol=1e-3)
        off = covariance - np.diag(np.diag(covariance))
        assert np.abs(off).max() < 1e-3 * covariance.max()
        assert np.abs(Z.mean(axis=0)).max() < 1e-2

    def test_the_components_are_orthonormal(self, digits_net):
        gram = digits_net.components_ @ digits_net.components_.T
        np.testing.assert_allclose(gram, np.eye(10), atol=1e-5)

    def test_rotation_does_not_change_the_reconstruction(self, X, monkeypatch):
        from narrows.applications.coding.certificate import rotate_to_principal_axes
        from narrows.data import DenseSource

        ae = LinearAutoencoder(3, max_epochs=3, random_state=0)
        unrotated = replace(ae._choice(), after_training=None)
        monkeypatch.setattr(ae, "_choice", lambda: unrotated)
        before = ae.fit(X).reconstruct(X)
        rotate_to_principal_axes(ae.model_, DenseSource(X))
        np.testing.assert_allclose(ae.reconstruct(X), before, rtol=1e-3, atol=1e-4)

    def test_the_angles_reveal_an_undertrained_subspace(self, digits):
        hasty = LinearAutoencoder(10, max_epochs=1, random_state=0).fit(digits)
        assert hasty.pca_angles_.max() > 5

    def test_the_certificate_survives_a_model_file(self, digits_net, tmp_path):
        digits_net.save(tmp_path / "m.safetensors")
        other = load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(other.components_, digits_net.components_)
        np.testing.assert_allclose(other.pca_angles_, digits_net.pca_angles_)

    def test_logistic_pca_beats_pca_on_bits(self, digits):
        bits = (digits > 8).astype(np.float32)
        net = LinearAutoencoder(
            10, loss="bernoulli", scale="none", max_epochs=30, random_state=0
        ).fit(bits)
        evaluation = net.evaluate(bits)
        assert evaluation.squared_error < 0.9 * evaluation.baseline_squared_error
        assert not hasattr(net, "pca_angles_")

    def test_loss_auto_is_refused(self, X):
        with pytest.raises(
            UsageError, match="loss: must be named for LinearAutoencoder, got 'auto'"
        ):
            LinearAutoencoder(2, loss="auto").fit(X)
