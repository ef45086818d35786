"""Drawing, ranking and calibrating pairs, and the closed-form metric, against oracles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from sklearn.metrics import roc_auc_score
from source_rows import split

from narrows.core.slots import Labeled
from narrows.data import DenseSource
from narrows.data.pairs import PairedSource
from narrows.errors import InvalidData
from narrows.fitting.pair_calibration import (
    area_under_curve,
    calibration_error,
    drawn_pairs,
    fit_pair_model,
    reliability_table,
    split_by_class,
    split_by_row,
)
from narrows.fitting.pair_metric import metric_of_classes, metric_of_pairs, of_length_1
from narrows.objectives.code_task import Head
from narrows.objectives.pair_task import PairTask


def classes_drawn(rng, n_classes=12, each=60, width=6):
    """Rows of classes whose means vary along the first axes, and noise along the last."""
    between = np.diag([3.0, 2.0, 1.0, 0.1, 0.1, 0.1][:width])
    within = np.diag([0.3, 0.5, 0.5, 1.0, 2.0, 3.0][:width])
    y = np.repeat(np.arange(n_classes), each)
    means = rng.normal(size=(n_classes, width)) @ between
    return means[y] + rng.normal(size=(len(y), width)) @ within, y


def test_initial_trainable_weights_rescale_the_metric(rng):
    rows, y = classes_drawn(rng)
    metric = metric_of_classes(1e3 * rows, y)
    mapped = (1e3 * rows - metric.shift) @ metric.to_train(1e3 * rows).weights
    assert np.square(mapped).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(of_length_1(mapped), metric.embed(1e3 * rows))


def test_pairs_use_labeled_rows_and_half_of_them_are_the_same(rng):
    y = np.array([0, 0, 0, 1, 1, 2, -1, -1, 3, 3])
    pairs = drawn_pairs(y, 2000, generator=rng)
    assert len(pairs) == 2000 and pairs.same.sum() == 1000
    np.testing.assert_array_equal(y[pairs.first] == y[pairs.second], pairs.same)
    assert (pairs.first != pairs.second).all()
    assert (y[pairs.first] >= 0).all() and (y[pairs.second] >= 0).all()


def test_classes_and_pairs_of_classes_are_drawn_evenly(rng):
    y = np.r_[np.zeros(500, int), np.full(20, 1), np.full(3, 2)]
    pairs = drawn_pairs(y, 60_000, generator=rng)
    same = np.bincount(y[pairs.first[pairs.same]])
    np.testing.assert_allclose(same / same.sum(), 1 / 3, atol=0.01)
    a, b = y[pairs.first[~pairs.same]], y[pairs.second[~pairs.same]]
    mixed = np.bincount(a * b + (a + b == 2))  # 0: 0 and 1; 1: 0 and 2; 2: 1 and 2
    np.testing.assert_allclose(mixed / mixed.sum(), 1 / 3, atol=0.01)
    of_rare = pairs.first[pairs.same & (y[pairs.first] == 2)]
    np.testing.assert_allclose(np.bincount(of_rare - 520) / len(of_rare), 1 / 3, atol=0.02)


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2], [-1, -1], []], ids=str)
def test_no_pairs_are_drawn_if_none_exist(y, rng):
    assert len(drawn_pairs(np.array(y, dtype=int), 10, generator=rng)) == 0


def test_folds_of_classes_hold_out_every_class_once_and_two_or_more_together(rng):
    y = np.r_[np.repeat(np.arange(7), 4), -1, -1]
    folds = list(split_by_class(y, 5, generator=rng))
    assert len(folds) == 3
    assert (np.sum(folds, axis=0) == (y >= 0)).all()
    for held in folds:
        assert len(np.unique(y[held])) >= 2 and not set(y[held]) & set(y[~held])


def test_folds_of_rows_hold_out_every_row_once_and_a_share_of_each_class(rng):
    y = np.repeat([0, 1, -1], [10, 5, 3])
    folds = list(split_by_row(y, 5, generator=rng))
    assert (np.sum(folds, axis=0) == (y >= 0)).all()
    assert all((y[held] == 0).sum() == 2 and (y[held] == 1).sum() == 1 for held in folds)


def test_the_odds_that_generated_the_labels_are_recovered(rng):
    squared = rng.uniform(0, 4, size=200_000)
    same = rng.random(len(squared)) < 1 / (1 + np.exp(-(2.5 - 1.7 * squared)))
    odds = fit_pair_model(squared, same)
    assert odds.intercept == pytest.approx(2.5, abs=0.05)
    assert odds.slope == pytest.approx(1.7, abs=0.03)
    assert calibration_error(odds.probability(squared), same) < 0.005


@pytest.mark.parametrize("same", [[True, True, False, False], [False, False, True, True]])
def test_odds_stay_finite_and_decrease_for_any_labels(same):
    """Perfect separation, and perfect separation in reverse order."""
    odds = fit_pair_model(np.array([0.0, 0.1, 3.9, 4.0]), np.array(same))
    assert 0 < odds.slope < np.inf and np.isfinite(odds.intercept)


def test_odds_of_pairs_at_distance_0_are_the_share_of_same_pairs():
    odds = fit_pair_model(np.zeros(1000), np.arange(1000) < 250)
    assert odds.probability(np.zeros(1))[0] == pytest.approx(0.25, abs=0.01)


def test_the_calibration_error_matches_one_computed_by_hand():
    probability = np.array([0.1, 0.1, 0.4, 0.4, 0.9, 0.9])
    same = np.array([0, 1, 0, 0, 1, 1])
    assert calibration_error(probability, same, n_bins=3) == pytest.approx((0.4 + 0.4 + 0.1) / 3)


def test_the_calibration_error_is_near_0_only_for_a_calibrated_model(rng):
    probability = rng.uniform(size=100_000)
    same = rng.random(len(probability)) < probability
    assert calibration_error(probability, same) < 0.01
    bold = probability**4 / (probability**4 + (1 - probability) ** 4)
    # by integral of |p4 - p|
    p = np.linspace(0, 1, 10_001)
    expected = np.trapezoid(abs(p**4 / (p**4 + (1 - p) ** 4) - p), p)
    assert calibration_error(bold, same) == pytest.approx(expected, abs=0.01)


def test_the_order_of_pairs_of_equal_probability_does_not_matter():
    same = np.arange(300) < 150
    assert calibration_error(np.full(300, 0.5), same) == pytest.approx(0)


def test_bins_hold_equal_numbers_of_pairs(rng):
    table = reliability_table(rng.random(150) ** 9, rng.random(150) < 0.5)
    assert [row["pairs"] for row in table] == [10] * 15


@pytest.mark.parametrize("probability, same", [([], []), ([0.5], [1, 0]), ([[0.5]], [[1]])])
def test_probabilities_without_labels_are_refused(probability, same):
    with pytest.raises(InvalidData, match="one for each of one pair or more is needed"):
        calibration_error(np.array(probability), np.array(same))


def test_the_auc_needs_both_kinds_of_pairs():
    with pytest.raises(InvalidData, match="0 of 2 pairs are the same; some of both kinds"):
        area_under_curve(np.zeros(2), np.zeros(2, dtype=bool))


def test_with_many_classes_and_rows_distances_are_mahalanobis_distances(rng):
    """Before normalization to length 1: the true within-class covariance, up to a factor."""
    x, y = classes_drawn(rng, n_classes=1000, each=40, width=3)
    d = rng.normal(size=(200, 3))
    distances = np.square(d @ metric_of_classes(x, y).weights).sum(axis=1)
    truth = np.square(d / [0.3, 0.5, 0.5]).sum(axis=1)
    np.testing.assert_allclose(distances / truth, (distances / truth).mean(), rtol=0.03)


@pytest.mark.parametrize("things, each, r", [(4, 500, 0.5), (2, 2, 0.75), (12, 2000, 0.25)])
def test_few_classes_and_few_rows_shrink_the_covariance_more(things, each, r, rng):
    """Shrinkage: (1 - r) S + r times the mean eigenvalue of S."""
    x, y = classes_drawn(rng, n_classes=things, each=each)
    residuals = np.concatenate([x[y == c] - x[y == c].mean(axis=0) for c in range(things)])
    covariance = residuals.T @ residuals
    expected = (1 - r) * covariance + r * np.trace(covariance) / 6 * np.eye(6)
    weights = metric_of_classes(x, y).weights
    whitened = weights.T @ expected @ weights
    np.testing.assert_allclose(whitened / whitened[0, 0], np.eye(6), atol=1e-6)


def test_the_origin_can_be_given(rng):
    x, y = classes_drawn(rng)
    hidden = np.where(y < 6, y, -1)
    of_labeled, all_rows = metric_of_classes(x[y < 6], y[y < 6]), metric_of_classes(x, hidden)
    assert not np.allclose(of_labeled.shift, all_rows.shift)
    given = metric_of_classes(x[y < 6], y[y < 6], shift=x.mean(axis=0))
    np.testing.assert_allclose(given.embed(x), all_rows.embed(x), atol=1e-9)


def test_axes_are_ordered_by_variance_between_classes(rng):
    x, y = classes_drawn(rng)
    metric = metric_of_classes(x, y)
    means = np.array([x[y == c].mean(axis=0) for c in range(12)]) @ metric.weights
    stds = means.std(axis=0)
    assert (np.diff(stds) < 0).all()
    few = metric_of_classes(x, y, n_components=2)
    np.testing.assert_array_equal(few.weights, metric.weights[:, :2])


def test_pairs_of_unseen_classes_are_separated_better_than_by_plain_distance(rng):
    x, y = classes_drawn(rng, n_classes=60)
    seen = y < 20
    pairs = drawn_pairs(np.where(seen, -1, y), 20_000, generator=rng)

    def auc(rows):
        return roc_auc_score(pairs.same, -np.square(rows[pairs.first] - rows[pairs.second]).sum(1))

    by_metric = auc(metric_of_classes(x, np.where(seen, y, -1)).embed(x))
    assert by_metric > auc(x) + 0.05
    assert by_metric > auc(of_length_1(x - x.mean(axis=0)))


def test_pairs_and_classes_give_similar_metrics(rng):
    x, y = classes_drawn(rng, n_classes=60)
    pairs = drawn_pairs(y, 20_000, generator=rng)
    of_pairs = metric_of_pairs(x[pairs.first], x[pairs.second], pairs.same)
    of_classes = metric_of_classes(x, y)
    apart = [
        np.square(e[pairs.first] - e[pairs.second]).sum(axis=1)
        for e in (of_pairs.embed(x), of_classes.embed(x))
    ]
    assert np.corrcoef(*apart)[0, 1] > 0.98


@pytest.mark.parametrize(
    "x",
    [np.zeros((8, 3)), np.repeat(np.eye(4), 2, axis=0), 1e18 * np.eye(8), 1e-18 * np.eye(8),
     np.arange(8.0)[:, None]],
    ids=["all equal", "no variance within", "huge", "tiny", "one feature"],
)  # fmt: skip
def test_the_metric_of_degenerate_rows_is_finite(x):
    metric = metric_of_classes(x, np.repeat(np.arange(4), 2))
    assert np.isfinite(metric.weights).all() and np.isfinite(metric.embed(x)).all()


def _task(**kwargs):
    torch_generator = torch.Generator().manual_seed(0)
    return PairTask(Head(3, [4], activation="linear", generator=torch_generator), **kwargs)


def test_the_pair_loss_matches_its_formula(rng):
    """A numpy loop over pairs."""
    task = _task()
    x, y = (
        torch.from_numpy(rng.normal(size=(9, 3))).float(),
        torch.tensor([0, 0, 1, 1, 1, 2, -1, -1, 0]),
    )
    with torch.no_grad():
        e = task.head(x).numpy()
    e = e / np.linalg.norm(e, axis=1, keepdims=True)
    a, b = task.intercept.item(), np.exp(task.slope.item())
    errors: dict[bool, list[float]] = {True: [], False: []}
    for i in range(9):
        for j in range(i):
            if y[i] >= 0 and y[j] >= 0:
                p = 1 / (1 + np.exp(-(a - b * ((e[i] - e[j]) ** 2).sum())))
                same = bool(y[i] == y[j])
                errors[same].append(-np.log(p if same else 1 - p))
    expected = (np.mean(errors[True]) + np.mean(errors[False])) / 2
    assert task.loss(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_only_given_pairs_count(rng):
    task = _task(given=True)
    x = torch.from_numpy(rng.normal(size=(6, 3))).float()
    y = torch.tensor([1, 0, -1] * 2)
    x_other = x.clone()
    x_other[2] = 9.0  # of the pair that is not known
    assert task.loss(x, y).item() == task.loss(x_other, y).item()
    assert task.error(x, y).sum().item() == pytest.approx(2 * task.loss(x, y).item(), rel=1e-5)


def test_a_batch_of_one_kind_has_a_finite_gradient(rng):
    task = _task()
    task.loss(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in task.parameters())


def test_the_gradient_of_the_odds_is_correct(rng):
    """No step away from the optimum lowers the loss."""
    squared = rng.uniform(0, 4, size=500)
    same = rng.random(500) < 0.5 - 0.1 * squared
    odds = fit_pair_model(squared, same)

    def cost(ab):
        n_same = same.sum()
        t = np.where(same, (n_same + 1) / (n_same + 2), 1 / (500 - n_same + 2))
        z = ab[0] - ab[1] * squared
        return (np.logaddexp(0, z) - t * z).mean()

    slope = approx_fprime(np.array([odds.intercept, odds.slope]), cost, 1e-6)
    np.testing.assert_allclose(slope, 0, atol=1e-4)


def test_batches_of_pairs_hold_both_rows_of_each():
    rows = torch.arange(20.0)[:, None].expand(20, 2).contiguous()
    source = DenseSource(rows)
    source.targets = torch.arange(10).repeat(2)
    paired = PairedSource(source)
    seen = []
    for batch in paired.shuffled(3, generator=torch.Generator().manual_seed(0)):
        assert isinstance(batch, Labeled)
        first, second = batch.rows[:, 0].chunk(2)
        torch.testing.assert_close(second - first, torch.full_like(first, 10.0))
        torch.testing.assert_close(batch.y.chunk(2)[0].float(), first)
        seen += first.tolist()
    assert sorted(seen) == list(range(10)) != seen
    held_in, held_out = split(paired, 0.3, generator=torch.Generator().manual_seed(0))
    assert (held_in.n_rows, held_out.n_rows) == (7, 3)
    assert held_out.targets_in_order().tolist()[:3] == held_out.targets_in_order().tolist()[3:]
