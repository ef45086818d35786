"""The health of a code: statistics against numpy, on codes with planted problems."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import (
    Autoencoder,
    DenoisingAutoencoder,
    KLSparsity,
    Missing,
    VariationalAutoencoder,
    load,
)
from narrows.applications.inspection import code_statistics as module
from narrows.applications.inspection.code_statistics import code_statistics, effective_rank
from narrows.applications.inspection.health import advice_on, gap_of
from narrows.core.activations import SLOPES
from narrows.core.slots import Code, GaussianPosterior
from narrows.data import DenseSource
from narrows.errors import InvalidData, UsageError


class Codes(torch.nn.Module):
    """An encoder that returns a function of the first columns of its rows."""

    def __init__(self, n_components, change=lambda h: h, posterior=None, code_slope=None):
        super().__init__()
        self.n_components, self.change, self.posterior = n_components, change, posterior
        self.code_slope = code_slope

    def forward(self, x, *, generator=None):
        h = self.change(x[:, : self.n_components])
        return Code(h, None if self.posterior is None else self.posterior(h))


@pytest.fixture
def fitted(X):
    return Autoencoder(4, hidden=(8,), scale="none", max_epochs=3, random_state=0).fit(X)


def statistics(fitted, X, **encoder):
    """Return the statistics of codes that are a function of X's first four columns."""
    fitted.model_.objective.encoder = Codes(4, **encoder)
    return code_statistics(fitted.model_, DenseSource(X))


def test_the_effective_rank_is_exp_of_the_entropy_of_the_eigenvalues(fitted, X):
    values = np.linalg.eigvalsh(np.cov(X[:, :4].T.astype(np.float64)))
    p = values / values.sum()
    expected = np.exp(-(p * np.log(p)).sum())
    assert statistics(fitted, X).effective_rank == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("values", "rank"), [([3, 3, 3, 0], 3), ([5, 0, 0, 0], 1), ([0, 0], None)])
def test_the_effective_rank_counts_equal_axes(values, rank):
    found = effective_rank(torch.diag(torch.tensor(values, dtype=torch.float64)))
    assert found is None if rank is None else found == pytest.approx(rank)


def test_batches_and_a_large_mean_change_no_statistic(fitted, X, monkeypatch):
    whole = statistics(fitted, X)
    monkeypatch.setattr("narrows.model.coding.BATCH", 7)
    moved = statistics(fitted, X + 1000)
    assert moved.effective_rank == pytest.approx(whole.effective_rank, rel=1e-3)
    assert moved.dead == whole.dead == []


def test_dead_units_hardly_change_compared_with_the_others(fitted, X):
    def change(h):
        return torch.stack((h[:, 0], 0 * h[:, 1] + 123456.7, h[:, 2] * 1e-4, h[:, 3] * 1e-2), dim=1)

    assert statistics(fitted, X, change=change).dead == [1, 2]


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_which_units_are_dead_does_not_depend_on_the_unit_of_the_code(unit, fitted, X):
    def change(h):
        return unit * torch.stack((h[:, 0], h[:, 1], h[:, 2] * 1e-4, h[:, 3] * 1e-2), dim=1)

    assert statistics(fitted, X, change=change).dead == [2]


def test_duplicates_correlate_with_an_earlier_unit(fitted, X):
    def change(h):
        return torch.stack((h[:, 0], h[:, 1], 3 - 2 * h[:, 0], 0 * h[:, 0] + 1), dim=1)

    X = X[:, [0, 2, 1, 3, *range(4, 10)]]
    assert abs(np.corrcoef(X[:, 0], X[:, 1])[0, 1]) < 0.99
    found = statistics(fitted, X, change=change)
    assert found.duplicates == [(2, 0)] and found.dead == [3]


@pytest.mark.parametrize(("name", "change"), [("sigmoid", torch.sigmoid), ("tanh", torch.tanh)])
def test_saturated_units_are_at_an_end_of_their_range(fitted, X, name, change):
    preactivation = torch.tensor([1.0, 1e4, 1e-3, 1.0])
    found = statistics(
        fitted, X, change=lambda h: change(h * preactivation), code_slope=SLOPES[name]
    )
    h = change(torch.from_numpy(X[:, :4]) * preactivation).numpy()
    low, high = (0.01, 0.99) if name == "sigmoid" else (-0.98, 0.98)
    at = (h <= low) | (h >= high)
    assert found.saturated == [1]
    assert found.at_the_ends == pytest.approx(at.mean(), abs=1e-3)


def test_linear_units_are_never_saturated(fitted, X):
    found = statistics(fitted, X)
    assert found.saturated is None and found.at_the_ends is None


def test_l0_is_the_mean_number_of_units_that_are_on(fitted, X):
    assert statistics(fitted, X).l0 is None
    found = statistics(fitted, X, change=torch.relu)
    assert found.l0 == pytest.approx((X[:, :4] > 0).sum(axis=1).mean())


def test_kl_matches_the_formula_for_normals_and_counts_active_dimensions(fitted, X):
    def posterior(h):
        used = torch.tensor([1.0, 1.0, 0.0, 0.0])
        return GaussianPosterior(used * h, torch.log(torch.tensor([0.1, 0.5, 1.0, 1.05])) + 0 * h)

    found = statistics(fitted, X, posterior=posterior)
    mean = np.concatenate((X[:, :2], np.zeros((len(X), 2))), axis=1)
    variance = np.array([0.1, 0.5, 1.0, 1.05])
    expected = 0.5 * (mean**2 + variance - 1 - np.log(variance)).mean(axis=0)
    np.testing.assert_allclose(found.kl, expected, rtol=1e-4, atol=1e-6)
    assert found.in_use == 2


def test_a_code_too_wide_for_a_covariance_has_the_other_statistics(fitted, X, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNITS", 3)
    found = statistics(fitted, X)
    assert found.duplicates is None and found.effective_rank is None and found.dead == []


def test_with_kl_sparsity_units_that_are_off_are_not_saturated(fitted, X):
    def on_once(h):
        """Units 0 and 1 are off, and on, in all rows but one; the others in half of them."""
        first = (torch.arange(len(h)) == 0)[:, None]
        half = (torch.arange(len(h)) % 2 == 0)[:, None]
        on = torch.cat((first, ~first, half, half), dim=1)
        return torch.where(on, 0.999, torch.tensor([0.001, 0.001, 0.5, 0.5]))

    def saturated():
        return statistics(fitted, X, change=on_once, code_slope=SLOPES["sigmoid"]).saturated

    assert saturated() == [0, 1]
    fitted.model_.objective.penalties = [KLSparsity()]
    assert saturated() == [1]


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
@pytest.mark.parametrize("rows", ["one", "two", "constant", "huge"])
def test_few_constant_or_huge_rows_give_no_nan(X, rows):
    ae = Autoencoder(12, hidden=(), max_epochs=2, random_state=0).fit(X)
    X = {"one": X[:1], "two": X[:2], "constant": X[:1].repeat(9, axis=0), "huge": X * 1e18}[rows]
    health = ae.inspect(X)
    text = json.dumps(health.as_dict(), allow_nan=False)
    assert "NaN" not in text and "nan" not in health.table()
    if rows in ("one", "constant"):
        assert health.copying.copies is None and health.code.effective_rank is None
    if rows == "one":
        assert health.code.dead is None


def test_a_constant_table_has_a_dead_code(X):
    constant = np.full((30, 5), 3.0)
    ae = Autoencoder(2, hidden=(), max_epochs=2, validation_fraction=0.1, random_state=0)
    health = ae.fit(constant).inspect(constant)
    assert health.code.dead == [0, 1] and health.copying.copies is None


def test_sparse_rows_give_the_same_statistics_as_dense_rows(rng):
    X = rng.poisson(0.5, size=(80, 12)).astype(np.float32)
    ae = Autoencoder(3, hidden=(8,), max_epochs=3, random_state=0).fit(sp.csr_array(X))
    sparse, dense = ae.inspect(sp.csr_array(X)), ae.inspect(X)
    assert sparse.copying.filled_in == pytest.approx(dense.copying.filled_in, abs=1e-4)
    assert sparse.code.effective_rank == pytest.approx(dense.code.effective_rank, rel=1e-4)


def test_rows_with_missing_values_are_inspected(X, rng):
    ae = DenoisingAutoencoder(
        4, corruption=Missing(0.25), hidden=(), max_epochs=60, learning_rate=0.01, random_state=0
    )
    gaps = X.copy()
    gaps[rng.random(X.shape) < 0.1] = np.nan
    health = ae.fit(gaps).inspect(gaps)
    assert health.copying.copies is False and np.isfinite(health.copying.linear)
    json.dumps(health.as_dict(), allow_nan=False)


def test_values_that_are_not_finite_are_refused_by_row(fitted, X):
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(InvalidData, match="NaN at row 3, column 1"):
        fitted.inspect(bad)


def test_the_gap_is_measured_at_the_epoch_whose_weights_were_kept(fitted):
    epochs = [{"loss": 2.0, "validation": 3.0}, {"loss": 1.0, "validation": 4.0}]
    fitted.model_.record.update(epochs=epochs, best_epoch=1)
    assert gap_of(fitted.model_).ratio == 1.5
    fitted.model_.record.update(best_epoch=None)
    assert gap_of(fitted.model_).ratio == 4
    fitted.model_.record.update(epochs=[])
    assert gap_of(fitted.model_).ratio is None


def test_inspection_repeats_and_survives_the_file(fitted, X, path):
    fitted.save(path)
    first, second = fitted.inspect(X), load(path).inspect(X)
    assert first == second
    assert first.copying != fitted.inspect(X, seed=1).copying


@pytest.mark.parametrize(
    ("filled_in", "rebuilt", "way_out"),
    [(0.4, 0.9, "--corruption masking:0.25"), (0.4, 0.5, "widen the code"), (0.6, 0.9, None)],
)
def test_a_net_worse_than_a_linear_guess_gets_advice(fitted, X, filled_in, rebuilt, way_out):
    health = fitted.inspect(X)
    copying = replace(health.copying, filled_in=filled_in, linear=0.6, rebuilt=rebuilt)
    good = replace(health.evaluation, squared_error=0.0)
    advice = " ".join(advice_on(fitted.model_, health.code, copying, good, 1.0))
    assert ("a linear guess 60%" in advice) == (way_out is not None)
    assert way_out is None or way_out in advice


def test_the_table_marks_an_error_of_corrupted_rows(fitted, X):
    assert not fitted.inspect(X).gap.corrupted
    assert "of corrupted rows" not in fitted.inspect(X).table()
    net = DenoisingAutoencoder(
        2, hidden=(4,), linear_start=False, max_epochs=1, random_state=0
    ).fit(X)
    (line,) = [line for line in net.inspect(X).table().splitlines() if "corrupted" in line]
    assert line.startswith("error in training") and line.endswith(", of corrupted rows")


def test_advice_names_the_problem_and_the_way_out(fitted, X):
    health = fitted.inspect(X)
    code = replace(
        health.code, dead=[0], duplicates=[(2, 1)], saturated=[3], in_use=1, kl=[1.0, 0, 0, 0]
    )
    copying = replace(health.copying, filled_in=0.1, linear=0.8, rebuilt=1.0)
    evaluation = replace(
        health.evaluation, squared_error=5.0, baseline_squared_error=1.0, variance=10.0
    )
    advice = advice_on(fitted.model_, code, copying, evaluation, 2.0)
    for sentence, part in zip(
        advice,
        (
            "copies: of hidden features it fills in 10% of the variance, a linear guess 80%",
            "PCA of the same width reconstructs these rows better (1 against 5): train for more",
            "1 of 4 units never change on these rows: narrow the code",
            "3 of 4 dimensions follow the prior",
            "1 of 4 units are at an end of their range",
            "1 of 4 units repeat an earlier one",
            "held-out rows is 2 times that in training",
        ),
        strict=True,
    ):
        assert part in sentence and sentence.endswith(".")
    healthy = replace(code, dead=[], duplicates=[], saturated=[], in_use=4)
    copying = replace(copying, filled_in=0.8)
    evaluation = replace(evaluation, squared_error=1.0)
    assert advice_on(fitted.model_, healthy, copying, evaluation, 1.0) == []


@pytest.mark.parametrize("seed", [None, "a", -1, 2**70, 1.5])
def test_an_invalid_seed_is_refused(seed, x):
    ae = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(x)
    with pytest.raises(UsageError, match="seed: must be an integer >= 0"):
        ae.inspect(x, seed=seed)


def test_the_gap_of_a_random_code_compares_whole_objectives(digits):
    """The held-out objective includes the KL, so the training objective must too."""
    ae = VariationalAutoencoder(
        4, beta=1.0, hidden=(32,), loss="bernoulli", max_epochs=10, random_state=0
    ).fit(digits / 16)
    record = ae.model_.record
    kept = record["epochs"][record["best_epoch"] - 1]
    assert kept["penalty"] > 0.5
    assert gap_of(ae.model_).training == kept["objective"] > kept["loss"]
    assert gap_of(ae.model_).ratio == pytest.approx(1, abs=0.1)
