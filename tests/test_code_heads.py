"""Classifiers and regressors on a code: what trains, what stays, what a file keeps."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows import (
    Autoencoder,
    Auxiliary,
    CodeClassifier,
    CodeRegressor,
    DenoisingAutoencoder,
    SparseAutoencoder,
    load,
)
from narrows.code_task import _Dropout
from narrows.errors import InvalidData, ModelFileError, UsageError
from narrows.estimators import ALL

TRAININGS = ("frozen", "fine_tuned", "joint")
SMALL = Autoencoder(8, hidden=(), max_epochs=5, batch_size=32, random_state=0)
_QUICK: dict[str, Any] = {"max_epochs": 30, "batch_size": 64, "random_state": 0}
_FEW_STEPS: dict[str, Any] = {
    "max_epochs": 40,
    "batch_size": 32,
    "learning_rate": 3e-2,
    "random_state": 0,
}


# some checks fit a single feature: that eight numbers can copy it is what the warning says
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks(
    [
        CodeClassifier(SMALL, **_FEW_STEPS),
        CodeRegressor(SMALL, training="joint", **_FEW_STEPS),
    ]
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Three clouds on a curved surface in ten dimensions, (450, 10)."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(450, 2)) + 3 * np.repeat([[0, 0], [1, 0], [0, 1]], 150, axis=0)
    return np.tanh(hidden @ rng.normal(size=(2, 10)) / 2).astype(np.float32)


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    return np.repeat(["a", "b", "c"], 150)


@pytest.fixture(scope="module")
def values(rows) -> np.ndarray:
    return 100 + 30 * rows[:, 0] * rows[:, 1]


@pytest.fixture(scope="module")
def autoencoder(rows) -> Autoencoder:
    return Autoencoder(4, hidden=(16,), max_epochs=20, random_state=0).fit(rows)


def classifier(autoencoder, **changes: Any) -> CodeClassifier:
    return CodeClassifier(autoencoder, **{**_QUICK, **changes})


@pytest.mark.parametrize("training", TRAININGS)
def test_it_learns_classes_of_any_kind(training, autoencoder, rows, classes):
    fitted = classifier(autoencoder, training=training).fit(rows, classes)
    assert fitted.score(rows, classes) > 0.85
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    probabilities = fitted.predict_proba(rows)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(rows)).all()


def test_a_frozen_linear_head_is_logistic_regression_on_the_codes(autoencoder, rows, classes):
    """Against scikit-learn's solver, both without a penalty worth the name."""
    ours = classifier(autoencoder, max_epochs=1500, batch_size=450, learning_rate=0.1)
    ours.fit(rows, classes)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=1e4, max_iter=2000))
    theirs.fit(autoencoder.transform(rows), classes)
    codes = autoencoder.transform(rows)
    agree = (ours.predict(rows) == theirs.predict(codes)).mean()
    assert agree > 0.98
    assert ours.score(rows, classes) == pytest.approx(theirs.score(codes, classes), abs=0.02)


def test_a_frozen_linear_regressor_is_least_squares_on_the_codes(autoencoder, rows, values):
    ours = CodeRegressor(
        autoencoder, max_epochs=1500, batch_size=450, learning_rate=0.1, random_state=0
    )
    codes = autoencoder.transform(rows)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=1e-6)).fit(codes, values)
    score = ours.fit(rows, values).score(rows, values)
    assert score == pytest.approx(theirs.score(codes, values), abs=0.01)
    assert ours.predict(rows).mean() == pytest.approx(values.mean(), rel=0.02)


@pytest.mark.parametrize("training", TRAININGS)
def test_only_a_copy_of_the_encoder_trains(training, autoencoder, rows, classes):
    before = {k: v.clone() for k, v in autoencoder.model_.objective.state_dict().items()}
    fitted = classifier(autoencoder, training=training).fit(rows, classes)
    after = autoencoder.model_.objective.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    theirs = fitted.autoencoder_.model_.objective
    moved = not torch.equal(before["encoder.weights.0"], theirs.encoder.weights[0])
    decoder_moved = not torch.equal(before["decoder.weights.0"], theirs.decoder.weights[0])
    assert moved == (training != "frozen")
    assert decoder_moved == (training == "joint")


def test_the_joint_loss_keeps_the_reconstruction_that_fine_tuning_alone_loses(
    autoencoder, rows, classes
):
    joint, alone = (
        classifier(autoencoder, training=t, reconstruction_weight=1.0, max_epochs=60)
        .fit(rows, classes)
        .autoencoder_.score(rows)
        for t in ("joint", "fine_tuned")
    )
    assert joint > alone


@pytest.mark.parametrize(
    "change",
    [
        {"layer": 0},
        {"training": "fine_tuned"},
        {"hidden": (8,)},
        {"hidden": (8,), "activation": "relu"},
        {"dropout": 0.5},
        {"max_epochs": 3},
        {"batch_size": 100},
        {"learning_rate": 0.1},
        {"weight_decay": 5.0},
        {"validation_fraction": 0.5},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_parameter_changes_the_result(change, autoencoder, rows, classes):
    base = {"hidden": (8,)} if change.get("activation") else {}
    plain = classifier(autoencoder, **base).fit(rows, classes).predict_proba(rows)
    other = classifier(autoencoder, **change).fit(rows, classes).predict_proba(rows)
    assert not np.allclose(plain, other, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"corruption": "masking:0.5"}, {"reconstruction_weight": 3.0}], ids=str
)
def test_what_belongs_to_the_encoders_training_changes_it(change, autoencoder, rows, classes):
    plain, other = (
        classifier(autoencoder, training="joint", **changes).fit(rows, classes).predict_proba(rows)
        for changes in ({}, change)
    )
    assert not np.allclose(plain, other, atol=1e-5)


@pytest.mark.parametrize("training", TRAININGS)
def test_noise_on_units_that_hardly_vary_does_not_blow_up(training, rows, classes):
    """Standardised by a tiny deviation, a unit that dropout switches off would drown the rest."""
    flat = Autoencoder(
        16, hidden=(16, 16), activation="sigmoid", code_activation="sigmoid", tied=True,
        max_epochs=2, random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="n_components=16"):
        flat.fit(rows)
    fitted = classifier(flat, training=training, dropout=0.2, learning_rate=0.01, max_epochs=60)
    assert fitted.fit(rows, classes).history_[-1] < 1.0


@pytest.mark.parametrize("n_rows, epochs", [(48, 334), (450, 50), (8, 500)])
def test_few_rows_are_passed_over_more_often(n_rows, epochs, autoencoder, rows, classes):
    """About 1,000 steps, of 16 rows here, in 50 passes at least and 500 at most."""
    few = np.random.default_rng(0).permutation(450)[:n_rows]
    fitted = CodeClassifier(autoencoder, batch_size=16 if n_rows < 100 else 8, random_state=0)
    assert fitted.fit(rows[few], classes[few]).n_epochs_ == epochs


def test_dropout_is_off_when_it_answers(autoencoder, rows, classes):
    fitted = classifier(autoencoder, training="fine_tuned", dropout=0.5).fit(rows, classes)
    np.testing.assert_array_equal(fitted.predict_proba(rows), fitted.predict_proba(rows))


def test_rows_without_a_label_teach_the_reconstruction_only(autoencoder, rows, classes):
    y = np.where(np.arange(450) % 10, "?", classes)
    fitted = classifier(autoencoder, missing_label="?", training="joint", max_epochs=60)
    assert fitted.fit(rows, y).classes_.tolist() == ["a", "b", "c"]
    assert fitted.score(rows, classes) > 0.8
    few = rows[y != "?"]
    alone = classifier(autoencoder, training="joint", max_epochs=60).fit(few, y[y != "?"])
    assert not np.allclose(alone.predict_proba(rows), fitted.predict_proba(rows))


def test_minus_one_is_a_class_unless_it_is_said_not_to_be(autoencoder, rows):
    y = np.where(np.arange(450) < 150, -1, 1)
    assert classifier(autoencoder).fit(rows, y).classes_.tolist() == [-1, 1]


@pytest.mark.parametrize("training", TRAININGS)
def test_a_file_keeps_the_head_and_its_code(training, autoencoder, rows, classes, path):
    fitted = classifier(autoencoder, training=training, hidden=(6,)).fit(rows, classes)
    fitted.save(path)
    again = load(path)
    assert isinstance(again, CodeClassifier)
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))
    assert again.classes_.tolist() == fitted.classes_.tolist()
    assert again.history_ == fitted.history_
    assert again.training == training
    np.testing.assert_array_equal(
        again.autoencoder_.transform(rows), fitted.autoencoder_.transform(rows)
    )


def test_a_regressors_file_keeps_its_units(autoencoder, rows, values, path):
    fitted = CodeRegressor(autoencoder, random_state=0).fit(rows, values)
    fitted.save(path)
    np.testing.assert_array_equal(load(path).predict(rows), fitted.predict(rows))


def test_an_autoencoder_may_be_a_file_or_frozen_or_not_fitted(autoencoder, rows, classes, path):
    autoencoder.save(path)
    expected = classifier(autoencoder).fit(rows, classes).predict_proba(rows)
    for given in (FrozenEstimator(autoencoder), str(path), path):
        fitted = clone(classifier(given)).fit(rows, classes)
        np.testing.assert_array_equal(fitted.predict_proba(rows), expected)
    fresh = classifier(clone(autoencoder)).fit(rows, classes)
    np.testing.assert_allclose(fresh.predict_proba(rows), expected, atol=1e-5)
    with pytest.warns(UserWarning, match="n_components=32"):
        assert classifier(None, max_epochs=2).fit(rows, classes).autoencoder_.n_components == 32


def test_it_searches_its_own_parameters_on_a_frozen_code(autoencoder, rows, classes):
    grid = GridSearchCV(
        classifier(FrozenEstimator(autoencoder), max_epochs=5), {"hidden": [(), (8,)]}, cv=3
    )
    assert grid.fit(rows, classes).best_score_ > 0.5


def test_it_reads_sparse_rows_and_other_encoders(rows, classes):
    counts = sp.csr_array(np.maximum(rows, 0))
    sparse = SparseAutoencoder(6, sparsity="top_k", k=3, max_epochs=5, random_state=0).fit(counts)
    fitted = classifier(sparse, training="joint", dropout=0.2, batch_size=16)
    fitted.fit(counts, classes)
    assert fitted.score(counts, classes) > 0.6


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"training": "frosen"}, UsageError, "training: unknown name.*Did you mean 'frozen'"),
        ({"layer": 2}, UsageError, "layer: must be from -2 to 1, got 2"),
        ({"dropout": 1.0}, UsageError, "dropout: must be a number >= 0 and < 1"),
        ({"hidden": (0,)}, UsageError, "hidden: must be an integer >= 1"),
        ({"max_epochs": 0}, UsageError, "max_epochs: must be an integer >= 1"),
        ({"learning_rate": 0}, UsageError, "learning_rate: must be a number > 0"),
        ({"autoencoder": 3}, UsageError, "autoencoder: must be an autoencoder"),
        ({"autoencoder": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"corruption": "msking", "training": "joint"}, UsageError, "Did you mean 'masking'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(change, error, message, autoencoder, rows, classes):
    arguments = {"autoencoder": autoencoder, "random_state": 0, **change}
    with pytest.raises(error, match=message):
        CodeClassifier(**arguments).fit(rows, classes)


def test_rows_of_another_width_are_refused(autoencoder, rows, classes):
    with pytest.raises(InvalidData, match="X has 9 features, the autoencoder was fitted to 10"):
        classifier(autoencoder).fit(rows[:, :9], classes)


# What the attack on the heads found.


def test_a_head_does_not_follow_what_becomes_of_the_autoencoder_it_was_given(rows, classes):
    given = Autoencoder(4, hidden=(), max_epochs=3, random_state=0).fit(rows)
    fitted = classifier(given).fit(rows, classes)
    before = fitted.predict_proba(rows)
    given.partial_fit(3 * rows)
    np.testing.assert_array_equal(fitted.predict_proba(rows), before)
    given.fit(-rows)
    np.testing.assert_array_equal(fitted.predict_proba(rows), before)


def test_a_fit_that_fails_leaves_no_head_with_other_classes(autoencoder, rows, classes):
    fitted = classifier(autoencoder, max_epochs=2).fit(rows, classes)
    broken = rows.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InvalidData, match="NaN at row 3"):
        fitted.fit(broken, classes[::-1] + "x")
    with pytest.raises(NotFittedError):
        fitted.predict(rows)


def test_columns_in_another_order_than_the_autoencoders_are_refused(rows, classes, path):
    frame = pd.DataFrame(rows, columns=list("abcdefghij"))
    given = Autoencoder(4, hidden=(), max_epochs=2, random_state=0).fit(frame)
    with pytest.raises(InvalidData, match="column 0 is 'j', the model was fitted with 'a'"):
        classifier(given).fit(frame[list("jihgfedcba")], classes)
    # an autoencoder without names, a head with: the file keeps the head's
    unnamed = Autoencoder(4, hidden=(), max_epochs=2, random_state=0).fit(rows)
    classifier(unnamed, max_epochs=2).fit(frame, classes).save(path)
    with pytest.raises(ValueError, match="feature names should match"):
        load(path).predict(frame[list("jihgfedcba")])


@pytest.mark.parametrize("training", TRAININGS)
def test_missing_values_that_the_autoencoder_admits_train_its_head_too(training, rows, classes):
    missing = rows.copy()
    missing[::3, 1] = np.nan
    ae = DenoisingAutoencoder(
        4, hidden=(16,), corruption="missing:0.1", max_epochs=20, random_state=0
    ).fit(missing)
    fitted = classifier(ae, training=training, validation_fraction=0.2, batch_size=16)
    assert fitted.fit(missing, classes).score(missing, classes) > 0.7


def test_a_joint_training_refuses_an_autoencoder_with_a_task_of_its_own(rows, values, classes):
    ae = Autoencoder(4, hidden=(), penalties=[Auxiliary(task="regression")], max_epochs=2)
    ae.fit(rows, values)
    with pytest.raises(UsageError, match="'joint' has one y.*use 'fine_tuned'"):
        classifier(ae, training="joint").fit(rows, classes)
    assert classifier(ae, training="fine_tuned").fit(rows, classes).score(rows, classes) > 0.6


def test_rows_held_out_without_any_label_are_no_measure(autoencoder, rows, classes):
    y = np.where(np.isin(np.arange(450), [1, 201, 401]), classes, "?")
    few = classifier(autoencoder, missing_label="?", validation_fraction=0.01)
    with pytest.raises(UsageError, match="validation_fraction: 0.01 leaves no label"):
        few.fit(rows, y)


def test_the_held_out_error_is_of_the_rows_with_a_label(autoencoder, rows, classes):
    y = np.where(np.arange(450) % 3, "?", classes)
    fitted = classifier(autoencoder, missing_label="?", validation_fraction=0.3).fit(rows, y)
    share = fitted.score(rows, classes)
    assert share > 0.8
    # a third of it if rows without a label counted as without error
    said = fitted.predict_proba(rows)[np.arange(450), np.searchsorted(["a", "b", "c"], classes)]
    assert min(fitted.validation_history_) == pytest.approx(-np.log(said).mean(), rel=0.5)


@pytest.mark.parametrize("given", [-1, 0, np.int64(-1), np.int32(1)], ids=repr)
def test_a_layer_of_any_kind_of_integer_is_saved(given, autoencoder, rows, classes, path):
    classifier(autoencoder, layer=given, max_epochs=2).fit(rows, classes).save(path)
    assert load(path).layer_ == given % 2


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("layer", [-1, 0])
def test_a_head_on_every_estimator_is_saved(cls, layer, rows, classes, path):
    ae = cls(3, max_epochs=1, random_state=0).fit(rows)
    fitted = classifier(ae, layer=layer, max_epochs=1).fit(rows, classes)
    fitted.save(path)
    np.testing.assert_array_equal(load(path).predict_proba(rows), fitted.predict_proba(rows))


def test_a_pickle_keeps_the_head(autoencoder, rows, classes):
    fitted = classifier(autoencoder, max_epochs=2).fit(rows, classes)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_nan_may_stand_for_no_label(autoencoder, rows, path):
    y = np.where(np.arange(450) % 5, np.nan, np.arange(450) >= 150)
    fitted = classifier(autoencoder, missing_label=np.nan).fit(rows, y)
    assert fitted.classes_.tolist() == [0.0, 1.0]
    fitted.save(path)
    assert np.isnan(load(path).missing_label)


@pytest.mark.parametrize(
    "y, message",
    [
        (np.where(np.arange(450) == 7, np.nan, 1.0), "y: contains NaN in row 7"),
        (np.where(np.arange(450) == 7, np.inf, 1.0), "y: contains infinity in row 7"),
        (np.zeros((450, 2)), "y: y should be a 1d array"),
        (np.arange(450).astype("M8[D]"), "y: holds datetime64[D]; give numbers or texts"),
        (np.array([b"a", b"b"])[np.arange(450) % 2], "y: holds |S1"),
        (np.array(["a", None], object)[np.arange(450) % 2], "y: "),
        (np.arange(450) * 1j, "y: Complex data not supported"),
        (None, "y: requires y"),
    ],
)
@pytest.mark.parametrize("head", [CodeClassifier, CodeRegressor])
def test_a_y_that_cannot_be_is_bad_input(head, y, message, autoencoder, rows):
    with pytest.raises(InvalidData, match=re.escape(message)):
        head(autoencoder, max_epochs=1).fit(rows, y)


def test_values_without_a_finite_deviation_are_refused(autoencoder, rows):
    with pytest.raises(InvalidData, match="values up to 1e.300 have no mean and deviation"):
        CodeRegressor(autoencoder).fit(rows, 1e300 * (np.arange(450) % 2))


def test_values_far_from_0_are_predicted_as_finely_as_they_vary(autoencoder, rows, values):
    """Seconds since 1970, in float32, would be steps of 128."""
    said, far = (
        CodeRegressor(autoencoder, random_state=0).fit(rows, y).predict(rows)
        for y in (values, 1.7e9 + values.astype(float))
    )
    np.testing.assert_allclose(far - 1.7e9, said, atol=1e-2)


def test_more_than_one_missing_label_is_refused(autoencoder, rows, classes):
    with pytest.raises(UsageError, match="missing_label: must be one value"):
        classifier(autoencoder, missing_label=["?", "-"]).fit(rows, classes)
    with pytest.raises(UsageError, match="has no place in a model file"):
        classifier(autoencoder, missing_label=object()).fit(rows, classes)


def tampered(fitted, path, spec=(), tensors=()) -> None:
    from narrows.artefact import read_artefact, write_artefact

    fitted.save(path)
    artefact = read_artefact(path, kind="model")
    artefact.spec["head"] |= dict(spec)
    artefact.tensors |= dict(tensors)
    write_artefact(path, artefact)


@pytest.mark.parametrize(
    "change",
    [
        {"widths": []},
        {"widths": [4]},
        {"widths": [-1, 3]},
        {"widths": [2**62, 3]},
        {"widths": [10**30, 3]},
        {"widths": [4.5, 3]},
        {"widths": [1] * 100_000},
        {"layer": 7},
        {"layer": -1},
        {"layer": 1.5},
        {"layer": 10**400},
        {"classes": ["a"]},
        {"classes": ["a", "a", "b"]},
        {"classes": ["b", "a", "c"]},
        {"classes": [1, 2, 3]},
        {"classes_dtype": "V8"},
        {"classes_dtype": "M8[D]"},
        {"history": ["x"]},
        {"validation_history": "abc"},
        {"names": ["a"]},
        {"estimator": "Nobody"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_head_that_does_not_fit_its_file_is_refused(change, autoencoder, rows, classes, path):
    tampered(classifier(autoencoder, hidden=(4,), max_epochs=1).fit(rows, classes), path, change)
    with pytest.raises(ModelFileError, match="cannot be rebuilt|unknown estimator"):
        load(path)


def test_texts_of_a_file_take_no_more_room_than_they_need(autoencoder, rows, classes, path):
    """Eight gigabytes, if the file were believed."""
    fitted = classifier(autoencoder, max_epochs=1).fit(rows, classes)
    tampered(fitted, path, {"classes_dtype": "<U500000000"})
    assert load(path).classes_.nbytes == 12


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("name", ["head.shift", "head.net.weights.0"])
def test_head_weights_of_another_type_are_refused(name, dtype, autoencoder, rows, classes, path):
    shape = (4,) if name == "head.shift" else (4, 3)
    fitted = classifier(autoencoder, max_epochs=1).fit(rows, classes)
    tampered(fitted, path, tensors={name: torch.zeros(shape, dtype=dtype)})
    with pytest.raises(ModelFileError, match="not those of its widths"):
        load(path)


@pytest.mark.parametrize(
    "change", [{"y_mean": "nan"}, {"y_mean": 10**400}, {"y_deviation": 0}, {"y_deviation": -1}]
)
def test_units_that_cannot_be_are_refused(change, autoencoder, rows, values, path):
    fitted = CodeRegressor(autoencoder, max_epochs=1, random_state=0).fit(rows, values)
    tampered(fitted, path, change)
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(path)


def test_dropout_keeps_the_mean():
    drop = _Dropout(0.3, torch.Generator().manual_seed(0))
    left = drop(torch.full((100_000,), 2.0))
    assert float((left == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(left.mean()) == pytest.approx(2.0, abs=0.02)


def test_features_are_standardised_where_they_stay_as_they_are(autoencoder, rows, classes):
    codes = autoencoder.transform(rows)
    frozen = classifier(autoencoder, max_epochs=1).fit(rows, classes).head_
    np.testing.assert_allclose(frozen.shift, codes.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(frozen.scale, codes.std(axis=0), rtol=1e-4, atol=1e-4)
    moving = classifier(autoencoder, training="joint", max_epochs=1).fit(rows, classes).head_
    assert not moving.shift.any() and bool((moving.scale == 1).all())


def test_a_code_that_was_trained_on_has_no_density_of_before(autoencoder, rows, classes):
    frozen, tuned = (
        classifier(autoencoder, training=training, max_epochs=1).fit(rows, classes).autoencoder_
        for training in ("frozen", "fine_tuned")
    )
    assert frozen.sample(2).shape == (2, 10)
    with pytest.raises(UsageError, match="call fit"):
        tuned.sample(2)
