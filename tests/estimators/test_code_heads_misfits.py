"""Heads refuse rows, y, autoencoders and files that do not match."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from code_heads import TRAININGS, classifier
from sklearn.exceptions import NotFittedError

from narrows import (
    Autoencoder,
    Auxiliary,
    CodeClassifier,
    CodeRegressor,
    DenoisingAutoencoder,
    load,
)
from narrows.errors import InvalidData, ModelFileError, UsageError
from narrows.estimators.all_estimators import AUTOENCODERS


def test_rows_of_another_width_are_refused(autoencoder, rows, classes):
    with pytest.raises(InvalidData, match="X: has 9 columns, the model was fitted to 10"):
        classifier(autoencoder).fit(rows[:, :9], classes)


# Regressions of the heads.


@pytest.mark.filterwarnings("ignore::narrows.errors.OutdatedWarning")
def test_a_head_does_not_change_when_its_given_autoencoder_does(rows, classes):
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
def test_heads_accept_missing_values_if_their_autoencoder_does(training, rows, classes):
    missing = rows.copy()
    missing[::3, 1] = np.nan
    ae = DenoisingAutoencoder(
        4, hidden=(16,), corruption="missing:0.1", max_epochs=20, random_state=0
    ).fit(missing)
    fitted = classifier(ae, training=training, validation_fraction=0.2, batch_size=16)
    assert fitted.fit(missing, classes).score(missing, classes) > 0.7


def test_a_joint_training_refuses_an_autoencoder_with_a_task_of_its_own(rows, values, classes):
    task = Auxiliary(task="regression")
    ae = Autoencoder(4, hidden=(), penalties=[task], max_epochs=2, random_state=0)
    ae.fit(rows, values)
    with pytest.raises(UsageError, match="'joint' has a single y.*use 'fine_tuned'"):
        classifier(ae, training="joint").fit(rows, classes)
    fine_tuned = classifier(ae, training="fine_tuned", batch_size=16).fit(rows, classes)
    assert fine_tuned.score(rows, classes) > 0.7


def test_held_out_rows_without_labels_are_refused(autoencoder, rows, classes):
    y = np.where(np.isin(np.arange(450), [1, 201, 401]), classes, "?")
    few = classifier(autoencoder, missing_label="?", validation_fraction=0.01)
    with pytest.raises(UsageError, match="validation_fraction: 0.01 leaves no label"):
        few.fit(rows, y)


def test_the_held_out_error_covers_only_labeled_rows(rows, classes):
    settings = {"linear_start": False, "validation_fraction": 0.1, "random_state": 0}
    ae = Autoencoder(4, hidden=(16,), max_epochs=20, **settings).fit(rows)
    y = np.where(np.arange(450) % 3, "?", classes)
    fitted = classifier(ae, missing_label="?", validation_fraction=0.3).fit(rows, y)
    share = fitted.score(rows, classes)
    assert share > 0.8
    # it would be a third if rows without a label counted as correct
    probabilities = fitted.predict_proba(rows)[
        np.arange(450), np.searchsorted(["a", "b", "c"], classes)
    ]
    assert min(fitted.validation_history_) == pytest.approx(-np.log(probabilities).mean(), rel=0.5)


@pytest.mark.parametrize("given", [-1, 0, np.int64(-1), np.int32(1)], ids=repr)
def test_a_layer_of_any_kind_of_integer_is_saved(given, autoencoder, rows, classes, path):
    classifier(autoencoder, layer=given, max_epochs=2).fit(rows, classes).save(path)
    assert load(path).layer_ == given % 2


@pytest.mark.filterwarnings("ignore::narrows.errors.ImageShapeWarning")
@pytest.mark.parametrize("cls", AUTOENCODERS)
@pytest.mark.parametrize("layer", [-1, 0])
def test_a_head_on_every_estimator_is_saved(cls, layer, rows, classes, path):
    rows = abs(rows)  # counts, for estimators that read counts
    ae = cls(3, max_epochs=1, random_state=0).fit(rows)
    fitted = classifier(ae, layer=layer, max_epochs=1).fit(rows, classes)
    fitted.save(path)
    np.testing.assert_array_equal(load(path).predict_proba(rows), fitted.predict_proba(rows))


def test_a_pickle_keeps_the_head(autoencoder, rows, classes):
    fitted = classifier(autoencoder, max_epochs=2).fit(rows, classes)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))


def test_nan_can_be_the_missing_label(autoencoder, rows, path):
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
        (np.zeros((450, 2, 2)), "y: Found array with dim 3"),
        (np.arange(450).astype("M8[D]"), "y: holds datetime64[D]; give numbers or texts"),
        (np.array([b"a", b"b"])[np.arange(450) % 2], "y: holds |S1"),
        (np.array(["a", None], object)[np.arange(450) % 2], "y: "),
        (np.arange(450) * 1j, "y: Complex data not supported"),
        (None, "y: requires y"),
    ],
)
@pytest.mark.parametrize("head", [CodeClassifier, CodeRegressor])
def test_an_invalid_y_is_refused(head, y, message, autoencoder, rows):
    with pytest.raises(InvalidData, match=re.escape(message)):
        head(autoencoder, max_epochs=1).fit(rows, y)


def test_values_without_a_finite_deviation_are_refused(autoencoder, rows):
    with pytest.raises(InvalidData, match="the mean and deviation of values up to 1e.300 overflow"):
        CodeRegressor(autoencoder).fit(rows, 1e300 * (np.arange(450) % 2))


def test_values_far_from_0_are_predicted_as_finely_as_they_vary(autoencoder, rows, values):
    """In float32, seconds since 1970 are multiples of 128."""
    near, far = (
        CodeRegressor(autoencoder, random_state=0).fit(rows, y).predict(rows)
        for y in (values, 1.7e9 + values.astype(float))
    )
    np.testing.assert_allclose(far - 1.7e9, near, atol=1e-2)


def test_more_than_one_missing_label_is_refused(autoencoder, rows, classes):
    with pytest.raises(UsageError, match="missing_label: must be one value"):
        classifier(autoencoder, missing_label=["?", "-"]).fit(rows, classes)
    with pytest.raises(UsageError, match="cannot be stored in a model file"):
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


@pytest.mark.parametrize("kind", [CodeClassifier, CodeRegressor])
def test_a_y_of_long_doubles_can_be_saved(kind, autoencoder, rows, path):
    y = (np.arange(len(rows)) % 3).astype(np.longdouble)
    fitted = kind(autoencoder, max_epochs=2, random_state=0).fit(rows, y)
    fitted.save(path)
    np.testing.assert_array_equal(load(path).predict(rows), fitted.predict(rows))
    assert fitted.predict(rows).dtype == np.float64
    score = fitted.score(rows, y.astype(np.float64))
    assert fitted.score(rows, y) == pytest.approx(score, abs=1e-9)
    y[4] = np.finfo(np.longdouble).max
    with pytest.raises(InvalidData, match="y: contains infinity in row 4"):
        fitted.fit(rows, y)


def test_parameters_of_any_numpy_number_can_be_saved(autoencoder, rows, path):
    y = np.arange(len(rows)) % 3 - 1
    settings = {"missing_label": np.longdouble(-1), "dropout": np.longdouble(0.25)}
    classifier(autoencoder, max_epochs=2, **settings).fit(rows, y).save(path)
    assert (load(path).missing_label, load(path).dropout) == (-1, 0.25)
    with pytest.raises(UsageError, match="cannot be stored in a model file"):
        classifier(autoencoder, missing_label=np.complex64(1j)).fit(rows, y)


def test_string_classes_of_a_file_use_only_the_width_they_need(autoencoder, rows, classes, path):
    """The file claims eight gigabytes."""
    fitted = classifier(autoencoder, max_epochs=1).fit(rows, classes)
    tampered(fitted, path, {"classes_dtype": "<U500000000"})
    assert load(path).classes_.nbytes == 12


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("name", ["head.shift", "head.net.weights.0"])
def test_head_weights_of_another_type_are_refused(name, dtype, autoencoder, rows, classes, path):
    shape = (4,) if name == "head.shift" else (4, 3)
    fitted = classifier(autoencoder, max_epochs=1).fit(rows, classes)
    tampered(fitted, path, tensors={name: torch.zeros(shape, dtype=dtype)})
    with pytest.raises(ModelFileError, match="have other shapes or dtypes than its net"):
        load(path)


@pytest.mark.parametrize(
    "change", [{"y_mean": "nan"}, {"y_mean": 10**400}, {"y_deviation": 0}, {"y_deviation": -1}]
)
def test_invalid_units_are_refused(change, autoencoder, rows, values, path):
    fitted = CodeRegressor(autoencoder, max_epochs=1, random_state=0).fit(rows, values)
    tampered(fitted, path, change)
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(path)
