"""The imputer: scikit-learn's checks, columns and names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows import Autoencoder, CodeImputer, DenoisingAutoencoder
from narrows.errors import InvalidData, UsageError

SMALL = DenoisingAutoencoder(
    3, hidden=(16,), corruption="missing:0.2", max_epochs=2, random_state=0
)


UNSEEDED = clone(SMALL).set_params(random_state=None)


@parametrize_with_checks([CodeImputer(random_state=0), CodeImputer(UNSEEDED, random_state=0)])
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def holed(X) -> np.ndarray:
    return np.where(np.random.default_rng(2).random(X.shape) < 0.2, np.nan, X)


@pytest.fixture(scope="module")
def imputer(holed):
    net = clone(SMALL).set_params(max_epochs=150)
    return CodeImputer(net, random_state=0).fit(holed)


def test_imputation_beats_the_mean_and_keeps_known_values(imputer, X, holed):
    filled, missing = imputer.transform(holed), np.isnan(holed)
    assert np.array_equal(filled[~missing], X[~missing])
    by_mean = np.square(imputer.statistics_ - X)[missing].mean()
    assert np.square(filled - X)[missing].mean() < 0.5 * by_mean


def test_statistics_are_the_means_of_known_values(imputer, holed):
    np.testing.assert_allclose(imputer.statistics_, np.nanmean(holed, axis=0), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed:UserWarning")
@pytest.mark.parametrize("keep_empty", [False, True])
def test_a_column_without_a_value_is_dropped_or_0_as_in_simple_imputer(holed, keep_empty):
    from sklearn.impute import SimpleImputer

    frame = pd.DataFrame(holed, columns=[f"c{i}" for i in range(10)])
    frame["c4"] = np.nan
    ours = CodeImputer(SMALL, keep_empty_features=keep_empty).set_output(transform="pandas")
    theirs = SimpleImputer(keep_empty_features=keep_empty).set_output(transform="pandas")
    filled, simple = ours.fit_transform(frame), theirs.fit_transform(frame)
    assert list(filled.columns) == list(simple.columns) == list(ours.get_feature_names_out())
    if keep_empty:
        assert (filled["c4"] == 0).all()


def test_a_pipeline_accepts_missing_values(holed, X):
    y = X.sum(axis=1)
    pipeline = make_pipeline(CodeImputer(SMALL, random_state=0), LinearRegression())
    assert pipeline.fit(holed, y).score(holed, y) > 0.5


def test_a_fitted_net_is_not_refitted(holed, X):
    net = Autoencoder(3, hidden=(16,), max_epochs=20, random_state=0).fit(X)
    unbounded = {"min_value": None, "max_value": None, "whole_numbers": False}
    imputer = CodeImputer(FrozenEstimator(net), random_state=0, **unbounded).fit(holed)
    found = clone(imputer).fit(holed).transform(holed)
    assert np.array_equal(found, net.impute(holed))


def test_float64_values_are_returned_exactly(holed):
    wide = holed.astype(np.float64) * 1.1  # of no float32
    imputer = CodeImputer(Autoencoder(3, max_epochs=1, corruption="missing", random_state=0))
    for found in (imputer.fit_transform(wide), imputer.autoencoder_.impute(wide)):
        assert found.dtype == np.float64
        assert np.array_equal(found[~np.isnan(wide)], wide[~np.isnan(wide)])
        assert np.isfinite(found).all()


def test_the_error_for_nan_gives_advice(holed):
    with pytest.raises(InvalidData, match="^autoencoder: X contains NaN, .*corruption='missing'"):
        CodeImputer(Autoencoder(3)).fit(holed)


@pytest.mark.parametrize("kind", ["frame", "objects", "texts"])
def test_an_error_names_a_column_of_texts(kind):
    frame = pd.DataFrame({"height": [1.5, None, 2.0], "color": ["red", "red", "blue"]})
    frame["color"] = frame["color"].astype(object)
    X = {"frame": frame, "objects": frame.to_numpy(), "texts": np.array([["1", "x"]] * 3)}[kind]
    column, text = (
        ("'color'", "red") if kind == "frame" else ("1", "x" if kind == "texts" else "red")
    )
    with pytest.raises(InvalidData, match=f"X: column {column} holds '{text}' in row 0: .*drop"):
        CodeImputer(SMALL).fit(X)


def test_an_error_at_transform_names_a_column_of_texts(holed):
    imputer = CodeImputer(SMALL).fit(holed)
    with pytest.raises(InvalidData, match="X: column 2 holds 'x' in row 3"):
        rows = holed.astype(object)
        rows[3, 2] = "x"
        imputer.transform(rows)


def test_objects_that_are_numbers_or_none_are_read(holed):
    objects = np.where(np.isnan(holed), None, holed.astype(object))
    found = CodeImputer(SMALL).fit_transform(objects)
    np.testing.assert_array_equal(found, CodeImputer(SMALL).fit_transform(holed.astype(float)))


def test_a_table_without_any_value_is_refused():
    with pytest.raises(InvalidData, match="X: contains no known value"):
        CodeImputer(SMALL).fit(np.full((5, 3), np.nan))


def test_anything_but_an_autoencoder_is_refused(holed):
    with pytest.raises(UsageError, match="autoencoder: must be an autoencoder, .* got 3"):
        CodeImputer(3).fit(holed)


def test_an_unknown_method_is_refused(holed):
    with pytest.raises(UsageError, match="method: unknown name 'cod'; .*'code'"):
        CodeImputer(SMALL, method="cod").fit(holed)


def curved(n_rows: int = 1200) -> np.ndarray:
    """Rows whose columns depend on each other, but not linearly."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 2, (2, n_rows))
    x = np.stack([a, b, a**2, a * b, b**2, np.abs(a)], axis=1)
    return x + 0.05 * rng.standard_normal(x.shape)


def with_holes(X: np.ndarray, share: float = 0.2) -> np.ndarray:
    return np.where(np.random.default_rng(5).random(X.shape) < share, np.nan, X)


def test_no_net_is_trained_where_the_linear_fill_is_as_good(holed):
    imputer = CodeImputer(random_state=0).fit(holed)
    assert imputer.method_ == "linear"
    assert imputer.autoencoder_ is None and imputer.net_gain_ is None
    assert imputer.errors_[imputer.linear_.name] == min(imputer.errors_.values())


def test_a_net_is_added_where_it_helps():
    X = curved()
    holed = with_holes(X)
    imputer = CodeImputer(random_state=0).fit(holed)
    assert imputer.method_ == "linear and net"
    assert imputer.errors_["with net, other rows"] < imputer.errors_["best linear, other rows"]
    missing = np.isnan(holed)
    errors = {}
    for name in ("linear and net", "linear"):
        errors[name] = np.square(imputer.transform(holed) - X)[missing].mean()
        imputer.net_gain_ = None
    assert errors["linear and net"] < 0.95 * errors["linear"]


def test_a_seed_repeats_the_fit():
    holed = with_holes(curved(400))
    first, again, other = (
        CodeImputer(random_state=seed).fit_transform(holed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_fit_does_not_read_the_rows_of_transform():
    X = with_holes(curved(400))
    imputer = CodeImputer(random_state=0).fit(X[:300])
    errors, before = dict(imputer.errors_), imputer.transform(X[:300])
    alone = imputer.transform(X[300:301])
    assert np.array_equal(imputer.transform(X[300:])[:1], alone)
    assert np.array_equal(imputer.transform(X[:300]), before) and imputer.errors_ == errors


def test_fills_stay_within_known_values(holed):
    filled = CodeImputer(random_state=0).fit_transform(holed)
    assert (filled >= np.nanmin(holed, axis=0)).all() and (filled <= np.nanmax(holed, axis=0)).all()


def test_given_bounds_hold(holed):
    missing = np.isnan(holed)
    imputer = CodeImputer(min_value=0.0, max_value=np.full(10, 0.1), random_state=0)
    filled = imputer.fit_transform(holed)[missing]
    assert filled.min() == 0 and filled.max() == np.float32(0.1)
    assert imputer.min_value_.shape == imputer.max_value_.shape == (10,)


def test_whole_numbers_stay_whole(holed):
    counts = np.round(10 * holed)
    filled = CodeImputer(random_state=0).fit_transform(counts)
    assert np.array_equal(filled, np.round(filled))
    free = CodeImputer(whole_numbers=False, random_state=0).fit_transform(counts)
    assert not np.array_equal(free, np.round(free))


@pytest.mark.parametrize("marker", [-1, None, pd.NA])
def test_other_markers_of_missing_values(holed, marker):
    wanted = CodeImputer(random_state=0).fit_transform(holed.astype(float))
    known = ~np.isnan(holed)
    if marker == -1 if marker is not pd.NA and marker is not None else False:
        coded = np.where(known, holed, -1.0).astype(float)
    else:
        coded = np.where(known, holed.astype(object), marker)
    found = CodeImputer(missing_values=marker, random_state=0).fit_transform(coded)
    np.testing.assert_allclose(found, wanted)


def test_a_marker_that_is_no_number_is_refused(holed):
    with pytest.raises(UsageError, match="missing_values: must be a number, .* got '?'"):
        CodeImputer(missing_values="?").fit(holed)


def test_indicators_are_those_of_simple_imputer(holed):
    from sklearn.impute import SimpleImputer

    frame = pd.DataFrame(holed, columns=[f"c{i}" for i in range(10)])
    frame["c3"] = 1.0
    ours = CodeImputer(add_indicator=True, random_state=0).set_output(transform="pandas")
    theirs = SimpleImputer(add_indicator=True).set_output(transform="pandas")
    filled, simple = ours.fit_transform(frame), theirs.fit_transform(frame)
    assert list(filled.columns) == list(simple.columns)
    marks = [name for name in simple if name.startswith("missingindicator_")]
    assert len(marks) == 9
    assert (filled[marks].to_numpy() == simple[marks].to_numpy()).all()


def test_verbose_says_what_was_chosen(holed, capsys):
    CodeImputer(random_state=0, verbose=1).fit(holed)
    said = capsys.readouterr().err
    assert said.startswith("CodeImputer: ") and "standard deviations: mean " in said
    CodeImputer(SMALL, verbose=1).fit(holed)
    assert "by the given DenoisingAutoencoder" in capsys.readouterr().err


def test_a_method_without_an_autoencoder_is_refused(holed):
    with pytest.raises(UsageError, match="method: is 'code', .* pass autoencoder="):
        CodeImputer(method="code").fit(holed)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_default_is_not_behind_the_iterative_imputer(share):
    from sklearn.datasets import load_breast_cancer
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    X = load_breast_cancer().data[:200]
    holed = with_holes(X, share)
    std = X.std(axis=0)
    imputers = CodeImputer(random_state=0), IterativeImputer(random_state=0, tol=1e9, max_iter=10)
    ours, theirs = (
        np.square((imputer.fit_transform(holed) - X) / std)[np.isnan(holed)].mean()
        for imputer in imputers
    )
    assert ours < theirs
