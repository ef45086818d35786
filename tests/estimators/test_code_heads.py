"""Classifiers and regressors on a code: training, frozen encoders, and model files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from code_heads import TRAININGS, classifier
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import NOT_TO_THE_LAST_DIGIT

from narrows import (
    Autoencoder,
    CodeClassifier,
    CodeRegressor,
    CodeSegmenter,
    SparseAutoencoder,
    load,
)
from narrows.errors import UsageError
from narrows.estimators.heads.classifier import classifier_recipe
from narrows.estimators.heads.regressor import regressor_recipe
from narrows.estimators.heads.segmenter import segmenter_recipe
from narrows.objectives.code_task import _Dropout

# with its own seed a head is reproducible, whatever seeds its autoencoder
UNSEEDED = Autoencoder(8, hidden=(), max_epochs=5, batch_size=32)
SMALL = Autoencoder(8, hidden=(), max_epochs=5, batch_size=32, random_state=0)
_FEW_STEPS: dict[str, Any] = {
    "max_epochs": 20,
    "batch_size": 32,
    "learning_rate": 3e-2,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def autoencoder(rows) -> Autoencoder:
    """A net from a random start, whose code a head tunes in few epochs."""
    settings = {"hidden": (16,), "linear_start": False, "validation_fraction": 0.1}
    return Autoencoder(4, **settings, max_epochs=20, random_state=0).fit(rows)


# some checks fit a single feature, which a code of eight numbers can copy
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks(
    [
        CodeClassifier(UNSEEDED, **_FEW_STEPS),
        CodeRegressor(SMALL, training="joint", **_FEW_STEPS),
        CodeClassifier(UNSEEDED, random_state=0),  # solved
        CodeRegressor(SMALL, random_state=0),
    ],
    expected_failed_checks=lambda estimator: NOT_TO_THE_LAST_DIGIT,
    xfail_strict=True,
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("training", TRAININGS)
def test_classes_of_any_type_are_learned(training, autoencoder, rows, classes):
    fitted = classifier(autoencoder, training=training).fit(rows, classes)
    assert fitted.score(rows, classes) > 0.85
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    probabilities = fitted.predict_proba(rows)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(rows)).all()


def test_a_frozen_linear_head_is_logistic_regression_on_the_codes(autoencoder, rows, classes):
    """Compare with scikit-learn's solver, both with a negligible penalty."""
    ours = classifier(
        autoencoder, features="code", max_epochs=1500, batch_size=450, learning_rate=0.1
    )
    ours.fit(rows, classes)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=1e4, max_iter=2000))
    theirs.fit(autoencoder.transform(rows), classes)
    codes = autoencoder.transform(rows)
    agree = (ours.predict(rows) == theirs.predict(codes)).mean()
    assert agree > 0.98
    assert ours.score(rows, classes) == pytest.approx(theirs.score(codes, classes), abs=0.02)


def test_a_frozen_linear_regressor_is_least_squares_on_the_codes(autoencoder, rows, values):
    steps: dict[str, Any] = {"max_epochs": 1500, "batch_size": 450, "learning_rate": 0.1}
    ours = CodeRegressor(autoencoder, features="code", **steps, random_state=0)
    codes = autoencoder.transform(rows)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=1e-6)).fit(codes, values)
    score = ours.fit(rows, values).score(rows, values)
    assert score == pytest.approx(theirs.score(codes, values), abs=0.01)
    assert ours.predict(rows).mean() == pytest.approx(values.mean(), rel=0.02)


@pytest.mark.parametrize("training", TRAININGS)
def test_only_a_copy_of_the_encoder_is_trained(training, autoencoder, rows, classes):
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
def test_arguments_of_the_encoders_training_change_the_result(change, autoencoder, rows, classes):
    plain, other = (
        classifier(autoencoder, training="joint", **changes).fit(rows, classes).predict_proba(rows)
        for changes in ({}, change)
    )
    assert not np.allclose(plain, other, atol=1e-5)


@pytest.mark.parametrize("training", TRAININGS)
def test_noise_on_nearly_constant_units_stays_small(training, rows, classes):
    """If divided by its tiny deviation, a unit that dropout zeroes would dominate the others."""
    flat = Autoencoder(
        16, hidden=(16, 16), activation="sigmoid", code_activation="sigmoid", tied=True,
        max_epochs=2, random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="n_components=16"):
        flat.fit(rows)
    fitted = classifier(flat, training=training, dropout=0.2, learning_rate=0.01, max_epochs=60)
    assert fitted.fit(rows, classes).history_[-1] < 1.0


@pytest.mark.parametrize(
    "kind, recipe, steps, epochs",
    [(CodeClassifier, classifier_recipe, 12, 250), (CodeClassifier, classifier_recipe, 60, 50),
     (CodeClassifier, classifier_recipe, 2, 1500), (CodeClassifier, classifier_recipe, 1, 1500),
     (CodeRegressor, regressor_recipe, 3, 334), (CodeRegressor, regressor_recipe, 20, 50),
     (CodeRegressor, regressor_recipe, 1, 500), (CodeSegmenter, segmenter_recipe, 3, 334)],
)  # fmt: skip
def test_few_rows_are_trained_for_more_epochs(kind, recipe, steps, epochs):
    """About 3,000 steps for classes, else 1,000; at least 50 epochs, at most half the steps."""
    assert recipe(kind()).epochs(steps, None) == epochs
    assert recipe(kind()).epochs(steps, 7) == 7


def test_few_rows_are_learned_and_max_epochs_is_stored(autoencoder, rows, classes, tmp_path):
    few = np.random.default_rng(0).permutation(450)[:48]
    fitted = CodeRegressor(autoencoder, batch_size=16, random_state=0).fit(rows[few], rows[few, 0])
    assert fitted.n_epochs_ == fitted.max_epochs_ == 334 and fitted.max_epochs is None
    fitted.save(tmp_path / "h.st")
    again = load(tmp_path / "h.st")
    assert again.max_epochs_ == 334 and again.get_params()["max_epochs"] is None


def test_the_resolved_max_epochs_is_stored_after_an_early_stop(
    autoencoder, rows, classes, tmp_path
):
    fitted = classifier(
        autoencoder, max_epochs=40, validation_fraction=0.5, patience=1, learning_rate=0.5
    ).fit(rows, classes)
    assert fitted.n_epochs_ < fitted.max_epochs_ == 40
    fitted.save(tmp_path / "h.st")
    assert load(tmp_path / "h.st").max_epochs_ == 40


def test_dropout_is_off_in_prediction(autoencoder, rows, classes):
    fitted = classifier(autoencoder, training="fine_tuned", dropout=0.5).fit(rows, classes)
    np.testing.assert_array_equal(fitted.predict_proba(rows), fitted.predict_proba(rows))


def test_unlabeled_rows_only_affect_the_reconstruction(autoencoder, rows, classes):
    y = np.where(np.arange(450) % 10, "?", classes)
    fitted = classifier(autoencoder, missing_label="?", training="joint", max_epochs=60)
    assert fitted.fit(rows, y).classes_.tolist() == ["a", "b", "c"]
    assert fitted.score(rows, classes) > 0.8
    few = rows[y != "?"]
    alone = classifier(autoencoder, training="joint", max_epochs=60).fit(few, y[y != "?"])
    assert not np.allclose(alone.predict_proba(rows), fitted.predict_proba(rows))


def test_minus_one_is_a_class_unless_it_is_the_missing_label(autoencoder, rows):
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
    default = classifier(None, max_epochs=2).fit(rows, classes).autoencoder_
    assert default.get_params() == Autoencoder(random_state=0).get_params()


def test_a_grid_search_varies_the_heads_parameters_on_a_frozen_code(autoencoder, rows, classes):
    grid = GridSearchCV(
        classifier(FrozenEstimator(autoencoder), max_epochs=5), {"hidden": [(), (8,)]}, cv=3
    )
    assert grid.fit(rows, classes).best_score_ > 0.5


@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_grid_search_varies_the_autoencoders_parameters(fitted_before, rows, classes):
    given = Autoencoder(4, hidden=(16,), max_epochs=2, patience=None, random_state=0)
    if fitted_before:
        given.fit(rows)
    choices = {"autoencoder__max_epochs": [1, 15], "autoencoder__n_components": [1, 4]}
    head = classifier(given, features="code", max_epochs=5)
    grid = GridSearchCV(head, choices, cv=2, error_score="raise")
    grid.fit(rows, classes)
    scores = grid.cv_results_["mean_test_score"]
    assert len(set(scores)) > 2 and scores.argmax() == grid.best_index_
    chosen = grid.best_estimator_.autoencoder_
    assert chosen.n_epochs_ == grid.best_params_["autoencoder__max_epochs"]
    assert chosen.model_.n_components == grid.best_params_["autoencoder__n_components"]
    assert given.max_epochs == 2 and hasattr(given, "model_") is fitted_before


def test_a_head_accepts_sparse_rows_and_other_encoders(rows, classes):
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
def test_invalid_arguments_are_refused(change, error, message, autoencoder, rows, classes):
    arguments = {"autoencoder": autoencoder, "random_state": 0, **change}
    with pytest.raises(error, match=message):
        CodeClassifier(**arguments).fit(rows, classes)


def test_dropout_keeps_the_mean():
    drop = _Dropout(0.3, torch.Generator().manual_seed(0))
    left = drop(torch.full((100_000,), 2.0))
    assert float((left == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(left.mean()) == pytest.approx(2.0, abs=0.02)


def test_code_and_rows_have_the_same_variance(autoencoder, rows, classes):
    head = CodeClassifier(autoencoder, features="both", random_state=0).fit(rows, classes).head_
    read = np.hstack(
        [autoencoder.transform(rows), autoencoder.model_.scaling.forward(torch.from_numpy(rows))]
    )
    np.testing.assert_allclose(head.shift, read.mean(axis=0), rtol=1e-3, atol=1e-4)
    assert len(np.unique(head.scale[:4])) == len(np.unique(head.scale[4:])) == 1
    scaled = (read - head.shift.numpy()) / head.scale.numpy()
    of_code, of_rows = (part.var(axis=0).sum() for part in (scaled[:, :4], scaled[:, 4:]))
    assert of_code == pytest.approx(5, rel=1e-3)  # half of the number of columns
    assert of_rows == pytest.approx(5, rel=0.2)  # columns have variance 1 in the autoencoder's rows


def test_fine_tuning_drops_the_densities_of_codes(autoencoder, rows, classes):
    frozen, tuned = (
        classifier(autoencoder, training=training, max_epochs=1).fit(rows, classes).autoencoder_
        for training in ("frozen", "fine_tuned")
    )
    assert frozen.sample(2).shape == (2, 10)
    with pytest.raises(UsageError, match="call fit"):
        tuned.sample(2)


@pytest.fixture(scope="module")
def hidden_in_rows() -> tuple[Autoencoder, np.ndarray, np.ndarray]:
    """A code of the two widest of ten columns, and classes that only the narrowest one tells."""
    rows = np.random.default_rng(0).normal(size=(400, 10)) * np.linspace(3, 0.5, 10)
    ae = Autoencoder(2, scale="none", max_epochs=1, random_state=0).fit(rows.astype(np.float32))
    return ae, rows.astype(np.float32), (rows[:, 9] > 0).astype(int)


def test_folds_choose_what_a_head_reads(hidden_in_rows, path):
    ae, X, y = hidden_in_rows
    of_rows = CodeClassifier(ae, random_state=0).fit(X[:200], y[:200])
    assert of_rows.features_ == "rows" and of_rows.score(X[200:], y[200:]) > 0.9
    of_code = CodeClassifier(ae, features="code", random_state=0).fit(X[:200], y[:200])
    assert of_code.features_ == "code" and of_code.score(X[200:], y[200:]) < 0.7
    of_rows.save(path)
    assert load(path).features_ == "rows"
    np.testing.assert_array_equal(load(path).predict_proba(X), of_rows.predict_proba(X))


def test_the_code_is_read_where_it_predicts_clearly_better():
    """The class is a parity of the rows, which the layers of the net know and a line doesn't."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    inside = rng.normal(size=(300, 6)) * np.where(y, 3.0, 0.3)[:, None]
    ae = Autoencoder(2, hidden=(64,), linear_start=False, max_epochs=30, random_state=0)
    rows = inside.astype(np.float32)
    ae.fit(rows)
    head = CodeClassifier(ae, layer=0, random_state=0).fit(rows[:200], y[:200])
    assert head.features_ == "code" and head.score(rows[200:], y[200:]) > 0.85


def test_a_solved_head_is_logistic_regression_on_rows_of_equal_scale(hidden_in_rows):
    ae, X, y = hidden_in_rows
    ours = CodeClassifier(ae, features="rows", random_state=0).fit(X[:60], y[:60])
    z = (X - X[:60].mean(axis=0)) * (10 / X[:60].var(axis=0).sum()) ** 0.5
    theirs = LogisticRegression(C=0.2).fit(z[:60], y[:60])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(z), atol=2e-3)
    assert ours.n_epochs_ == 1 and len(ours.history_) == 1


def test_a_solved_regressor_is_ridge_regression(hidden_in_rows):
    ae, X, _ = hidden_in_rows
    y = X @ np.arange(10.0)
    ours = CodeRegressor(ae, features="rows", random_state=0).fit(X[:60], y[:60])
    np.testing.assert_allclose(ours.predict(X), y, atol=0.02 * y.std())
    both = CodeRegressor(ae, random_state=0).fit(X[:60], np.stack([y, -y], axis=1)[:60])
    assert both.features_ == "rows"
    np.testing.assert_allclose(both.predict(X)[:, 1], -y, atol=0.02 * y.std())


def test_an_argument_of_training_trains_a_frozen_head_by_steps(hidden_in_rows):
    ae, X, y = hidden_in_rows
    assert CodeClassifier(ae, max_epochs=7, random_state=0).fit(X, y).n_epochs_ == 7
    assert CodeClassifier(ae, dropout=0.1, max_epochs=2).fit(X, y).n_epochs_ == 2


def test_training_starts_at_the_probe(hidden_in_rows):
    ae, X, y = hidden_in_rows
    solved = CodeClassifier(ae, random_state=0).fit(X[:100], y[:100])
    tuned = CodeClassifier(
        ae, training="fine_tuned", max_epochs=1, learning_rate=1e-9, random_state=0
    ).fit(X[:100], y[:100])
    assert tuned.features_ == "both"  # or there would be nothing to tune
    np.testing.assert_allclose(tuned.predict_proba(X), solved.predict_proba(X), atol=1e-4)


def test_held_out_rows_take_no_part_in_a_solved_head(hidden_in_rows):
    ae, X, y = hidden_in_rows
    changed = y.copy()
    changed[300:] = 1 - changed[300:]
    one, other = (
        CodeClassifier(ae, random_state=0).fit(
            X[:300], y[:300], validation_data=(X[300:], given[300:])
        )
        for given in (y, changed)
    )
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.validation_history_[0] < other.validation_history_[0]


def test_sparse_rows_are_read_by_their_code(rows, classes):
    counts = sp.csr_array(np.maximum(rows, 0))
    sparse = SparseAutoencoder(6, sparsity="top_k", k=3, max_epochs=5, random_state=0).fit(counts)
    assert CodeClassifier(sparse, random_state=0).fit(counts, classes).features_ == "code"
    with pytest.raises(UsageError, match=r"features: 'both' needs dense rows.*X.toarray"):
        CodeClassifier(sparse, features="both", random_state=0).fit(counts, classes)
    with pytest.raises(UsageError, match="features: unknown name.*Did you mean 'rows'"):
        CodeClassifier(sparse, features="row", random_state=0).fit(counts, classes)


def test_an_encoder_trains_only_where_trials_say_that_it_helps(hidden_in_rows):
    """The probe knows the classes; without two labels of a class nothing can tell."""
    ae, X, y = hidden_in_rows
    solved, stayed = (
        CodeClassifier(ae, training=training, random_state=0).fit(X[:2], [0, 1])
        for training in ("frozen", "fine_tuned")
    )
    assert stayed.n_epochs_ == 1 and stayed.max_epochs_ > 1
    np.testing.assert_allclose(stayed.predict_proba(X), solved.predict_proba(X), atol=1e-4)
    noise = np.random.default_rng(1).integers(2, size=60)
    head = CodeClassifier(ae, training="fine_tuned", random_state=0).fit(X[:60], noise)
    frozen = CodeClassifier(ae, random_state=0).fit(X[:60], noise)
    np.testing.assert_allclose(head.predict_proba(X), frozen.predict_proba(X), atol=1e-4)


def test_trials_let_an_encoder_train_where_a_line_is_not_enough():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4)).astype(np.float32)
    y = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    ae = Autoencoder(3, hidden=(64,), linear_start=False, max_epochs=5, random_state=0).fit(rows)
    head = CodeClassifier(ae, training="fine_tuned", random_state=0).fit(rows[:200], y[:200])
    assert head.n_epochs_ > 1 and head.score(rows[200:], y[200:]) > 0.8


def test_trials_repeat_and_resume(hidden_in_rows, tmp_path):
    ae, X, y = hidden_in_rows
    settings = {"training": "fine_tuned", "batch_size": 50, "random_state": 0}
    one = CodeClassifier(ae, **settings).fit(X[:60], y[:60])
    two = CodeClassifier(ae, **settings).fit(X[:60], y[:60], checkpoint=tmp_path / "c")
    again = CodeClassifier(ae, **settings).fit(
        X[:60], y[:60], checkpoint=tmp_path / "c", resume=True
    )
    for other in (two, again):
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
