"""CodeMatcher: symmetry, calibration, new classes, errors and its file."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from code_heads import TRAININGS
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows import Autoencoder, CodeMatcher, load
from narrows.artefact import read_artefact, write_artefact
from narrows.errors import InvalidData, ModelFileError, UsageError
from narrows.fitting.pair_calibration import calibration_error, drawn_pairs
from narrows.objectives.pair_task import PairTask

SMALL = Autoencoder(8, hidden=(), max_epochs=3, batch_size=32, random_state=0)
_QUICK: dict[str, Any] = {"max_epochs": 4, "batch_size": 64, "random_state": 0}


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks(
    [
        CodeMatcher(SMALL, calibration_folds=2, random_state=0),
        CodeMatcher(SMALL, training="joint", max_epochs=2, random_state=0),
    ]
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def things() -> tuple[np.ndarray, np.ndarray]:
    """Forty clusters in ten dimensions, with noise in the dimensions they share: (1200, 10)."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), 30)
    hidden = np.c_[rng.normal(size=(40, 3))[y] * 2, 2 * rng.normal(size=(1200, 3))]
    hidden[:, :3] += 0.3 * rng.normal(size=(1200, 3))
    return np.tanh(hidden @ rng.normal(size=(6, 10)) / 3).astype(np.float32), y


@pytest.fixture(scope="module")
def ae(things) -> Autoencoder:
    settings = {"hidden": (32,), "linear_start": False, "validation_fraction": 0.1}
    return Autoencoder(8, **settings, max_epochs=20, random_state=0).fit(things[0])


@pytest.fixture(scope="module")
def fitted(ae, things) -> CodeMatcher:
    x, y = things
    return CodeMatcher(ae, random_state=0).fit(x[y < 20], y[y < 20])


def matcher(ae, **changes: Any) -> CodeMatcher:
    return CodeMatcher(ae, **{**_QUICK, **changes})


@pytest.mark.parametrize("training", TRAININGS)
def test_probabilities_are_symmetric(training, ae, things):
    x, y = things
    model = matcher(ae, training=training).fit(x, y)
    a, b = x[:100], x[500:600]
    np.testing.assert_array_equal(model.match_proba(a, b), model.match_proba(b, a))


def test_nothing_matches_a_row_better_than_itself(fitted, things):
    x, _ = things
    alone = fitted.match_proba(x, x)
    assert (alone == alone[0]).all()
    rng = np.random.default_rng(0)
    assert (fitted.match_proba(x, x[rng.permutation(len(x))]) <= alone).all()


def test_new_classes_are_separated_better_than_by_the_distance_of_codes(fitted, ae, things):
    x, y = things
    x, y = x[y >= 20], y[y >= 20]
    pairs = drawn_pairs(y, 10_000, generator=np.random.default_rng(1))
    codes = ae.transform(x)
    plain = np.square(codes[pairs.first] - codes[pairs.second]).sum(axis=1)
    ours = fitted.match_proba(x[pairs.first], x[pairs.second])
    assert roc_auc_score(pairs.same, ours) > roc_auc_score(pairs.same, -plain) + 0.05
    assert fitted.score(x, y) == pytest.approx(roc_auc_score(pairs.same, ours), abs=0.02)


def test_probabilities_are_calibrated_for_new_classes(fitted, things):
    x, y = things
    hidden = np.where(y >= 20, y, -1)
    pairs = drawn_pairs(hidden, 10_000, generator=np.random.default_rng(1))
    probabilities = fitted.match_proba(x[pairs.first], x[pairs.second])
    assert calibration_error(probabilities, pairs.same) < 0.06
    assert fitted.calibrated_on_ == "classes"
    assert fitted.calibration_error_ < 0.15
    assert fitted.auc_ == pytest.approx(roc_auc_score(pairs.same, probabilities), abs=0.06)


def test_training_the_encoder_separates_the_training_classes_better(fitted, ae, things):
    x, y = things
    seen = y < 20
    tuned = matcher(ae, training="joint", max_epochs=20).fit(x[seen], y[seen])
    assert tuned.score(x[seen], y[seen]) > fitted.score(x[seen], y[seen]) + 0.005
    assert tuned.score(x[~seen], y[~seen]) > fitted.score(x[~seen], y[~seen]) - 0.03
    assert len(tuned.history_) == 20 and tuned.history_[-1] < tuned.history_[0]


@pytest.mark.parametrize("training", TRAININGS)
def test_only_a_copy_of_the_encoder_is_trained(training, ae, things):
    x, y = things
    before = {k: v.clone() for k, v in ae.model_.objective.state_dict().items()}
    model = matcher(ae, training=training).fit(x[::4], y[::4])
    after = ae.model_.objective.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    own = model.autoencoder_.model_.objective.encoder.weights[0]
    assert torch.equal(own, before["encoder.weights.0"]) == (training == "frozen")


@pytest.mark.parametrize("training", TRAININGS)
def test_fit_pairs_learns_from_given_pairs(training, ae, things):
    x, y = things
    pairs = drawn_pairs(y, 800, generator=np.random.default_rng(2))
    model = matcher(ae, training=training, validation_fraction=0.2 if training == "joint" else 0.0)
    model.fit_pairs(x[pairs.first], x[pairs.second], pairs.same)
    assert model.calibrated_on_ == "pairs"
    others = drawn_pairs(y, 2000, generator=np.random.default_rng(3))
    probabilities = model.match_proba(x[others.first], x[others.second])
    assert roc_auc_score(others.same, probabilities) > 0.8
    assert calibration_error(probabilities, others.same) < 0.12
    assert (model.match(x[:9], x[9:18]) == (model.match_proba(x[:9], x[9:18]) >= 0.5)).all()


def test_probabilities_assume_the_share_of_the_given_pairs(ae, things):
    x, y = things
    pairs = drawn_pairs(y, 4000, generator=np.random.default_rng(2))
    kept = ~pairs.same | (np.arange(4000) % 5 == 0)
    a, b, same = x[pairs.first][kept], x[pairs.second][kept], pairs.same[kept]
    probabilities = matcher(ae).fit_pairs(a, b, same).match_proba(a, b)
    assert probabilities.mean() == pytest.approx(same.mean(), abs=0.03)


@pytest.mark.filterwarnings("ignore::narrows.errors.CopiesWarning")  # so few counts, so many rows
def test_pairs_of_sparse_rows_are_accepted(ae, things):
    x, y = things
    counts = np.round(np.maximum(x, 0) * 4)
    code = Autoencoder(4, hidden=(), max_epochs=3, random_state=0).fit(sp.csr_array(counts))
    pairs = drawn_pairs(y, 300, generator=np.random.default_rng(2))
    a, b = counts[pairs.first], counts[pairs.second]
    dense, sparse = (
        matcher(code).fit_pairs(kind(a), kind(b), pairs.same).match_proba(a, b)
        for kind in (np.asarray, sp.csr_array)
    )
    np.testing.assert_allclose(dense, sparse, atol=1e-4)
    joint = matcher(code, training="joint").fit_pairs(sp.csr_array(a), sp.csr_array(b), pairs.same)
    assert np.isfinite(joint.match_proba(a, b)).all()


@pytest.mark.parametrize("training", TRAININGS)
def test_a_seed_makes_fits_reproducible(training, ae, things):
    x, y = things
    first, again = (
        matcher(ae, training=training).fit(x[::5], y[::5]).match_proba(x[:50], x[50:100])
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "change", [{"layer": 0}, {"n_components": 3}, {"calibration_folds": 2}, {"random_state": 1}],
    ids=str,
)  # fmt: skip
def test_a_parameter_changes_the_result(change, fitted, ae, things):
    x, y = things
    other = matcher(ae, **change).fit(x[y < 20], y[y < 20])
    assert not np.allclose(
        other.match_proba(x[:200], x[200:400]), fitted.match_proba(x[:200], x[200:400]), atol=1e-5
    )


def test_rows_become_vectors_of_length_1_whose_distance_counts(fitted, ae, things):
    x, y = things
    e = fitted.transform(x)
    assert e.dtype == np.float32 and e.shape == (1200, 8)
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, rtol=1e-5)
    expected = 1 / (
        1 + np.exp(fitted.slope_ * (2 - 2 * (e[:9] * e[9:18]).sum(1)) - fitted.intercept_)
    )
    np.testing.assert_allclose(fitted.match_proba(x[:9], x[9:18]), expected, atol=1e-5)
    few = matcher(ae, n_components=3).fit(x, y)
    assert few.get_feature_names_out().tolist() == [f"codematcher{i}" for i in range(3)]


@pytest.mark.parametrize(
    "y, held_out",
    [
        (np.arange(60) % 4, "classes"),
        (np.arange(60) % 2, "rows"),
        (np.where(np.arange(60) < 3, [0, 0, 1] * 20, -1), "training"),
    ],
    ids=["four classes", "two classes", "three labels"],
)
def test_calibration_holds_out_classes_rows_or_pairs(y, held_out, ae, things):
    model = matcher(ae).fit(things[0][::20], y)
    assert model.calibrated_on_ == held_out
    assert (model.auc_ is None) == (model.calibration_error_ is None) == (held_out == "training")


def test_rows_of_unknown_class_form_no_pairs(ae, things):
    x, y = things
    hidden = np.where(y < 20, y, -1)
    probabilities = matcher(ae).fit(x, hidden).match_proba(x[:100], x[100:200])
    other = np.where(y < 20, y, "?")
    again = matcher(ae, missing_label="?").fit(x, np.array(other)).match_proba(x[:100], x[100:200])
    assert np.corrcoef(probabilities, again)[0, 1] > 0.99
    every = matcher(ae, missing_label=None).fit(x, hidden).match_proba(x[:100], x[100:200])
    assert not np.allclose(probabilities, every, atol=1e-3)


def test_a_joint_training_has_rows_of_known_class_in_every_batch(ae, things, monkeypatch):
    """Only 24 of 1,200 rows are labeled: plain batches would hold no pair of one class."""
    x, y = things
    seen: list[np.ndarray] = []
    loss = PairTask.loss

    def watched(self, features, y, **kwargs):
        seen.append(y.numpy().copy())
        return loss(self, features, y, **kwargs)

    monkeypatch.setattr(PairTask, "loss", watched)
    few = np.where((y < 4) & (np.arange(1200) % 30 < 6), y, -1)
    matcher(ae, training="joint", max_epochs=1).fit(x, few)
    shares = np.array([(batch >= 0).mean() for batch in seen])
    assert shares.min() > 0.2 and shares.mean() == pytest.approx(0.5, abs=0.05)


def test_fine_tuning_drops_rows_of_unknown_class(ae, things):
    x, y = things
    hidden = np.where(y < 20, y, -1)
    with_others = matcher(ae, training="fine_tuned").fit(x, hidden)
    alone = matcher(ae, training="fine_tuned").fit(x[y < 20], y[y < 20])
    assert with_others.n_epochs_ == alone.n_epochs_
    # the origin alone differs
    assert with_others.history_[0] == pytest.approx(alone.history_[0], rel=0.2)


def test_rows_of_unknown_class_determine_the_origin(ae, things):
    x, y = things
    hidden = np.where(y < 20, y, -1)
    codes = ae.transform(x)
    origin = matcher(ae).fit(x, hidden).head_.shift
    np.testing.assert_allclose(origin, codes.mean(axis=0), atol=1e-4)
    shift = matcher(ae).fit(x[y < 20], y[y < 20]).head_.shift
    np.testing.assert_allclose(shift, codes[y < 20].mean(axis=0), atol=1e-4)


@pytest.mark.parametrize(
    "y, message",
    [
        (np.full(1200, -1), "y: classification needs at least two classes, got 0"),
        (np.zeros(1200), "y: classification needs at least two classes, got 1"),
        (np.arange(1200), "y: no two rows have the same class"),
        (np.r_[np.nan, np.zeros(1199)], "y: contains NaN in row 0"),
        (np.zeros(7), "y: 7 values for 1200 rows of X"),
        (None, "y: requires y to be passed"),
    ],
)
def test_invalid_classes_are_refused(y, message, ae, things):
    with pytest.raises(InvalidData, match=message):
        matcher(ae).fit(things[0], y)


@pytest.mark.parametrize(
    "same, message",
    [
        (np.ones(9), "same: 9 of 9 pairs are the same thing; pairs of both kinds are needed"),
        (np.zeros(9), "same: 0 of 9 pairs"),
        (np.zeros(8), "same: 8 labels for 9 pairs"),
        (np.arange(9), "same: must be 0 or 1, got .*2.* in row 2"),
        (np.where(np.arange(9) == 4, np.nan, 1), "same: must be 0 or 1, got .*nan.* in row 4"),
        (np.zeros((9, 2)), "same: "),
        (None, "same: must not be None"),
    ],
)
def test_invalid_labels_of_pairs_are_refused(same, message, ae, things):
    x, _ = things
    with pytest.raises(InvalidData, match=message):
        matcher(ae).fit_pairs(x[:9], x[9:18], same)


def test_pairs_of_different_lengths_are_refused(fitted, ae, things):
    x, _ = things
    with pytest.raises(InvalidData, match="B: 8 rows for 9 rows of A"):
        matcher(ae).fit_pairs(x[:9], x[:8], np.arange(9) % 2)
    with pytest.raises(InvalidData, match="B: 8 rows for 9 rows of A"):
        fitted.match_proba(x[:9], x[:8])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(broken, fitted, ae, things):
    x = things[0].copy()
    x[3, 1] = broken
    with pytest.raises(InvalidData, match="row 3"):
        fitted.match_proba(things[0], x)
    with pytest.raises(InvalidData, match="row 3"):
        matcher(ae).fit(x, things[1])


def test_rows_of_another_width_or_order_are_refused(fitted, ae, things):
    x, y = things
    with pytest.raises(InvalidData, match="X: has 9 columns, the model was fitted to 10"):
        matcher(ae).fit(x[:, :9], y)
    with pytest.raises(ValueError, match="9 features"):
        fitted.match_proba(x, x[:, :9])
    frame = pd.DataFrame(x, columns=list("abcdefghij"))
    named = matcher(Autoencoder(4, hidden=(), max_epochs=2, random_state=0)).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        named.match_proba(frame, frame[list("jihgfedcba")])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"training": "frosen"}, "training: unknown name.*Did you mean 'frozen'"),
        ({"n_components": 9}, "n_components: must be <= 8, the number of features, got 9"),
        ({"n_components": 0}, "n_components: must be an integer >= 1"),
        ({"calibration_folds": 1}, "calibration_folds: must be an integer >= 2"),
        ({"missing_label": [1]}, "missing_label: must be one value"),
    ],
)
def test_invalid_arguments_are_refused(change, message, ae, things):
    with pytest.raises(UsageError, match=message):
        matcher(ae, **change).fit(*things)


def test_a_grid_search_ranks_by_held_out_pairs(ae, things):
    x, y = things
    grid = GridSearchCV(matcher(FrozenEstimator(ae)), {"layer": [0, 1]}, cv=2)
    grid.fit(x, y)
    assert 0.7 < grid.best_score_ < 1


def test_it_is_cloned_and_pickled(fitted, things):
    x, _ = things
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        again.match_proba(x[:9], x[9:18]), fitted.match_proba(x[:9], x[9:18])
    )
    assert not hasattr(clone(fitted), "head_")


@pytest.mark.parametrize("training", TRAININGS)
def test_a_file_keeps_the_matcher(training, ae, things, path):
    x, y = things
    model = matcher(ae, training=training, n_components=5).fit(x[::3], y[::3])
    model.save(path)
    again = load(path)
    assert isinstance(again, CodeMatcher) and again.training == training
    np.testing.assert_array_equal(
        again.match_proba(x[:99], x[99:198]), model.match_proba(x[:99], x[99:198])
    )
    for name in ("auc_", "calibration_error_", "calibrated_on_", "history_", "layer_"):
        assert getattr(again, name) == getattr(model, name), name


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 0}, {"slope": -1.0}, {"slope": "nan"}, {"slope": 10**400}, {"intercept": "inf"},
        {"intercept": None}, {"calibrated_on": "hope"}, {"calibrated_on": ["classes"]},
        {"auc": 2}, {"calibration_error": "x"}, {"widths": [7]}, {"widths": [2**62]},
        {"layer": 9}, {"estimator": "CodeClassifier"}, {"estimator": "Nobody"},
    ],
    ids=str,
)  # fmt: skip
def test_a_matcher_that_does_not_fit_its_file_is_refused(change, fitted, path):
    fitted.save(path)
    artefact = read_artefact(path, kind="model")
    artefact.spec["head"] |= change
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="cannot be rebuilt|unknown estimator"):
        load(path)


def test_few_classes_are_matched_along_the_axes_that_tell_them_apart():
    """The classes differ in one narrow column of ten; a new row of either is as near as it is."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    X = rng.normal(size=(300, 10))
    X[:, 3] += np.where(y, 2.0, -2.0)
    ae = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
    matcher = CodeMatcher(ae, random_state=0).fit(X[:100], y[:100])
    assert matcher.features_ == "rows" and matcher.transform(X).shape == (300, 2)
    assert matcher.calibrated_on_ == "rows" and matcher.score(X[100:], y[100:]) > 0.9
    of_code = CodeMatcher(ae, features="code", random_state=0).fit(X[:100], y[:100])
    assert of_code.features_ == "code"
    assert of_code.score(X[100:], y[100:]) < matcher.score(X[100:], y[100:]) - 0.1
    axis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5).fit(X[:100], y[:100])
    theirs = (axis.transform(X[100:200]) - axis.transform(X[200:]))[:, 0] ** 2
    ours = matcher.match_distance(X[100:200], X[200:])
    assert np.corrcoef(theirs, ours)[0, 1] > 0.8  # shrunk by other shares


def test_the_number_of_components_of_few_classes_can_be_given(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(size=(90, 6)) + 2 * np.eye(6)[y]
    ae = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
    full, wide, two, one = (
        CodeMatcher(ae, n_components=n, random_state=0).fit(X, y) for n in (None, 5, 2, 1)
    )
    assert [m.transform(X).shape[1] for m in (full, wide, two, one)] == [3, 5, 2, 1]
    np.testing.assert_allclose(full.match_distance(X, X[::-1]), wide.match_distance(X, X[::-1]),
                               atol=1e-5)  # fmt: skip
    full.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.features_ == "rows"
    np.testing.assert_array_equal(again.match_proba(X, X[::-1]), full.match_proba(X, X[::-1]))
    with pytest.raises(UsageError, match="features: a matcher reads the code or the rows"):
        CodeMatcher(ae, features="both").fit(X, y)
