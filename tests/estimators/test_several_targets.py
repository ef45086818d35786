"""A regressor with several targets: learning, masked values, its file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from narrows import (
    Autoencoder,
    CodeClassifier,
    CodeMatcher,
    CodeRegressor,
    LinearAutoencoder,
    load,
)
from narrows.artefact import read_artefact, write_artefact
from narrows.core.targets import target_errors
from narrows.errors import InvalidData, ModelFileError
from narrows.training.loop import TrainingStopped

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 6)).astype(np.float32)
Y = np.stack([1e6 + 3 * X[:, 0], X[:, 1] - X[:, 2], RNG.normal(size=160)], axis=1)
NAMES = ["size", "shift", "noise"]
FULL = {
    "max_epochs": 150,
    "batch_size": 160,
    "learning_rate": 0.05,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def autoencoder() -> LinearAutoencoder:
    return LinearAutoencoder(5, max_epochs=2, random_state=0).fit(X)


@pytest.fixture(scope="module")
def fitted(autoencoder) -> CodeRegressor:
    head = CodeRegressor(autoencoder, features="code", **FULL)
    return head.fit(X, pd.DataFrame(Y, columns=NAMES))


def test_all_targets_are_least_squares_on_the_codes(fitted, autoencoder):
    codes = autoencoder.transform(X).astype(float)
    expected = LinearRegression().fit(codes, Y).predict(codes)
    predictions = fitted.predict(X)
    assert predictions.shape == Y.shape and predictions.dtype == np.float64
    np.testing.assert_allclose((predictions - expected) / Y.std(axis=0), 0, atol=0.02)


def test_the_score_is_the_mean_of_the_targets(fitted):
    predictions = fitted.predict(X)
    assert fitted.score(X, Y) == pytest.approx(r2_score(Y, predictions))
    weights = RNG.random(160)
    weighted = r2_score(Y, predictions, sample_weight=weights)
    assert fitted.score(X, Y, sample_weight=weights) == pytest.approx(weighted)
    with pytest.raises(
        InvalidData, match=r"y: has shape \(160, 2\), but the predictions \(160, 3\)"
    ):
        fitted.score(X, Y[:, :2])


def test_unknown_values_are_ignored(autoencoder):
    """A target that is half NaN is learned as if from its known rows alone."""
    holes = Y.copy()
    holes[::2, 1] = np.nan
    both = CodeRegressor(autoencoder, **FULL).fit(X, holes)
    alone = CodeRegressor(autoencoder, **FULL).fit(X[1::2], Y[1::2, 1])
    np.testing.assert_allclose(both.predict(X)[:, 1], alone.predict(X), atol=0.05)
    assert both.y_mean_[1] == pytest.approx(Y[1::2, 1].mean())
    predictions = both.predict(X)
    each = [r2_score(Y[s, j], predictions[s, j]) for j, s in enumerate(np.s_[:, 1::2, :])]
    assert both.score(X, holes) == pytest.approx(np.mean(each))


def test_rows_without_values_still_affect_the_reconstruction():
    holes = Y.copy()
    holes[80:] = np.nan
    ae = Autoencoder(3, hidden=(4,), max_epochs=1, random_state=0).fit(X)
    few = CodeRegressor(ae, training="joint", max_epochs=2, random_state=0)
    with_all = few.fit(X, holes).predict(X)
    assert np.abs(with_all - few.fit(X[:80], Y[:80]).predict(X)).max() > 1e-6
    assert np.isfinite(with_all).all() and np.isfinite(few.history_).all()


def test_errors_sum_over_targets_and_rows_count_with_any_known_target():
    predictions = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 7.0]])
    y = torch.tensor([[0.0, 0.0], [1.0, torch.nan], [torch.nan, torch.nan]])
    each, known = target_errors(predictions, y, classification=False)
    assert each.tolist() == [5.0, 4.0, 0.0] and known.tolist() == [True, True, False]


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_held_out_errors_cover_only_rows_with_a_value(training, autoencoder):
    holes = Y.copy()
    holes[::2] = np.nan
    head = CodeRegressor(
        autoencoder,
        training=training,
        hidden=(4,),  # without a linear start, which has no place in the history
        max_epochs=3,
        validation_fraction=0.4,
        random_state=0,
    ).fit(X, holes)
    held_out = head.held_out_rows_[head.held_out_rows_ % 2 == 1]
    gap = (head.predict(X[held_out]) - Y[held_out]) / head.y_deviation_
    assert min(head.validation_history_) == pytest.approx((gap**2).sum(axis=1).mean(), rel=1e-3)


@pytest.mark.parametrize(
    "table",
    [lambda y, n: pd.DataFrame(y, columns=n), lambda y, n: pa.table(list(y.T), names=n)],
    ids=["pandas", "arrow"],
)  # fmt: skip
def test_the_file_keeps_the_targets_and_their_names(table, autoencoder, tmp_path):
    head = CodeRegressor(autoencoder, max_epochs=2, random_state=0).fit(X, table(Y, NAMES))
    head.save(tmp_path / "h.safetensors")
    again = load(tmp_path / "h.safetensors")
    assert head.target_names_ == again.target_names_ == NAMES
    np.testing.assert_array_equal(again.predict(X), head.predict(X))


@pytest.mark.parametrize("names", [True, False])
def test_one_column_stays_a_column(names, autoencoder, tmp_path):
    y = pd.DataFrame(Y[:, :1], columns=NAMES[:1]) if names else Y[:, :1]
    head = CodeRegressor(autoencoder, max_epochs=2, random_state=0).fit(X, y)
    alone = CodeRegressor(autoencoder, max_epochs=2, random_state=0).fit(X, Y[:, 0])
    head.save(tmp_path / "h.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "h.safetensors").predict(X)[:, 0], alone.predict(X)
    )
    assert alone.predict(X).shape == (160,) and alone.target_names_ is None


@pytest.mark.parametrize(
    "change",
    [
        {"y_mean": [0.0, 0.0]},
        {"y_mean": 0.0, "y_deviation": 1.0},
        {"y_deviation": [1.0, 0.0, 1.0]},
        {"y_mean": [0.0, 0.0, "inf"]},
        {"target_names": ["a", "b"]},
        {"target_names": [1, 2, 3]},
    ],
)
def test_invalid_targets_are_refused_at_load(change, fitted, tmp_path):
    fitted.save(tmp_path / "h.safetensors")
    artefact = read_artefact(tmp_path / "h.safetensors", kind="model")
    artefact.spec["head"] |= change
    write_artefact(tmp_path / "h.safetensors", artefact)
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(tmp_path / "h.safetensors")


def test_a_new_fit_drops_old_target_names(autoencoder):
    head = CodeRegressor(autoencoder, max_epochs=1).fit(X, pd.DataFrame(Y, columns=NAMES))
    assert head.fit(X, Y).target_names_ is None


def _spoiled(row: int, column: int, value: float) -> np.ndarray:
    y = Y.copy()
    y[row, column] = value
    return y


@pytest.mark.parametrize(
    "y, message",
    [
        (_spoiled(7, 1, np.inf), "y: column 1: contains infinity in row 7"),
        (np.c_[Y, np.full(160, np.nan)], "y: column 3: no value is known"),
        (pd.DataFrame({"a": Y[:, 0], "b": ["x"] * 160}), "y: column 'b': could not convert"),
        (Y[:9], "y: column 0: 9 values for 160 rows"),
        (np.zeros((160, 0)), "y: has no column"),
    ],
)
def test_an_error_names_the_column_of_an_invalid_value(y, message, autoencoder):
    with pytest.raises(InvalidData, match=message):
        CodeRegressor(autoencoder, max_epochs=1).fit(X, y)


def test_a_target_needs_a_value_in_the_rows_to_train_on(autoencoder):
    head = CodeRegressor(autoencoder, max_epochs=1, validation_fraction=0.5, random_state=0)
    held_out = head.fit(X, Y).held_out_rows_
    y = Y.copy()
    y[np.setdiff1d(np.arange(160), held_out), 2] = np.nan
    with pytest.raises(InvalidData, match="column 2: no value is known in the rows to train on"):
        head.fit(X, y)


@pytest.mark.parametrize("head", [CodeClassifier, CodeMatcher])
def test_other_heads_refuse_several_columns(head, autoencoder):
    with pytest.raises(InvalidData, match="y: has 2 columns.* fit one head for each column"):
        head(autoencoder, max_epochs=1).fit(X, np.sign(Y[:, 1:]).astype(int))


def test_validation_data_must_have_the_same_targets(autoencoder):
    y = pd.DataFrame(Y, columns=NAMES)
    head = CodeRegressor(autoencoder, max_epochs=2, random_state=0)
    head.fit(X[:100], y[:100], validation_data=(X[100:], y[100:]))
    assert head.target_names_ == NAMES and len(head.validation_history_) == 2
    with pytest.raises(InvalidData, match="validation_data: its y has the columns"):
        head.fit(X[:100], y[:100], validation_data=(X[100:], y[NAMES[::-1]][100:]))


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_a_weight_equals_a_repetition(training, autoencoder):
    """Weights of 0 drop rows from every target and keep the target names."""
    y, counts = pd.DataFrame(_spoiled(4, 1, np.nan), columns=NAMES), RNG.integers(0, 3, size=160)
    settings = {**FULL, "batch_size": 500, "learning_rate": None, "training": training}
    settings["hidden"] = () if training == "frozen" else (8,)  # which does not start at a probe
    weighted = CodeRegressor(autoencoder, **settings).fit(X, y, sample_weight=counts)
    again = np.repeat(np.arange(160), counts)
    repeated = CodeRegressor(autoencoder, **settings).fit(X[again], y.to_numpy()[again])
    np.testing.assert_allclose(weighted._outputs(X), repeated._outputs(X), rtol=1e-3, atol=1e-3)
    assert weighted.target_names_ == NAMES


def test_a_resumed_fit_ends_the_same(autoencoder, tmp_path):
    def head() -> CodeRegressor:
        return CodeRegressor(autoencoder, max_epochs=6, batch_size=40, random_state=0)

    whole, steps = head().fit(X, Y), iter(range(100))
    with pytest.raises(TrainingStopped):
        head().fit(X, Y, checkpoint=tmp_path / "c", stop_requested=lambda: next(steps) == 9)
    resumed = head().fit(X, Y, checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))
