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
