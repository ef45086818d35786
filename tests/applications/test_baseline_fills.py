"""Fills without a net against loops and closed forms, and masks drawn by rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows.applications.filling.baseline_fills import (
    fit_subspace,
    gaussian_fill,
    mean_fill,
    nearest_fill,
)
from narrows.applications.filling.hidden import drawn_mask, read_mask
from narrows.errors import UsageError


@pytest.fixture
def table(X):
    x = torch.from_numpy(X)
    hidden = torch.from_numpy(np.random.default_rng(3).random(X.shape) < 0.4)
    hidden[0], hidden[1] = True, False
    return x, hidden


def test_mean_fill_sets_hidden_values_to_the_mean(table):
    x, hidden = table
    filled = mean_fill(x, hidden, x.mean(dim=0))
    assert torch.equal(filled[0], x.mean(dim=0)) and torch.equal(filled[1], x[1])


def test_the_nearest_row_matches_a_loop(table):
    x, hidden = table
    filled = nearest_fill(x[:20], hidden[:20], x[20:])
    for i in range(1, 20):
        known = ~hidden[i]
        distance = (x[20:, known] - x[i, known]).square().sum(dim=1)
        assert torch.equal(filled[i, hidden[i]], x[20:][distance.argmin(), hidden[i]])


def test_least_squares_match_numpy(table):
    x, hidden = table
    subspace = fit_subspace(x, 3)
    filled = subspace.least_squares(x, hidden).numpy()
    v, mean = subspace.components.numpy(), subspace.mean.numpy()
    np.testing.assert_allclose(filled[0], mean, atol=1e-5)
    for i in range(1, 60):
        known = ~hidden[i].numpy()
        h = np.linalg.lstsq(v[:, known].T, (x[i].numpy() - mean)[known], rcond=1e-6)[0]
        np.testing.assert_allclose(filled[i][~known], (h @ v + mean)[~known], atol=1e-3)


def conditional(mean, covariance, x, known):
    weights = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, ~known)])
    return mean[~known] + (x[known] - mean[known]) @ weights


def test_the_conditional_mean_matches_the_normal_of_probabilistic_pca(table):
    x, hidden = table
    subspace = fit_subspace(x, 3)
    filled = subspace.conditional_mean(x, hidden).numpy()
    v = subspace.components.double().numpy()
    signal = np.diag(subspace.variances.double().numpy() - subspace.noise)
    covariance = v.T @ signal @ v + subspace.noise * np.eye(10)
    left = np.linalg.eigvalsh(np.cov(x.numpy().T))[:7].mean()
    assert subspace.noise == pytest.approx(left, rel=1e-3)
    for i in range(60):
        known = ~hidden[i].numpy()
        if not known.all():
            exact = conditional(subspace.mean.numpy(), covariance, x[i].numpy(), known)
            np.testing.assert_allclose(filled[i][~known], exact, atol=1e-4)


def test_gaussian_fill_matches_the_conditional_mean_of_a_normal(table):
    x, hidden = table
    filled = gaussian_fill(x, hidden, x, ridge=0.01).numpy()
    covariance = np.cov(x.double().numpy().T) + 0.01 * np.eye(10)
    for i in range(1, 60):
        known = ~hidden[i].numpy()
        if not known.all():
            exact = conditional(x.double().mean(dim=0).numpy(), covariance, x[i].numpy(), known)
            np.testing.assert_allclose(filled[i][~known], exact, atol=1e-4)


@pytest.mark.parametrize("fill", ["least_squares", "conditional_mean"])
def test_known_values_do_not_change(table, fill):
    x, hidden = table
    filled = getattr(fit_subspace(x, 3), fill)(x, hidden)
    assert torch.equal(filled[~hidden], x[~hidden])


def test_each_quadrant_is_hidden_in_a_quarter_of_the_rows():
    hidden = drawn_mask("quadrant", 40, 16, (4, 4), seed=0).reshape(40, 4, 4)
    corners = hidden[:, [0, 0, 3, 3], [0, 3, 0, 3]]
    assert (corners.sum(axis=0) == 10).all() and (corners.sum(axis=1) == 1).all()
    assert (hidden.sum(axis=(1, 2)) == 4).all()
    other = drawn_mask("quadrant", 40, 16, (4, 4), seed=1).reshape(40, 4, 4)
    assert not np.array_equal(hidden, other)


def test_squares_are_hidden_at_random_places():
    hidden = drawn_mask("square:3", 200, 8 * 6 * 3, (8, 6, 3), seed=0).reshape(200, 8, 6, 3)
    assert (hidden.sum(axis=(1, 2, 3)) == 27).all() and hidden.any(axis=0).all()
    assert (hidden[..., 0].any(axis=2).sum(axis=1) == 3).all()


def test_missing_pixels_are_missing_in_all_channels():
    hidden = drawn_mask("missing:0.3", 100, 300, (10, 10, 3), seed=0).reshape(100, 100, 3)
    assert np.array_equal(hidden[..., 0], hidden[..., 1])
    assert hidden.mean() == pytest.approx(0.3, abs=0.02)


def test_a_file_of_booleans_is_read_as_a_mask(tmp_path):
    mask = np.eye(4, 5, dtype=bool)
    np.save(tmp_path / "m.npy", mask)
    found = read_mask(str(tmp_path / "m.npy"), 7, 20, (4, 5), seed=0)
    assert np.array_equal(found, mask.reshape(1, 20))


@pytest.mark.parametrize(
    ("rule", "shape", "message"),
    [
        ("half", (4, 4), "mask: 'half' is unknown; give 'quadrant', 'square:SIDE'"),
        ("quadrant", None, "mask: 'quadrant' needs images; give their shape"),
        ("square:5", (4, 4), "mask: square: must be an integer >= 1 and <= 4, got 5"),
        ("square:2.5", (4, 4), "mask: square: must be an integer >= 1 and <= 4, got 2.5"),
        ("square:nan", (4, 4), "mask: square: must be an integer"),
        ("square:2", (2, 4), r"image shape \(2, 4\): does not hold 16 features"),
        ("missing:0.5", (5, 5), r"image shape \(5, 5\): does not hold 16 features"),
        ("square:2", (2, 2, 2, 2), "mask: 'square:2' needs images; give their shape"),
        ("square:x", (4, 4), "mask: 'square:x': 'x' is not a number"),
        ("missing:2", (4, 4), "mask: missing: must be a number >= 0 and <= 1, got 2"),
        ("none.npy", (4, 4), "mask: none.npy: no such file"),
    ],
)
def test_an_invalid_rule_is_refused(rule, shape, message):
    with pytest.raises(UsageError, match=message):
        read_mask(rule, 3, 16, shape, seed=0)


@pytest.mark.parametrize("noise", [0.0, 1e-9, 0.01])
def test_with_all_components_the_conditional_mean_equals_the_full_gaussians(noise):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 4)) + noise * rng.normal(size=(400, 4))
    rows = torch.from_numpy(rows.astype(np.float32))
    hidden = torch.zeros(400, 4, dtype=torch.bool)
    hidden[::2, 1] = hidden[1::2, 3] = True
    filled = fit_subspace(rows, 4).conditional_mean(rows, hidden)
    torch.testing.assert_close(filled, gaussian_fill(rows, hidden, rows), atol=0.02, rtol=0)
    far = (mean_fill(rows, hidden, rows.mean(dim=0)) - rows)[hidden].square().mean()
    assert (filled - rows)[hidden].square().mean() < 0.2 * far
