"""The checkpoint folder: files kept, damaged files skipped, and refused resumptions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from artefact_files import put_together, take_apart
from training_runs import after, checkpoint_files, equal, interrupted, small, weights

import narrows
from narrows import CodeClassifier, LinearAutoencoder
from narrows.artefact import read_artefact
from narrows.data.array_sources import array_source
from narrows.errors import (
    DataChanged,
    LaterFormat,
    ModelFileError,
    OutputBusy,
    ResourceError,
    TrainingDiverged,
)
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.loop import TrainingStopped


def test_the_last_two_checkpoints_are_kept(x: np.ndarray, tmp_path: Path) -> None:
    interrupted(small(), x, tmp_path, 3)
    assert len(checkpoint_files(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "pickle"])
def test_a_damaged_newest_checkpoint_is_skipped(x: np.ndarray, stopped: Path, damage: str) -> None:
    newest = checkpoint_files(stopped)[-1]
    content = newest.read_bytes()
    damaged = {
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "cut": content[:-100],
        "empty": b"",
        "pickle": b"\x80\x04]." * 10,
    }
    newest.write_bytes(damaged[damage])
    steps_taken: list[None] = []
    count = lambda: steps_taken.append(None) or False  # noqa: E731
    resumed = small().fit(x, checkpoint=stopped, resume=True, stop_requested=count)
    whole_steps: list[None] = []
    whole = small().fit(x, stop_requested=lambda: whole_steps.append(None) or False)
    assert equal(weights(resumed), weights(whole)) and len(steps_taken) == len(whole_steps) - 5


def test_damaged_checkpoints_alone_are_refused_and_stay(x: np.ndarray, stopped: Path) -> None:
    for path in checkpoint_files(stopped):
        path.write_bytes(b"mine")
    with pytest.raises(ModelFileError, match="no checkpoint can be read.*too short.*resume"):
        small().fit(x, checkpoint=stopped, resume=True)
    assert [path.read_bytes() for path in checkpoint_files(stopped)] == [b"mine", b"mine"]
    assert equal(weights(small().fit(x, checkpoint=stopped)), weights(small().fit(x)))


def test_a_checkpoint_of_a_later_version_is_not_skipped(x: np.ndarray, stopped: Path) -> None:
    newest = checkpoint_files(stopped)[-1]
    header, body, payload = take_apart(newest.read_bytes())
    newest.write_bytes(put_together(header, {**body, "format_version": 99}, payload))
    with pytest.raises(LaterFormat, match="written in format 99, this Narrows reads up to"):
        small().fit(x, checkpoint=stopped, resume=True)
    assert newest.exists()


def test_foreign_files_in_the_folder_are_left_alone(x: np.ndarray, stopped: Path) -> None:
    for name in ("checkpoint-best.safetensors", "checkpoint-.safetensors", "notes.txt"):
        (stopped / name).write_bytes(b"mine")
    resumed = small().fit(x, checkpoint=stopped, resume=True)
    assert equal(weights(resumed), weights(small().fit(x)))
    assert (stopped / "checkpoint-best.safetensors").read_bytes() == b"mine"


def test_a_model_file_is_not_a_checkpoint(x: np.ndarray, stopped: Path) -> None:
    small().fit(x).save(checkpoint_files(stopped)[-1])
    saved = Checkpoints(stopped)
    spec = saved.newest().spec
    saved.close()
    assert (spec["epoch"], spec["position"]) == (1, 1)


def test_a_checkpoint_holds_the_moments_and_the_random_states(stopped: Path) -> None:
    names = read_artefact(checkpoint_files(stopped)[-1], kind="checkpoint").tensors
    assert {"optimizer.0.exp_avg_sq", "random.noise", "random.sampler", "sums"} <= names.keys()


def test_other_data_are_refused(x: np.ndarray, stopped: Path) -> None:
    x[3, 2] += 1e-4
    with pytest.raises(DataChanged, match="resume: the data differ from the checkpoint"):
        small().fit(x, checkpoint=stopped, resume=True)


def named(x: np.ndarray, first: str = "a") -> pd.DataFrame:
    return pd.DataFrame(x, columns=[first, *map(str, range(1, x.shape[1]))])


def stopped_at(x: Any, folder: Path) -> Path:
    with pytest.raises(TrainingStopped):
        small().fit(x, checkpoint=folder, stop_requested=after(3))
    return folder


def test_other_names_of_columns_are_refused(x: np.ndarray, tmp_path: Path) -> None:
    folder = stopped_at(named(x), tmp_path / "c")
    with pytest.raises(DataChanged, match="resume: column 0 was called 'a' in the checkpoint, and"):
        small().fit(named(x, "b"), checkpoint=folder, resume=True)
    assert small().fit(named(x), checkpoint=folder, resume=True).feature_names_in_[0] == "a"


def test_names_given_in_either_run_are_kept(x: np.ndarray, tmp_path: Path) -> None:
    folder = stopped_at(named(x), tmp_path / "c")
    source = array_source(x)
    again = small().fit(source, checkpoint=folder, resume=True)
    assert again.feature_names_in_[0] == again.model_.schema.names[0] == "a"
    assert source.names is None
    folder = stopped_at(x, tmp_path / "d")
    assert small().fit(named(x), checkpoint=folder, resume=True).feature_names_in_[0] == "a"


def test_a_fit_that_fails_before_its_first_checkpoint_leaves_no_folder(
    x: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise ResourceError("no space left")

    def fails(folder: Path, estimator: Any, *y: Any) -> None:
        with pytest.raises(ResourceError, match="no space left"):
            estimator.fit(x, *y, checkpoint=folder)

    folder = stopped_at(x, tmp_path / "before")
    monkeypatch.setattr("narrows.training.checkpoint_folder.write_artefact", full)
    fails(tmp_path / "c", small())
    fails(tmp_path / "d", CodeClassifier(small(), random_state=0), np.arange(len(x)) % 2)
    assert not (tmp_path / "c").exists() and not (tmp_path / "d").exists()
    fails(folder, small())  # those of another training stay
    assert checkpoint_files(folder)


def test_fewer_data_are_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(DataChanged, match="start over with resume=False"):
        small().fit(x[:-1], checkpoint=stopped, resume=True)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.003},
        {"max_epochs": 6},
        {"batch_size": 9},
        {"patience": 3},
        {"validation_fraction": 0.3},
        {"precision": "bfloat16"},
        {"scale": "center"},
    ],
    ids=str,
)
def test_other_arguments_are_refused(x: np.ndarray, stopped: Path, change: dict[str, Any]) -> None:
    name, value = next(iter(change.items()))
    with pytest.raises(
        ModelFileError, match=f"resume: {name} is .* and '?{value}'? now; start over"
    ):
        small(**change).fit(x, checkpoint=stopped, resume=True)


@pytest.mark.parametrize(
    "change",
    [{"hidden": (6,)}, {"n_components": 3}, {"corruption": "masking:0.2"}, {"activation": "relu"}],
    ids=str,
)
def test_another_net_is_refused(x: np.ndarray, stopped: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="resume: .* in the checkpoint and .* now"):
        small(**change).fit(x, checkpoint=stopped, resume=True)


def test_another_seed_is_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: seed is .* in the checkpoint and .* now"):
        small(random_state=1).fit(x, checkpoint=stopped, resume=True)


def test_another_variant_is_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: .* in the checkpoint and .* now"):
        LinearAutoencoder(n_components=2).fit(x, checkpoint=stopped, resume=True)


def test_a_second_training_into_one_output_is_refused(x: np.ndarray, tmp_path: Path) -> None:
    first = Checkpoints(tmp_path)
    with pytest.raises(OutputBusy, match="another training is writing there; wait, or choose ano"):
        small().fit(x, checkpoint=tmp_path)
    first.close()


@pytest.mark.parametrize("steps", [3, 10**6])
def test_the_output_is_free_again_after_a_training(
    x: np.ndarray, tmp_path: Path, steps: int
) -> None:
    try:
        small().fit(x, checkpoint=tmp_path, stop_requested=after(steps))
    except TrainingStopped:
        pass
    Checkpoints(tmp_path).close()


def test_the_output_is_free_again_after_an_error(x: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged):
        small(learning_rate=1e38).fit(x, checkpoint=tmp_path)
    Checkpoints(tmp_path).close()


def test_a_checkpoint_folder_that_is_a_file_is_refused(x: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(ResourceError, match="c: cannot be written: File exists"):
        small().fit(x, checkpoint=tmp_path / "c")


def test_clearing_removes_the_folder(stopped: Path) -> None:
    checkpoints = Checkpoints(stopped)
    (stopped / ".narrows-00.tmp").write_bytes(b"left by a killed writer")
    checkpoints.clear()
    checkpoints.close()
    assert not stopped.exists()


def test_clearing_leaves_a_users_files(stopped: Path) -> None:
    (stopped / "notes.txt").write_bytes(b"mine")
    checkpoints = Checkpoints(stopped)
    checkpoints.clear()
    checkpoints.close()
    assert os.listdir(stopped) == ["notes.txt"]


def test_the_resumed_model_loads(x: np.ndarray, stopped: Path, tmp_path: Path) -> None:
    model = small().fit(x, checkpoint=stopped, resume=True)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(narrows.load(tmp_path / "m").transform(x), model.transform(x))
