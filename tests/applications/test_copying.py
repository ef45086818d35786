"""The copying test reports nets that copy their input, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows import Autoencoder, DenoisingAutoencoder, LinearAutoencoder, Missing
from narrows.applications.inspection import copying as module
from narrows.applications.inspection.copying import Copying, measure_copying
from narrows.core.slots import Code
from narrows.data import DenseSource


def structured(seed: int, n_features: int) -> np.ndarray:
    """400 rows of n_features that a quarter as many hidden numbers make, and noise."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features // 4, n_features))
    mixed = rng.normal(size=(400, len(mixing))) @ mixing / len(mixing) ** 0.5
    return mixed + 0.4 * rng.normal(size=mixed.shape)


SHORT = {"random_state": 0, "max_epochs": 40, "batch_size": 16, "learning_rate": 5e-3}


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@pytest.mark.parametrize("n_features", [12, 40])
@pytest.mark.parametrize(
    ("hidden", "code_activation"), [((), "linear"), ((), "relu"), ((128,), "linear")]
)
def test_an_overcomplete_net_is_reported_as_copying(n_features, hidden, code_activation):
    X = structured(1, n_features)
    ae = Autoencoder(4 * n_features, hidden=hidden, code_activation=code_activation, **SHORT)
    health = ae.fit(X[:300]).inspect(X[300:])
    assert health.copying.copies is True
    assert health.advice[0].startswith("The net copies")


@pytest.mark.parametrize("n_features", [12, 40])
@pytest.mark.parametrize("corruption", ["masking:0.25", "masking:0.5", "gaussian:0.5"])
def test_a_denoising_net_of_the_same_width_is_not_reported(n_features, corruption):
    X = structured(2, n_features)
    ae = DenoisingAutoencoder(
        4 * n_features, corruption=corruption, hidden=(), code_activation="relu", **SHORT
    ).fit(X[:300])
    assert ae.inspect(X[300:]).copying.copies is False


@pytest.mark.parametrize("seed", [3, 4])
def test_narrow_nets_and_pca_are_not_reported(seed):
    X = structured(seed, 20)
    for ae in (
        LinearAutoencoder(2, random_state=0),
        LinearAutoencoder(5, random_state=0),
        Autoencoder(5, hidden=(64,), **SHORT),
    ):
        assert ae.fit(X[:300]).inspect(X[300:]).copying.copies is False


@pytest.fixture
def model():
    X = structured(5, 9)
    return LinearAutoencoder(8, scale="none", max_epochs=2, random_state=0).fit(X).model_


class Answer(torch.nn.Module):
    """An encoder and decoder in one: the code is a function of the row."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.weights = torch.nn.ParameterList([torch.zeros(1)])  # says the device

    def forward(self, x, *, generator=None):
        return Code(self.answer(x))


def measured(model, answer, X) -> Copying:
    model.objective.encoder = Answer(answer)
    model.objective.decoder = torch.nn.Identity()
    return measure_copying(model, DenseSource(X), generator=torch.Generator().manual_seed(0))


def test_the_identity_fills_in_nothing_and_passes_corruption_on(model):
    X = structured(6, 9).astype(np.float32)
    X -= X.mean(axis=0)
    found = measured(model, lambda x: x, X)
    assert found.filled_in == pytest.approx(0, abs=1e-4)
    assert found.rebuilt == pytest.approx(1) and found.passed_on == pytest.approx(1)
    assert found.copies is True


def test_a_net_that_knows_the_truth_fills_in_everything(model):
    X = torch.from_numpy(structured(7, 9)).float()
    found = measured(model, lambda x: X, X)
    assert found.filled_in == found.rebuilt == 1 and found.passed_on == 0
    assert found.copies is False


def test_missing_values_do_not_count(model):
    X = torch.from_numpy(structured(12, 9)).float()
    gaps = torch.where(torch.rand(X.shape, generator=torch.Generator().manual_seed(1)) < 0.2,
                       torch.nan, X)  # fmt: skip
    model.objective.corruption = Missing()
    assert measured(model, lambda x: X, gaps).filled_in == 1


def test_a_net_that_predicts_the_mean_fills_in_nothing_and_gets_no_verdict(model):
    X = torch.from_numpy(structured(8, 9)).float()
    found = measured(model, lambda x: X.mean(dim=0).expand_as(x), X)
    assert found.filled_in == pytest.approx(0, abs=1e-5) and found.copies is None


def test_independent_features_give_no_verdict(model):
    X = np.random.default_rng(0).normal(size=(2000, 9)).astype(np.float32)
    found = measured(model, lambda x: x, X)
    assert found.linear == pytest.approx(0, abs=0.02) and found.copies is None


def test_the_linear_guess_is_a_ridge_regression_on_other_rows(model):
    """Compare with scikit-learn's, part by part."""
    from sklearn.linear_model import Ridge

    X = torch.from_numpy(structured(9, 9)).float()
    part = torch.randperm(9, generator=torch.Generator().manual_seed(0)) % 4
    error = total = 0.0
    centered = (X - X.mean(dim=0)).numpy().astype(np.float64)
    for i in range(4):
        hidden = (part == i).numpy()
        given, wanted = centered[::2][:, ~hidden], centered[::2][:, hidden]
        alpha = np.square(given).mean() * np.sqrt(given.size)
        ridge = Ridge(alpha, fit_intercept=False).fit(given, wanted)
        error += np.square(
            ridge.predict(centered[1::2][:, ~hidden]) - centered[1::2][:, hidden]
        ).sum()
        total += np.square(centered[1::2][:, hidden]).sum()
    assert measured(model, lambda x: x, X).linear == pytest.approx(1 - error / total, abs=1e-4)


def test_the_guess_is_the_same_with_more_features_than_rows():
    """Ridge regression by rows and by features gives the same result."""
    x = torch.randn(30, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hidden = torch.arange(40) % 4 == 0
    few = module._linear_guess(x, torch.ones(30, 10), hidden)  # 15 rows, 30 features
    given, wanted = x[::2][:, ~hidden], x[::2][:, hidden]
    strength = given.square().mean() * (15 * 30) ** 0.5
    gram = given.t() @ given + strength * torch.eye(30)
    weights = torch.linalg.solve(gram, given.t() @ wanted)
    error = (x[1::2][:, ~hidden] @ weights - x[1::2][:, hidden]).square().sum()
    torch.testing.assert_close(few[0], error)


def test_hidden_values_are_set_within_the_range_of_the_feature(model):
    X = structured(10, 9).astype(np.float32) + 1000
    seen = []
    measured(model, lambda x: seen.append(x) or x, X)
    assert min(float(x.min()) for x in seen[:-1]) == pytest.approx(float(X.min()))


def test_the_number_of_rows_is_bounded(model, monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 9 * 50)
    assert measured(model, lambda x: x, structured(11, 9).astype(np.float32)).n_rows == 50


def test_a_single_feature_gives_no_verdict(model):
    found = measured(model, lambda x: x, np.arange(20, dtype=np.float32)[:, None])
    assert found.copies is None and found.filled_in is None
