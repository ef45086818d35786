"""Columns far from 0 are shifted in float64, kept as varying, and restored precisely."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch

from narrows import Autoencoder, CodeClassifier, CodeMatcher, CodeRegressor, load, read
from narrows.applications.filling.baseline_fills import fit_baselines
from narrows.cli import run as cli
from narrows.data import DenseSource
from narrows.data.array_sources import array_source
from narrows.data.scaling import fit_scaling
from narrows.data.statistics import describe
from narrows.errors import LostColumnsWarning
from narrows.figures.rows import scaled_rows

NOW = 1_700_000_000
"""Seconds since 1970: neighboring float32 values are 128 apart."""

SMALL = {"n_components": 3, "hidden": (8,), "activation": "linear", "max_epochs": 60,
         "learning_rate": 2e-2, "batch_size": 25, "validation_fraction": 0, "patience": None,
         "random_state": 0}  # fmt: skip


def table(dtype=np.float64) -> np.ndarray:
    """(200, 4): times within a few hours, 10^8 + noise, whole numbers above 2^24, and a number; of
    three dimensions."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 200))
    columns = [NOW + 900 * a, 1e8 + b, 2**24 + 1 + 30 * c, a + b - c]
    rows = np.stack(columns, axis=1)
    return np.round(rows).astype(dtype) if np.dtype(dtype).kind == "i" else rows


@pytest.fixture(scope="module")
def far() -> np.ndarray:
    return table()


@pytest.fixture(scope="module")
def fitted(far) -> Autoencoder:
    return Autoencoder(**SMALL).fit(far)


def off(rows: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Return the error of rows in standard deviations of each column."""
    return np.sqrt(np.square(rows - far).mean(axis=0)) / far.std(axis=0)


def test_each_column_has_mean_zero_and_variance_one_after_scaling(far):
    source = array_source(far)
    scaling = fit_scaling("standard", source, describe(source))
    scaled = scaling.forward(next(scaling.as_precise(source).in_order(200)))
    assert scaled.dtype == torch.float32
    expected = torch.from_numpy((far - far.mean(axis=0)) / far.std(axis=0)).float()
    torch.testing.assert_close(scaled, expected, rtol=1e-4, atol=1e-5)


def test_float32_data_are_shifted_in_float32_and_not_copied(far):
    near = (far - far.mean(axis=0)).astype(np.float32)
    for rows in (near, near.astype(np.float64)):
        source = array_source(rows)
        scaling = fit_scaling("standard", source, describe(source))
        assert not scaling.double and scaling.shift.dtype == torch.float32
        assert next(scaling.for_training(source).in_order(9)).dtype == torch.float32
    assert np.shares_memory(array_source(near)._array.numpy(), near)


@pytest.mark.parametrize("answer", ["reconstruct", "denoise", "inverse_transform"])
def test_rows_are_restored_at_their_own_resolution(fitted, far, answer):
    queries = fitted.transform(far) if answer == "inverse_transform" else far
    rows = getattr(fitted, answer)(queries)
    assert rows.dtype == np.float64
    assert (off(rows, far) < 0.2).all(), off(rows, far)


def test_generated_rows_are_in_the_range_of_the_columns(fitted, far):
    for rows in (fitted.sample(500, random_state=0), fitted.perturb(far[:50])[:, 0]):
        assert rows.dtype == np.float64
        assert (np.abs(rows.mean(axis=0) - far.mean(axis=0)) < far.std(axis=0)).all()
        assert (rows.std(axis=0) > 0.5 * far.std(axis=0)).all()


def test_codes_distinguish_rows_that_float32_does_not(fitted, far):
    same = far[:1].repeat(2, axis=0)
    same[1, 0] += 60  # a minute
    assert np.float32(same[0, 0]) == np.float32(same[1, 0]) or same[0, 0] % 128 > 60
    one, other = fitted.transform(same)
    assert np.abs(one - other).max() > 1e-3
    # a row's code does not depend on its batch
    np.testing.assert_allclose(fitted.transform(far[:1]), fitted.transform(far)[:1], rtol=1e-4)


def test_the_baseline_and_the_net_see_the_same_scaled_rows(fitted, far):
    scaled = (far - far.mean(axis=0)) / far.std(axis=0)
    assert fitted.model_.baseline.mean.abs().max() < 1e-3
    evaluation = fitted.evaluate(far)
    assert evaluation.variance == pytest.approx(4, rel=1e-3)
    values = np.linalg.svd(scaled, compute_uv=False)
    expected = np.square(values[3:]).sum() / len(far)
    assert evaluation.baseline_squared_error == pytest.approx(expected, abs=1e-4)
    by_hand = np.square((fitted.reconstruct(far) - far) / far.std(axis=0)).sum(axis=1)
    np.testing.assert_allclose(-fitted.score_samples(far), by_hand, rtol=1e-2, atol=1e-4)


def as_frame(rows):
    return pd.DataFrame(rows, columns=list("abcd"))


FORMS = {
    "list": lambda rows: rows.tolist(),
    "Fortran order": np.asfortranarray,
    "tensor": torch.from_numpy,
    "pandas": as_frame,
    "arrow": lambda rows: pa.Table.from_pandas(as_frame(rows)),
    "objects": lambda rows: rows.astype(object),
    "source": DenseSource,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_every_form_of_the_rows_gives_the_same_codes(far, form, dtype):
    rows = table(dtype)
    if form is DenseSource and dtype == np.int64:
        form = array_source
    # from the linear code on, all slopes of these rows are rounding, which Adam makes full steps of
    short = {**SMALL, "max_epochs": 2, "linear_start": False}
    expected = Autoencoder(**short).fit(rows)
    assert expected.model_.scaling.double
    found = Autoencoder(**short).fit(form(rows))
    np.testing.assert_allclose(found.transform(form(rows)), expected.transform(rows), atol=1e-5)


def write(folder, kind, rows):
    """Write a table in a file of that kind; return its name."""
    path = folder / f"x.{kind}"
    if kind == "npy":
        np.save(path, rows)
    elif kind == "npz":
        np.savez(path, X=rows)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pandas(as_frame(rows)), path, row_group_size=70)
    elif kind == "csv":
        as_frame(rows).to_csv(path, index=False)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows.tolist()))
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
@pytest.mark.parametrize(
    ("kind", "stream"),
    [("npy", False), ("npy", True), ("parquet", False), ("parquet", True),
     ("npz", None), ("csv", None), ("jsonl", None)],
)  # fmt: skip
def test_every_kind_of_file_keeps_the_resolution(tmp_path, kind, stream, dtype):
    rows = table(dtype)
    source = read(write(tmp_path, kind, rows), stream=stream)
    short = {**SMALL, "max_epochs": 2}
    ae = Autoencoder(**short).fit(source)
    assert ae.model_.scaling.double
    np.testing.assert_allclose(ae.model_.scaling.shift, rows.mean(axis=0), rtol=1e-12)
    named = rows if source.names is None else as_frame(rows)
    np.testing.assert_allclose(ae.transform(source), ae.transform(named), rtol=1e-5, atol=1e-6)
    wide = source.in_float64()
    for batch in (wide.at(torch.tensor([3, 150])), next(wide.in_order(9))):
        assert batch.dtype == torch.float64
    assert wide.sample(5, generator=torch.Generator().manual_seed(0)).dtype == torch.float64
    shuffled = wide.shuffled(16, generator=torch.Generator().manual_seed(0))
    seen = np.concatenate([batch.numpy() for batch in shuffled])
    np.testing.assert_array_equal(np.sort(seen[:, 0]), np.sort(rows[:, 0]))


def test_partial_fit_shifts_in_float64(far):
    ae = Autoencoder(**{**SMALL, "batch_size": 16})
    for _ in range(30):
        ae.partial_fit(far[:100]).partial_fit(far[100:])
    assert ae.model_.scaling.double
    assert (off(ae.reconstruct(far), far) < 0.5).all()


def test_a_model_file_keeps_the_shift(fitted, far, tmp_path):
    fitted.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.model_.scaling.double
    assert again.model_.fingerprint() == fitted.model_.fingerprint()
    np.testing.assert_array_equal(again.transform(far), fitted.transform(far))
    np.testing.assert_array_equal(again.reconstruct(far), fitted.reconstruct(far))


def test_a_run_is_resumed_on_the_same_far_rows_only(far, tmp_path):
    once = Autoencoder(**{**SMALL, "max_epochs": 4})
    whole = once.fit(far).transform(far)
    once.fit(far, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(
        once.fit(far, checkpoint=tmp_path / "c", resume=True).transform(far), whole
    )
    moved = far.copy()
    moved[0, 0] += 7  # float32 would not see it
    with pytest.raises(ValueError, match="data"):
        once.fit(moved, checkpoint=tmp_path / "c", resume=True)


@pytest.mark.parametrize("kind", [CodeClassifier, CodeRegressor, CodeMatcher])
@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_heads_read_far_rows(fitted, far, kind, training):
    settings = {"calibration_folds": 2} if kind is CodeMatcher else {}
    rows, y = far[:60], (far[:60, 0] > NOW).astype(int)
    head = kind(fitted, training=training, max_epochs=2, random_state=0, **settings).fit(rows, y)
    near = kind(fitted, training=training, max_epochs=2, random_state=0, **settings)
    near.fit(rows.tolist(), y)
    answer = "transform" if kind is CodeMatcher else "predict"
    found = getattr(head, answer)(rows)
    np.testing.assert_allclose(getattr(near, answer)(rows), found, rtol=1e-4, atol=1e-5)
    assert len(np.unique(found.round(5), axis=0)) > 1


def test_missing_values_of_far_columns_are_filled_in(far):
    holed = far.copy()
    holed[::5, 0] = np.nan
    ae = Autoencoder(**SMALL, corruption="missing").fit(holed)
    for rows in (ae.denoise(holed), ae.impute(holed), ae.impute(holed, method="code")):
        assert np.isfinite(rows).all()
        known = ~np.isnan(holed)
        np.testing.assert_array_equal(rows[known], holed[known])
        assert np.abs(rows[::5, 0] - far[::5, 0]).mean() < 2 * far[:, 0].std()


def test_the_unit_interval_of_a_far_range(far):
    source = array_source(far[:, :1])
    scaled = fit_scaling("unit", source, describe(source)).forward(
        next(source.in_float64().in_order(200))
    )
    assert float(scaled.min()) == 0 and float(scaled.max()) == 1
    assert len(scaled.unique()) > 150


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, 1 / 3, -1e9 / 7, 1.7e9 + 1, 1e300])
def test_a_column_of_one_value_is_constant(dtype, value):
    if dtype == np.float32 and value > 3e38:
        return
    value = min(value, 3e38)
    rows = np.full((1000, 2), value, dtype)
    rows[:, 1] = np.arange(1000)
    statistics = describe(array_source(rows))
    assert statistics.constant.tolist() == [True, False]
    assert not statistics.needs_float64


@pytest.mark.parametrize(
    "column",
    [
        np.array([1e7, 1e7 + 3, 1e7 + 5], np.float32),
        np.array([2**24 - 6, 2**24 - 3, 2**24], np.int64),
        np.array([1e8 - 1, 1e8, 1e8 + 1]),
        np.array([1e12, 1e12 + 1, 1e12 - 2]),
        np.array([0.1, 0.1 + 1e-9, 0.1 - 1e-9]),
    ],
)
def test_a_column_that_varies_by_more_than_its_resolution_is_not_constant(column):
    rows = np.tile(column, 20)[:, None]
    statistics = describe(array_source(rows))
    assert not statistics.constant.any()


LOST = {
    "rounding": np.array([0.3, 0.1 + 0.2]),
    "no square": np.array([1e-300, 3e-300]),
    "above 2^53": np.array([2**60, 2**60 + 9]),
}


@pytest.mark.parametrize("least", [2**50, 2**52, 2**53 - 400])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_different_whole_numbers_vary_and_are_not_copies(rng, least, dtype):
    rows = np.stack([least + rng.permutation(400), rng.permutation(400) // 80], axis=1)
    rows = rows.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = Autoencoder(1, hidden=(), max_epochs=1, random_state=0).fit(rows)
    scaled = ae.model_.scaling.forward(torch.from_numpy(rows.astype(np.float64)))
    deviation = scaled.std(dim=0, correction=0)
    torch.testing.assert_close(deviation, torch.ones(2), rtol=0.1, atol=0)


@pytest.mark.parametrize("size", [1e-30, 1e-38, 1e-40, 1e-44, 1e-100])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, read])
def test_tiny_columns_are_scaled_like_others(rng, size, form, tmp_path):
    rows = rng.normal(size=(100, 3)) * [size, 1, 1]
    given = rows
    if form is read:
        np.save(tmp_path / "x.npy", rows)
        rows, given = tmp_path / "x.npy", rows
    ae = Autoencoder(2, hidden=(), max_epochs=2, random_state=0).fit(form(rows))
    ae.save(tmp_path / "m")
    scaling = load(tmp_path / "m").model_.scaling
    scaled = scaling.forward(torch.from_numpy(given))
    deviation = scaled.std(dim=0, correction=0)
    torch.testing.assert_close(deviation, torch.ones(3), rtol=0.1, atol=0)
    np.testing.assert_allclose(scaling.inverse(scaled.double()), given, rtol=1e-4, atol=1e-6 * size)


def test_a_unit_interval_may_be_tiny(rng):
    source = array_source(rng.random((50, 2)) * 1e-200)
    scaling = fit_scaling("unit", source, describe(source))
    scaled = scaling.forward(next(scaling.as_precise(source).in_order(50)))
    assert float(scaled.min()) == 0 and float(scaled.max()) == 1 and scaled.dtype == torch.float32


def test_tiny_sparse_columns_are_scaled(rng):
    matrix = sp.random(50, 4, 0.5, format="csr", random_state=0) * 1e-36
    source = array_source(matrix)
    scaled = fit_scaling("standard", source, describe(source)).forward(next(source.in_order(50)))
    assert scaled.values.dtype == torch.float32
    torch.testing.assert_close(
        scaled.to_dense().std(dim=0, correction=0), torch.ones(4), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("column", LOST.values(), ids=LOST)
def test_columns_that_cannot_be_scaled_are_named(rng, column):
    rows = pd.DataFrame({"a": rng.normal(size=40), "lost": np.tile(column, 20)})
    with pytest.warns(LostColumnsWarning, match=r"X: column 'lost': .*before the fit\.$"):
        Autoencoder(1, hidden=(), max_epochs=1, random_state=0).fit(rows)


@pytest.mark.parametrize(
    ("scale", "column"),
    [("none", [1e-300, 2e-300]), ("none", [NOW, NOW + 9]), ("unit", [1e-9, 2e-9])],
)
def test_a_scaling_that_rounds_a_column_away_causes_a_warning(rng, scale, column):
    wide = np.where(np.arange(40) % 2, 0, 2 * NOW)
    rows = np.stack([np.tile(column, 20), wide], axis=1)
    rows[:, 0] += NOW if scale == "unit" else 0  # in the middle of the interval
    rows[:, 0] += np.tile([0, 1e-3], 20) if scale == "unit" else 0
    source = array_source(rows)
    with pytest.warns(LostColumnsWarning, match=f"X: column 0: .* scale='{scale}'"):
        fit_scaling(scale, source, describe(source))


def test_many_lost_columns_are_counted():
    source = array_source(np.tile([[1e-300], [2e-300]], (9, 8)))
    with pytest.warns(LostColumnsWarning, match="X: 8 columns: 0, 1, 2, 3, 4 and 3 more: the val"):
        fit_scaling("standard", source, describe(source))


def test_rounding_alone_does_not_count_as_variance():
    single = np.float32(0.1)
    rows = np.array([single, np.nextafter(single, np.float32(1))] * 20)[:, None]
    assert describe(array_source(rows)).constant.all()
    double = np.array([0.3, 0.1 + 0.2] * 20)[:, None]
    assert describe(array_source(double)).constant.all()


def test_a_far_column_of_sparse_rows_does_not_dominate():
    rng = np.random.default_rng(0)
    rows = np.stack([NOW + rng.normal(size=50), rng.normal(size=50)], axis=1)
    ae = Autoencoder(1, hidden=(), scale="standard", max_epochs=1).fit(sp.csr_array(rows))
    scaled = ae.model_.scaling.forward(next(array_source(sp.csr_array(rows)).in_order(50)))
    assert float(scaled.to_dense().abs().max()) < 10


def test_through_the_command_line(far, tmp_path):
    data = write(tmp_path, "csv", far)
    model, out = str(tmp_path / "m"), str(tmp_path / "r.csv")
    fit = ["fit", str(data), "-o", model, "-k", "3", "--hidden", "8", "--epochs", "30", "-q",
           "--set", "activation=linear", "--set", "learning_rate=0.02"]  # fmt: skip
    assert cli(fit) == 0
    assert cli(["reconstruct", model, str(data), "-o", out]) == 0
    back = np.loadtxt(out, delimiter=",", skiprows=1)
    assert (off(back, far) < 0.5).all(), off(back, far)
    assert cli(["reconstruct", model, str(data), "-o", str(tmp_path / "r.npy")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "r.npy"), back)


def test_baselines_are_fitted_to_the_rows_as_they_are(fitted, far):
    """The shift of a column far from 0 changes no fill, and its rows are recognized as copies."""
    hidden = torch.zeros(far.shape, dtype=torch.bool)
    hidden[::2, 0] = hidden[1::2, 3] = True
    errors = []
    for rows in (far, far - far.mean(axis=0)):
        scaling = fit_scaling("standard", array_source(rows), describe(array_source(rows)))
        source = scaling.as_precise(array_source(rows))
        baselines = fit_baselines(scaling, array_source(rows))  # as a file is read: not in float64
        assert baselines.n_among(source) == len(rows)
        x = scaling.forward(next(source.in_order(200)))
        fills = baselines.fills(x.masked_fill(hidden, 0), hidden)
        errors.append({name: (fill - x)[hidden].square().mean().item() for name, fill in fills})
    assert errors[0] == pytest.approx(errors[1], rel=0.02, abs=1e-3)


def test_figures_draw_rows_where_they_are(fitted, far):
    """float32 would move a time by up to 64 seconds, of a deviation of 900; and 10^8 by 4."""
    scaled = scaled_rows(fitted.model_, far)
    np.testing.assert_allclose(scaled, (far - far.mean(axis=0)) / far.std(axis=0), atol=1e-3)
