"""The number of epochs is chosen by trials, and the net trained again on all rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from narrows import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    load,
)
from narrows.cli import run as cli
from narrows.data.splitting import Grouping
from narrows.estimators.autoencoders.fit import fit_autoencoder, held_out_evaluation
from narrows.fitting.auto_settings import held_out_fraction
from narrows.fitting.trials import choose_epoch
from narrows.training.early_stopping import EarlyStopping, HeldOutErrors, clearly_lower
from narrows.training.loop import TrainingStopped


def errors(*rows, weights=None):
    values = torch.tensor(rows)
    mean = float(values.mean() if weights is None else (values * weights).mean())
    return HeldOutErrors(mean, values, weights)


def rows_of(rng, n):
    z = rng.normal(size=(n, 2))
    return np.column_stack([z, z[:, 0] ** 2, np.sin(3 * z[:, 1]), z @ rng.normal(size=(2, 4))])


def test_an_epoch_must_be_better_by_more_than_two_standard_errors():
    start = errors(1.0, 2.0, 3.0, 4.0)
    assert clearly_lower(errors(0.9, 1.9, 2.9, 3.9), start)
    assert not clearly_lower(errors(0.0, 3.0, 2.0, 4.5), start)  # lower, but by chance
    assert not clearly_lower(errors(0.1, 2.1, 2.1, 4.1), start)  # by 1.4 standard errors
    assert not clearly_lower(errors(1.0), errors(2.0))  # one row has no standard error


def test_weights_count_in_the_comparison():
    start, after = (1.0, 1.0, 1.0, 1.0), (0.5, 0.5, 0.6, 3.0)
    weights = torch.tensor([1.3, 1.3, 1.39, 0.01])
    assert not clearly_lower(errors(*after), errors(*start))
    assert clearly_lower(errors(*after, weights=weights), errors(*start, weights=weights))


def test_all_trials_choose_one_epoch():
    first = [errors(2.0, 2.0), errors(1.0, 1.1), errors(0.9, 1.0)]
    second = [errors(2.0, 2.0), errors(1.2, 1.1), errors(1.9, 2.0), errors(0.1, 0.1)]
    chosen = choose_epoch([first, second], first=0)
    assert chosen.epoch == 1  # 3 is not of all trials, 2 is worse in the second
    assert chosen.held_out.rows.tolist() == pytest.approx([1.0, 1.1, 1.2, 1.1])


def judged(mean, *rows):
    """Return errors of rows beside a J whose epochs must not cost any error."""
    return HeldOutErrors(mean, torch.tensor(rows), judged_by="bounded")


def test_trials_choose_the_lowest_j_among_epochs_with_a_lower_error():
    start = judged(9.0, 1.0, 1.0, 1.0)
    better, worse = judged(5.0, 0.7, 0.8, 0.8), judged(2.0, 1.2, 1.1, 1.3)
    assert choose_epoch([[start, better, worse]], first=0).epoch == 1
    assert choose_epoch([[start, worse, worse]], first=0).epoch == 0
    assert choose_epoch([[better, worse]], first=1).epoch == 2  # no start to compare with


def test_early_stopping_keeps_no_epoch_out_of_bounds_but_waits_for_it():
    net = torch.nn.Linear(1, 1)
    stopping = EarlyStopping(patience=2)
    js = [judged(9.0, 1.0, 1.0), judged(5.0, 1.2, 1.3), judged(4.0, 1.2, 1.3)]
    assert not any(stopping.update(i, errors, net) for i, errors in enumerate(js))
    assert stopping.best_epoch == 0
    restored = EarlyStopping(patience=2)
    restored.restore(*stopping.state())
    for one in (stopping, restored):
        assert not one.update(3, judged(4.5, 1.2, 1.3), net)
        assert one.update(4, judged(4.5, 1.2, 1.3), net)  # two epochs after that of J = 4


def test_checkpoints_of_before_say_how_errors_are_judged():
    stopping = EarlyStopping(patience=None)
    stopping.update(1, errors(1.0, 2.0), torch.nn.Linear(1, 1))
    tensors, values = stopping.state()
    del values["lowest"]
    for old, kind in ((True, "error"), (False, "objective")):
        values["error.best"] = [1.5, old]
        restored = EarlyStopping(patience=None)
        restored.restore(tensors, values)
        assert restored.state()[1]["error.best"] == [1.5, kind]


@pytest.mark.parametrize(
    "estimator",
    [
        DenoisingAutoencoder(3, random_state=0),
        VariationalAutoencoder(3, random_state=0),
        SparseAutoencoder(3, random_state=0),
        ContractiveAutoencoder(3, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_defaults_cost_no_error_beside_the_linear_code(estimator, rng):
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 10)) + 0.5 * rng.normal(size=(300, 10))
    fitted = estimator.set_params(max_epochs=20, scale="none").fit(x[:100])
    assert fitted.model_.objective.judged_by == "bounded"
    pca = PCA(3).fit(x[:100])
    by_pca = np.square(x[100:] - pca.inverse_transform(pca.transform(x[100:]))).mean()
    assert np.square(x[100:] - fitted.reconstruct(x[100:])).mean() < 1.03 * by_pca


def test_a_penalty_that_is_asked_for_counts(rng):
    x = rng.normal(size=(60, 5))
    for estimator in (
        SparseAutoencoder(2, weight=0.01),
        VariationalAutoencoder(2, beta=1.0),
        Autoencoder(2, penalties=("l2:0.1",)),
    ):
        fitted = estimator.set_params(max_epochs=1, random_state=0).fit(x)
        assert fitted.model_.objective.judged_by == "objective"


def test_folds_hold_out_every_row_once_and_keep_groups_together():
    groups = torch.arange(23) // 3
    folds = Grouping(groups).folds(23, 5, generator=torch.Generator().manual_seed(0))
    held_out = torch.stack([fold.held_out for fold in folds])
    assert (held_out.sum(dim=0) == 1).all()
    for fold in folds:
        assert not set(groups[fold.held_out].tolist()) & set(groups[fold.training].tolist())


def test_a_gap_is_left_out_around_blocks():
    grouping = Grouping(block_length=5, gap=2)
    for fold in grouping.folds(40, 4, generator=torch.Generator().manual_seed(0)):
        for row in fold.held_out.nonzero()[:, 0].tolist():
            assert not fold.training[max(0, row - 2) : row + 3].any()


@pytest.mark.parametrize(("n", "share"), [(5, 0), (9, 0), (200, 0.2), (1000, 0.1), (10**6, 0.1)])
def test_the_share_of_held_out_rows(n, share):
    assert held_out_fraction("auto", n) == share


@pytest.mark.parametrize("n", [60, 300])
def test_few_rows_are_all_trained_on_in_the_end(n, rng):
    x = rows_of(rng, n)
    ae = Autoencoder(2, random_state=0).fit(x)
    record = ae.model_.record
    assert record["n_rows"] == n and record["refit_epochs"] == record["best_epoch"]
    assert len(ae.history_) == len(ae.validation_history_) == ae.n_epochs_
    assert len(ae.model_.calibration) == (n if n < 200 else 40)
    centered = (x - x.mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(centered, 0, atol=1e-9)


def test_calibrated_errors_are_those_of_rows_not_trained_on(rng):
    x, new = np.split(rows_of(rng, 1150), [150])
    shares = []
    for seed in range(4):
        ae = Autoencoder(2, max_epochs=30, random_state=seed).fit(x)
        shares.append((ae.p_values(new) <= 0.2).mean())
    assert 0.1 < np.mean(shares) < 0.25


def test_many_rows_are_held_out_once_and_not_trained_on(rng):
    x = rows_of(rng, 2100)
    ae = Autoencoder(2, max_epochs=3, random_state=0).fit(x)
    assert ae.model_.record["n_rows"] == 1890 and ae.model_.record["refit_epochs"] is None


def test_a_number_holds_out_that_share_and_trains_once(rng):
    x = rows_of(rng, 60)
    record = Autoencoder(2, validation_fraction=0.25, max_epochs=3, random_state=0).fit(x).model_
    assert record.record["n_rows"] == 45 and record.record["refit_epochs"] is None


def test_the_printed_error_is_that_of_the_chosen_epoch(rng, tmp_path, capsys):
    x = rng.normal(size=(90, 4)) @ rng.normal(size=(4, 6))  # linear: the start is kept
    np.save(tmp_path / "x.npy", x)
    command = ["fit", str(tmp_path / "x.npy"), "-o", str(tmp_path / "m"), "-k", "2", "--json"]
    assert cli([*command, "--seed", "0"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["training"]["best_epoch"] == 0 and shown["rows"] == "folds"
    assert shown["squared_error"] == pytest.approx(shown["baseline_squared_error"], rel=1e-3)


def test_the_error_of_folds_is_the_mean_of_the_calibrated_errors(rng):
    fitted = fit_autoencoder(Autoencoder(2, max_epochs=20, random_state=0), rows_of(rng, 60))
    shown = held_out_evaluation(fitted)
    expected = float(fitted.model.calibration.mean())
    assert shown.n_rows == 60 and shown.squared_error == pytest.approx(expected, rel=1e-5)


def test_a_trial_has_one_line_of_progress(rng, capsys):
    Autoencoder(2, max_epochs=40, verbose=2, random_state=0).fit(rows_of(rng, 60))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fold")]
    assert [line[:11] for line in lines] == [f"fold {i} of 5" for i in range(1, 6)]


@pytest.mark.parametrize("n", [2, 3, 9])
def test_very_few_rows_keep_the_linear_start(n, rng):
    x = rows_of(rng, n)
    ae = Autoencoder(1, random_state=0).fit(x)
    assert ae.n_epochs_ == 0
    assert ae.evaluate(x).squared_error <= 1.0001 * ae.evaluate(x).baseline_squared_error + 1e-9


def test_given_rows_replace_the_trials(rng):
    x = rows_of(rng, 60)
    ae = Autoencoder(2, max_epochs=3, random_state=0).fit(x[:40], validation_data=x[40:])
    assert ae.model_.record["n_rows"] == 40 and ae.model_.record["n_validation_rows"] == 20


@pytest.mark.parametrize("stop_after", [3, 60, 200, 330])
def test_interrupted_trials_resume_to_the_same_net(stop_after, rng, tmp_path):
    x = rows_of(rng, 50)

    def new():
        return Autoencoder(2, hidden=(8,), max_epochs=20, patience=None, random_state=0)

    whole = new().fit(x)
    steps = iter(range(10**6))
    try:
        new().fit(x, checkpoint=tmp_path / "c", stop_requested=lambda: next(steps) == stop_after)
    except TrainingStopped:
        pass
    resumed = new().fit(x, checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(resumed.transform(x), whole.transform(x))
    assert resumed.model_.record["best_epoch"] == whole.model_.record["best_epoch"]


def test_a_refitted_net_is_saved_and_loaded(rng, tmp_path):
    x = rows_of(rng, 50)
    ae = Autoencoder(2, hidden=(8,), max_epochs=5, random_state=0).fit(x)
    ae.save(tmp_path / "m")
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again.transform(x), ae.transform(x))
    assert again.model_.record["refit_epochs"] == ae.model_.record["refit_epochs"]
