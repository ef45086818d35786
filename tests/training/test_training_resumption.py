"""Training resumes from checkpoints to the bit, or the error says why not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from training_runs import after, checkpoint_files, equal, interrupted, small, weights

import narrows
from narrows import Autoencoder, DocumentAutoencoder, StackedAutoencoder
from narrows.artefact import read_artefact
from narrows.cli import run as cli
from narrows.data import read
from narrows.errors import (
    ModelFileError,
)
from narrows.training.loop import TrainingStopped


@pytest.fixture(params=["dense", "bytes", "sparse", "stream"])
def data(
    request: pytest.FixtureRequest,
    x: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    if request.param == "dense":
        return x
    if request.param == "bytes":
        return np.clip(x * 50 + 128, 0, 255).astype(np.uint8)
    if request.param == "sparse":
        return sp.csr_array(np.maximum(x * 3, 0).round())
    monkeypatch.setattr("narrows.data.stream.BLOCK_BYTES", 4 * 6 * 4)  # blocks of 4 rows
    monkeypatch.setattr("narrows.data.stream.POOL_BLOCKS", 3)
    np.save(tmp_path / "x.npy", x.astype("f4"))
    return read(tmp_path / "x.npy", stream=True)


def outcome(model: Autoencoder) -> tuple[Any, ...]:
    """Return everything except weights that must not depend on interruptions."""
    record = model.model_.record
    return (
        model.history_,
        model.validation_history_,
        record["best_epoch"],
        record["stopped_early"],
    )


@pytest.mark.parametrize(
    ("every", "linear_start"),
    [(1, False), (3, False), (4, False), (7, False), (1, True), (3, True)],
)
def test_a_resumed_run_ends_like_the_uninterrupted_one(
    data: Any, tmp_path: Path, every: int, linear_start: bool
) -> None:
    whole, parts = small(linear_start=linear_start).fit(data), small(linear_start=linear_start)
    assert interrupted(parts, data, tmp_path / "c", every) > 1
    assert equal(weights(parts), weights(whole))
    assert outcome(parts) == outcome(whole)


def test_resuming_keeps_the_best_weights_from_before(x: np.ndarray, tmp_path: Path) -> None:
    """The rate is so high that an early epoch is the best, before the interruption."""
    model = partial(small, learning_rate=0.5, max_epochs=30, patience=4, linear_start=False)
    whole, parts = model().fit(x), model()
    assert whole.model_.record["stopped_early"]
    interrupted(parts, x, tmp_path / "c", 5)
    assert equal(weights(parts), weights(whole)) and outcome(parts) == outcome(whole)


def test_checkpoints_do_not_change_the_result(x: np.ndarray, tmp_path: Path) -> None:
    model = partial(small, linear_start=False)
    assert equal(weights(model().fit(x, checkpoint=tmp_path)), weights(model().fit(x)))


def test_resuming_a_finished_run_gives_its_result(x: np.ndarray, tmp_path: Path) -> None:
    model = partial(small, linear_start=False)
    first = model().fit(x, checkpoint=tmp_path)
    again = model().fit(x, checkpoint=tmp_path, resume=True)
    assert equal(weights(again), weights(first)) and outcome(again) == outcome(first)


def test_a_finished_run_continues_with_more_epochs(x: np.ndarray, tmp_path: Path) -> None:
    """It continues from the last weights, at the rate of the longer schedule."""
    first = small(patience=None, linear_start=False).fit(x, checkpoint=tmp_path)
    steps_taken: list[None] = []
    count = lambda: steps_taken.append(None) or False  # noqa: E731
    longer = small(patience=None, max_epochs=9, linear_start=False)
    longer.fit(x, checkpoint=tmp_path, resume=True, stop_requested=count)
    assert longer.history_[:5] == first.history_ and longer.n_epochs_ == 9
    assert len(steps_taken) == (9 - 5) * 4
    assert not equal(weights(longer), weights(first))


def test_resuming_a_finished_run_does_not_change_how_it_continues(
    x: np.ndarray, tmp_path: Path
) -> None:
    """The checkpoint that this writes has the random states of the one that it read."""
    for folder, epochs in ((tmp_path / "a", (2, 4)), (tmp_path / "b", (2, 2, 2, 4))):
        for i, max_epochs in enumerate(epochs):
            model = small(max_epochs=max_epochs, linear_start=False)
            last = model.fit(x, checkpoint=folder, resume=i > 0)
        if folder.name == "a":
            expected = last
    assert equal(weights(last), weights(expected)) and outcome(last) == outcome(expected)


def test_a_continued_run_can_be_interrupted(x: np.ndarray, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    model = partial(small, patience=2, linear_start=False)
    for folder in folders:
        model().fit(x, checkpoint=folder)
    whole = model(max_epochs=9).fit(x, checkpoint=folders[0], resume=True)
    with pytest.raises(TrainingStopped):
        model(max_epochs=9).fit(x, checkpoint=folders[1], resume=True, stop_requested=after(6))
    parts = model(max_epochs=9).fit(x, checkpoint=folders[1], resume=True)
    assert equal(weights(parts), weights(whole)) and outcome(parts) == outcome(whole)


def test_a_run_that_stopped_early_continues_with_more_epochs(x: np.ndarray, tmp_path: Path) -> None:
    """Patience is counted from the start, and the best weights are kept."""
    model = partial(small, learning_rate=0.5, patience=4, linear_start=False)
    first = model(max_epochs=30).fit(x, checkpoint=tmp_path)
    longer = model(max_epochs=60).fit(x, checkpoint=tmp_path, resume=True)
    assert first.model_.record["stopped_early"]
    assert longer.n_epochs_ >= first.n_epochs_ + 4
    best = min(longer.validation_history_)
    assert best <= min(first.validation_history_)
    assert longer.model_.record["best_epoch"] == longer.validation_history_.index(best) + 1


def test_more_patience_gives_the_result_of_that_patience_from_the_start(
    x: np.ndarray, tmp_path: Path
) -> None:
    model = partial(small, learning_rate=0.5, max_epochs=30, linear_start=False)
    assert model(patience=2).fit(x, checkpoint=tmp_path).model_.record["stopped_early"]
    parts = model(patience=6).fit(x, checkpoint=tmp_path, resume=True)
    whole = model(patience=6).fit(x)
    assert equal(weights(parts), weights(whole)) and outcome(parts) == outcome(whole)


def test_fewer_epochs_than_were_trained_are_refused(x: np.ndarray, tmp_path: Path) -> None:
    small(patience=None, linear_start=False).fit(x, checkpoint=tmp_path)
    with pytest.raises(ModelFileError, match="has trained for 5 epochs, and max_epochs is 3 now"):
        small(patience=None, max_epochs=3, linear_start=False).fit(
            x, checkpoint=tmp_path, resume=True
        )


def test_an_unfinished_run_must_be_finished_first(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="or finish that training first and then go on"):
        small(max_epochs=6).fit(x, checkpoint=stopped, resume=True)


@pytest.mark.parametrize("kind", ["layers", "neighbor_model"])
def test_pretrained_parts_stay_when_a_finished_run_continues(kind: str, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(0.3, (60, 12)).astype("f4") + np.eye(60, 12)
    rows = sp.csr_array(counts)
    n_neighbors = 0 if kind == "layers" else 5
    model = partial(
        DocumentAutoencoder, 2, hidden=(8, 6), pretrain="denoising" if kind == "layers" else None,
        pretrain_epochs=2, n_neighbors=n_neighbors, random_state=0, linear_start=False,
    )  # fmt: skip
    first = model(max_epochs=2).fit(rows, checkpoint=tmp_path)
    longer = model(max_epochs=4).fit(rows, checkpoint=tmp_path, resume=True)
    part = "pretraining" if kind == "layers" else "neighbor_model"
    assert longer.model_.record[part] == first.model_.record[part]
    assert longer.history_[:2] == first.history_ and longer.n_epochs_ == 4


def test_a_checkpoint_opens_as_a_model(x: np.ndarray, stopped: Path) -> None:
    """It holds the best weights on held-out rows so far."""
    newest = checkpoint_files(stopped)[-1]
    opened, held = narrows.load(newest), read_artefact(newest, kind="checkpoint").tensors
    assert type(opened) is Autoencoder and opened.get_params()["hidden"] == (5,)
    assert (opened.n_epochs_, opened.n_features_in_) == (1, 6)
    expected = {k.removeprefix("best."): v for k, v in held.items() if k.startswith("best.")}
    assert expected and equal(weights(opened), expected)
    whole = small().fit(x)
    assert opened.model_.scaling.kind == whole.model_.scaling.kind
    assert opened.evaluate(x).baseline_squared_error == whole.evaluate(x).baseline_squared_error
    assert np.isfinite(opened.reconstruct(x)).all()


def test_the_last_checkpoint_opens_as_the_model_that_was_saved(
    x: np.ndarray, tmp_path: Path
) -> None:
    model = small().fit(x, checkpoint=tmp_path)
    opened = narrows.load(checkpoint_files(tmp_path)[-1])
    np.testing.assert_array_equal(opened.transform(x), model.transform(x))


def test_a_checkpoint_stores_no_weight_of_the_model_twice(stopped: Path) -> None:
    tensors = read_artefact(checkpoint_files(stopped)[-1], kind="checkpoint").tensors
    assert not [name for name in tensors if name.startswith("model.net.")]


def test_a_layers_checkpoint_does_not_open_as_a_model(x: np.ndarray, tmp_path: Path) -> None:
    StackedAutoencoder(2, hidden=(4,), pretrain_epochs=1, max_epochs=1).fit(x, checkpoint=tmp_path)
    with pytest.raises(ModelFileError, match="a checkpoint of a part of a training, such as a lay"):
        narrows.load(checkpoint_files(tmp_path / "layer-1")[-1])


def test_the_error_for_the_folder_names_a_checkpoint_that_opens(stopped: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a folder.*; .* checkpoint-000002\.saf"):
        narrows.load(stopped)


def test_the_command_line_resumes_and_opens_checkpoints(x: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x)
    data, output = str(tmp_path / "x.npy"), tmp_path / "m"
    command = ["fit", data, "-o", str(output), "-k", "2", "--hidden", "5", "--seed", "0", "-q"]
    assert cli([*command, "--epochs", "2", "--keep-checkpoints"]) == 0
    newest = checkpoint_files(tmp_path / "m.checkpoints")[-1]
    codes = tmp_path / "z.npy"
    assert cli(["encode", str(newest), data, "-o", str(codes)]) == 0
    np.testing.assert_array_equal(np.load(codes), narrows.load(output).transform(x))
    assert cli([*command, "--epochs", "4"]) == 2
    assert cli([*command, "--epochs", "4", "--resume"]) == 0
    assert narrows.load(output).n_epochs_ == 4
    assert not (tmp_path / "m.checkpoints").exists()


def test_without_kept_checkpoints_the_command_line_says_why_it_restarts(
    x: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", x)
    command = ["fit", str(tmp_path / "x.npy"), "-o", str(tmp_path / "m"), "-k", "2", "-q"]
    for resume in ([], ["--resume"]):
        assert cli([*command, "--hidden", "5", "--epochs", "1", *resume]) == 0
    assert "its checkpoints are gone (--keep-checkpoints keeps them)" in capsys.readouterr().err


def test_without_resume_training_starts_over(x: np.ndarray, tmp_path: Path) -> None:
    model = partial(small, linear_start=False)
    with pytest.raises(TrainingStopped):
        model(learning_rate=0.1).fit(x, checkpoint=tmp_path, stop_requested=after(9))
    assert equal(weights(model().fit(x, checkpoint=tmp_path)), weights(model().fit(x)))


def test_resuming_without_a_checkpoint_starts_over(x: np.ndarray, tmp_path: Path) -> None:
    model = partial(small, linear_start=False)
    resumed = model().fit(x, checkpoint=tmp_path, resume=True)
    assert equal(weights(resumed), weights(model().fit(x)))


def test_a_resumed_run_continues_where_it_stopped(x: np.ndarray, stopped: Path) -> None:
    steps_taken: list[None] = []
    small(patience=None).fit(x, stop_requested=lambda: steps_taken.append(None) or False)
    total = len(steps_taken)
    steps_taken.clear()
    count = lambda: steps_taken.append(None) or False  # noqa: E731
    record = small().fit(x, checkpoint=stopped, resume=True, stop_requested=count).model_.record
    expected = total if not record["stopped_early"] else len(record["epochs"]) * 4
    assert len(steps_taken) == expected - 8
