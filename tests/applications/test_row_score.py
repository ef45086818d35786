"""Scores beside stored training rows: distances to the nearest, and tails of single columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows.applications.anomalies.row_score import RowScore, fit_row_score
from narrows.data.array_sources import DenseSource


def source_of(rows: np.ndarray) -> DenseSource:
    return DenseSource(torch.from_numpy(rows))


def rows_of(n: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4)) * [1, 10, 0.1, 3] + [0, 50, 0, -9]


def halves(n: int) -> list[torch.Tensor]:
    first = torch.arange(n) < n // 2
    return [first, ~first]


@pytest.fixture
def score() -> RowScore:
    return fit_row_score(source_of(rows_of(40, seed=0)), halves(40))


def test_the_parts_are_those_of_a_plain_loop(score):
    base, x = rows_of(40, seed=0)[:20], rows_of(6, seed=1)
    iqr = np.subtract(*np.percentile(base, [75, 25], axis=0))
    expected = []
    for row in x:
        nearest = [np.sort((np.abs(row - base) / unit).sum(axis=1))[:5].mean() for unit in (iqr, 1)]
        tails = 0.0
        for j, value in enumerate(row):
            below, above = (1 + (base[:, j] <= value).sum()), (1 + (base[:, j] >= value).sum())
            tails -= np.log(min(1, 2 * min(below, above) / 21))
        expected.append([*nearest, tails])
    found = score.parts(0, source_of(x))
    found[:, 1] *= float(score.scale.max())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_part_depends_on_the_rows_a_member_was_not_trained_on():
    rows, x = rows_of(40, seed=0), source_of(rows_of(6, seed=1))
    other = rows.copy()
    other[20:] = 100 * rows_of(20, seed=2)
    found, changed = (fit_row_score(source_of(r), halves(40)).parts(0, x) for r in (rows, other))
    changed[:, 1] *= (found[:, 1] / changed[:, 1]).mean()  # its unit is free: weights remove it
    np.testing.assert_allclose(changed, found, rtol=1e-3)


def test_copies_of_training_rows_are_at_distance_0():
    rows = np.repeat(rows_of(8, seed=0) / 3, 5, axis=0)
    found = fit_row_score(source_of(rows), [torch.ones(40, dtype=torch.bool)])
    assert (found.parts(0, source_of(rows[:4]))[:, :2] == 0).all()


def test_weights_bring_the_parts_to_the_scale_of_the_nets(score):
    rng = np.random.default_rng(0)
    nets, parts = rng.exponential(size=2000), rng.exponential(size=(2000, 3)) * [1, 50, 0.01]
    weights = score.weighted(nets, parts, row_weight=8).weights.numpy()
    spread = np.subtract(*np.percentile(parts * weights, [90, 50], axis=0))
    np.testing.assert_allclose(spread / np.subtract(*np.percentile(nets, [90, 50])), [8, 4, 2])


def test_the_terms_of_features_add_up_to_the_score(score):
    score = score.weighted(np.arange(9.0), np.random.default_rng(0).random((9, 3)), row_weight=2)
    x = rows_of(7, seed=3)
    x[0, 1] = np.nan
    terms = score.terms(1, source_of(x))
    np.testing.assert_allclose(terms.sum(axis=1), score.of(1, source_of(x)))
    assert terms[0, 1] == 0 and (terms[0, [0, 2, 3]] > 0).any()


def test_a_missing_value_counts_as_much_as_the_others_of_its_row_on_average():
    rows = np.repeat(rows_of(40, seed=0)[:, :1], 4, axis=1)  # all columns are alike
    found = fit_row_score(source_of(rows), halves(40))
    x = rows_of(5, seed=1)[:, :1].repeat(4, axis=1) + 4
    holed = x.copy()
    holed[:, 2] = np.nan
    whole, part = (found.parts(0, source_of(r)) for r in (x, holed))
    np.testing.assert_allclose(part[:, 2], whole[:, 2])
    np.testing.assert_allclose(part[:, :2], whole[:, :2], rtol=0.1)


def test_wide_rows_are_stored_in_part():
    rows = np.random.default_rng(0).normal(size=(200, 6000))
    assert fit_row_score(source_of(rows), halves(200)).rows.shape == (50, 6000)


def test_every_member_keeps_a_row():
    rows = np.random.default_rng(0).normal(size=(200, 6000))
    one = torch.arange(200) == 7  # not among 50 evenly spaced rows
    found = fit_row_score(source_of(rows), [one, ~one])
    assert found.used.sum(dim=1).tolist() == [1, 199]


def test_constant_and_missing_columns_are_scored():
    rows = rows_of(40, seed=0)
    rows[:, 0], rows[:, 1] = 5, np.nan
    x = rows_of(1, seed=1).repeat(3, axis=0)
    x[:, 0] = [5, 6, 1e38]
    found = fit_row_score(source_of(rows), halves(40)).parts(0, source_of(x))
    assert np.isfinite(found).all() and (np.diff(found[:, 0]) > 0).all()
