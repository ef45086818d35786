"""The choice of a linear fill, what a net adds to it, and the rules of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from narrows.applications.filling import linear_fill
from narrows.applications.filling.cell_rules import fit_cell_rules
from narrows.applications.filling.linear_fill import ColumnScale, fit_linear_fill, hide_cells
from narrows.applications.filling.net_gain import hidden_copies, promises_gain, weighted_gain
from narrows.errors import UsageError
from narrows.model.incomplete_gaussian import fit_incomplete_gaussian


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def table(n_rows: int, n_features: int, n_factors: int, noise: float = 0.3) -> torch.Tensor:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n_rows, n_factors)) @ rng.standard_normal((n_factors, n_features))
    return torch.from_numpy(x + noise * rng.standard_normal(x.shape))


def holed(x: torch.Tensor, share: float = 0.3) -> torch.Tensor:
    return x.masked_fill(torch.rand(x.shape, generator=seeded(9)) < share, torch.nan)


def test_a_table_with_factors_is_filled_far_better_than_by_the_mean():
    x = table(300, 10, 2)
    fill = fit_linear_fill(holed(x), generator=seeded())
    assert fill.errors[fill.name] == min(fill.errors.values())
    assert fill.errors[fill.name] < 0.5 * fill.errors["mean"]
    filled = fill.scale.inverse(fill.fill(fill.scale.forward(holed(x))))
    hidden = holed(x).isnan()
    assert float((filled - x)[hidden].square().mean()) < 0.3 * float(x[hidden].square().mean())
    assert torch.allclose(filled[~hidden], x[~hidden])


def test_independent_columns_are_hardly_moved_from_their_means():
    x = torch.randn(80, 12, generator=seeded(1), dtype=torch.float64)
    fill = fit_linear_fill(holed(x), generator=seeded())
    assert "shrinkage 0.5" in fill.name or "PCA" in fill.name or fill.name == "mean"


def test_a_wide_table_is_filled_by_principal_components():
    fill = fit_linear_fill(holed(table(60, 400, 2)), generator=seeded())
    assert fill.name == "probabilistic PCA, 2 components"


def test_candidates_do_not_read_the_cells_that_judge_them(monkeypatch):
    """Every fit of the choice lacks more cells than are missing; the last one lacks just these."""
    x = holed(table(200, 8, 2))
    seen: list[torch.Tensor] = []

    def recorded(z, **settings):
        seen.append(z.isnan())
        return fit_incomplete_gaussian(z, **settings)

    monkeypatch.setattr(linear_fill, "fit_incomplete_gaussian", recorded)
    fill = fit_linear_fill(x, generator=seeded())
    assert fill.name.startswith("Gaussian") and len(seen) >= 4
    n_missing = int(x.isnan().sum())
    assert int(seen[-1].sum()) == n_missing
    n_known = x.numel() - n_missing
    for missing in seen[:-1]:
        assert bool((seen[-1] <= missing).all())  # in the same order of rows
        assert (int(missing.sum()) - n_missing) / n_known == pytest.approx(0.2, abs=0.05)


def test_hidden_cells_are_known_ones_and_leave_one_in_every_column():
    x = holed(table(50, 6, 2), 0.8)
    x[:, 2] = torch.nan
    hidden = hide_cells(x, 1.0, generator=seeded())
    assert not bool((hidden & x.isnan()).any())
    left = (~x.isnan() & ~hidden).sum(dim=0)
    assert left.tolist() == [1, 1, 0, 1, 1, 1]


def test_a_scale_holds_for_columns_of_extreme_size():
    x = torch.tensor([[1e200, 1e-200, 4.0], [3e200, 3e-200, 4.0]], dtype=torch.float64)
    z = ColumnScale.of(x).forward(x)
    torch.testing.assert_close(z[:, :2], torch.tensor([[-1.0, -1], [1, 1]], dtype=torch.float64))
    assert z[:, 2].tolist() == [0, 0]


def curved() -> torch.Tensor:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 2, (2, 1500))
    x = np.stack([a, b, a**2, a * b, b**2, np.abs(a)], axis=1)
    return torch.from_numpy(x + 0.05 * rng.standard_normal(x.shape))


def copies_of(x: torch.Tensor):
    x = holed(x, 0.2)
    fill = fit_linear_fill(x, generator=seeded())
    copies = hidden_copies(fill, fill.scale.forward(x), generator=seeded())
    assert copies is not None
    return x, fill, copies


def test_only_structure_that_is_not_linear_promises_a_gain():
    _, _, copies = copies_of(curved())
    assert promises_gain(copies, generator=seeded()).worthwhile
    _, _, copies = copies_of(table(1500, 6, 2))
    assert not promises_gain(copies, generator=seeded()).worthwhile


def test_the_rows_that_measure_a_gain_are_not_trained_on():
    _, _, copies = copies_of(curved())
    rows = len(copies.held_out) // copies.n_copies
    each = copies.held_out.view(copies.n_copies, rows)
    assert bool((each == each[0]).all())  # a row is held out in all of its copies, or in none
    assert float(each[0].double().mean()) == pytest.approx(0.2, abs=0.01)
    assert len(copies.training[0]) == int((~copies.held_out).sum())


def test_hidden_cells_of_copies_hold_the_linear_fill_and_not_the_truth():
    _, _, copies = copies_of(curved())
    off = (copies.filled - copies.clean).abs()
    assert bool((off[~copies.hidden] < 1e-12).all())
    assert bool((off[copies.hidden] > 0).double().mean() > 0.99)


def test_the_weight_of_a_correction_is_that_of_least_squares():
    _, _, copies = copies_of(curved())
    wanted = (copies.clean - copies.filled)[copies.held_out]
    whole = weighted_gain(copies, wanted)
    assert whole.weight == pytest.approx(1) and whole.error == pytest.approx(0, abs=1e-9)
    assert weighted_gain(copies, 2 * wanted).weight == pytest.approx(0.5)
    for useless in (-wanted, torch.zeros_like(wanted)):
        gain = weighted_gain(copies, useless)
        assert gain.weight == 0 and gain.error == gain.linear_error and not gain.certain


def test_bounds_are_observed_given_or_none():
    X = np.array([[1.0, 10.0], [np.nan, 30.0], [3.0, np.nan]])
    far = np.array([[-9.0, 99.0]])
    assert fit_cell_rules(X).apply(far).tolist() == [[1, 30]]
    assert fit_cell_rules(X, min_value=-5, max_value=None).apply(far).tolist() == [[-5, 99]]
    each = fit_cell_rules(X, min_value=[-2, 0], max_value=[0, 50])
    assert each.apply(far).tolist() == [[-2, 50]]


def test_whole_columns_are_rounded_where_it_costs_little():
    whole = np.array([[0.0, 0.0, 0.5], [1.0, 10.0, 10.0], [0.0, 20.0, 20.0]])
    values = np.array([[0.4, 7.6, 7.6]])
    assert fit_cell_rules(whole).apply(values).tolist() == [[0.4, 8.0, 7.6]]
    assert fit_cell_rules(whole, whole=True).apply(values).tolist() == [[0, 8, 7.6]]
    assert fit_cell_rules(whole, whole=False).apply(values).tolist() == [[0.4, 7.6, 7.6]]
    marked = fit_cell_rules(whole, whole=[True, False, True])
    assert marked.apply(values).tolist() == [[0, 7.6, 7.6]]


def test_a_rounded_fill_stays_within_bounds_that_are_not_whole():
    rules = fit_cell_rules(np.array([[0.0], [9.0]]), min_value=1.5, max_value=7.5, whole=True)
    assert rules.apply(np.array([[0.0], [9.0]])).tolist() == [[2.0], [7.0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_value": "observd"}, "min_value: .* got 'observd'. Did you mean 'observed'"),
        ({"max_value": [1, 2, 3]}, r"max_value: must be .*\(2,\), got \[1, 2, 3\]"),
        ({"min_value": 5, "max_value": 4}, "min_value: must not be above max_value, got 5 and 4"),
        ({"whole": "yes"}, "whole_numbers: must be 'auto', True, False"),
    ],
)
def test_rules_that_are_none_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        fit_cell_rules(np.ones((2, 2)), **given)
