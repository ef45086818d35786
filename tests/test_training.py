"""Training: it learns, stops, resumes to the bit, and says when it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

import narrows
from narrows import Autoencoder, LinearAutoencoder
from narrows.artefact import read_artefact
from narrows.cli import main
from narrows.cli._signals import StopOnSignal
from narrows.data import read
from narrows.data.scaling import Scaling
from narrows.data.source import DenseSource
from narrows.errors import (
    DataChanged,
    ModelFileError,
    OutputBusy,
    ResourceError,
    TrainingDiverged,
    UsageError,
)
from narrows.model import build_objective
from narrows.training.checkpoints import Checkpoints
from narrows.training.loop import TrainingStopped, mean_error, train
from narrows.training.precision import resolve_device, resolve_precision
from narrows.training.schedule import rate_factor
from narrows.training.trainer import Trainer

KILLS = int(os.environ.get("NARROWS_KILLS", "10"))


def small(**changes: Any) -> Autoencoder:
    arguments = {
        "n_components": 2,
        "hidden": (5,),
        "corruption": "masking:0.3",
        "max_epochs": 5,
        "batch_size": 8,
        "validation_fraction": 0.25,
        "patience": 2,
        "random_state": 0,
    }
    return Autoencoder(**{**arguments, **changes})


def small_trainer(n_features: int = 4, *, seed: int = 0, learning_rate: float = 0.01) -> Trainer:
    objective = build_objective("plain", {"n_components": 2, "hidden": [5]}, n_features, seed=seed)
    device = torch.device("cpu")
    return Trainer(
        objective,
        Scaling("none"),
        learning_rate=learning_rate,
        precision="float32",
        device=device,
        seed=seed,
    )


def weights(model: Any) -> dict[str, Tensor]:
    """Return copies of the weights of an estimator or a trainer."""
    objective = model.objective if isinstance(model, Trainer) else model.model_.objective
    return {name: value.clone() for name, value in objective.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def after(steps: int) -> Callable[[], bool]:
    """Return a stop request that comes after so many steps."""
    countdown = iter(range(steps, -1, -1))
    return lambda: next(countdown) <= 1


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(41, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(41, 6))


# It learns


def test_the_objective_falls(x: np.ndarray) -> None:
    history = small(max_epochs=30, learning_rate=0.01, patience=None).fit(x).history_
    assert history[-1] < 0.7 * history[0]


def test_every_weight_moves(x: np.ndarray) -> None:
    trainer = small_trainer(6)
    before = weights(trainer)
    train(trainer, DenseSource(x.astype("f4")), max_epochs=1, batch_size=8)
    assert all((weights(trainer)[name] != value).any() for name, value in before.items())


@pytest.mark.parametrize("batch_size", [5, 64])
def test_a_single_step_moves_the_weights(batch_size: int) -> None:
    """Fewer rows than a batch, one epoch: the schedule must not end at 0 before it began."""
    trainer = small_trainer()
    before = weights(trainer)
    train(trainer, DenseSource(torch.ones(5, 4)), max_epochs=1, batch_size=batch_size)
    assert not equal(weights(trainer), before)


def test_the_last_step_moves_the_weights() -> None:
    trainer = small_trainer()
    seen: list[dict[str, Tensor]] = []
    stop = lambda: seen.append(weights(trainer)) or False  # noqa: E731
    source = DenseSource(torch.rand(9, 4))
    train(trainer, source, max_epochs=2, batch_size=8, stop_requested=stop)
    assert not equal(seen[-1], seen[-2])


def test_a_last_batch_of_one_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (sizes.append(len(raw)), step(self, raw, **k))
    )
    train(small_trainer(), DenseSource(torch.rand(9, 4)), max_epochs=1, batch_size=8)
    assert sizes == [8, 1]


def test_every_row_is_seen_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (rows.extend(raw[:, 0]), step(self, raw, **k))
    )
    numbered = torch.arange(20.0)[:, None].expand(20, 4) / 20
    train(small_trainer(), DenseSource(numbered.clone()), max_epochs=3, batch_size=6)
    assert [sorted(rows[i : i + 20]) for i in (0, 20, 40)] == [numbered[:, 0].tolist()] * 3


def test_two_epochs_have_different_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (rows.extend(raw[:, 0]), step(self, raw, **k))
    )
    numbered = torch.arange(20.0)[:, None].expand(20, 4) / 20
    train(small_trainer(), DenseSource(numbered.clone()), max_epochs=2, batch_size=6)
    assert rows[:20] != rows[20:]


def test_the_record_is_the_mean_over_rows_and_not_over_batches() -> None:
    """At a rate near 0 the net stands still, and its error on all rows is known."""
    trainer = small_trainer(learning_rate=1e-12)
    source = DenseSource(torch.rand(9, 4, generator=torch.Generator().manual_seed(0)))
    record = train(trainer, source, max_epochs=1, batch_size=8)
    assert record.epochs[0].loss == pytest.approx(mean_error(trainer, source), rel=1e-5)


def test_two_rows_are_enough(x: np.ndarray) -> None:
    model = small(validation_fraction=0.0).fit(x[:2])
    assert np.isfinite(model.transform(x[:2])).all()


def test_partial_fit_reduces_the_error(x: np.ndarray) -> None:
    model = small(corruption="identity", learning_rate=0.01)
    scores = [model.partial_fit(x).score(x) for _ in range(15)]
    assert scores[-1] > 0.7 * scores[0]  # scores are minus errors


def test_partial_fit_does_not_let_the_rate_decay(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (factors.append(k["factor"]), step(self, raw, **k))
    )
    small().partial_fit(x).partial_fit(x)
    assert set(factors) == {1.0}


# The schedule


@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
def test_every_factor_is_in_reach(total: int) -> None:
    assert all(0 < rate_factor(step, total) <= 1 for step in range(total))


def test_the_rate_rises_and_then_falls() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    top = int(np.argmax(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_the_top_of_the_rate_is_at_the_end_of_the_warm_up() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    assert int(np.argmax(factors)) in (99, 100) and max(factors) == pytest.approx(1, abs=1e-5)


def test_the_warm_up_is_linear() -> None:
    assert rate_factor(49, 999) == pytest.approx(0.5)


def test_the_rate_is_halved_in_the_middle_of_the_cosine() -> None:
    assert rate_factor(549, 999) == pytest.approx(0.5)


def test_the_rate_ends_near_zero() -> None:
    assert rate_factor(999, 1000) < 1e-4


# Early stopping


@pytest.fixture
def worsening() -> dict[str, Any]:
    """Rows of 1, held-out rows of 0, which a new net rebuilds exactly: each step harms them."""
    return {
        "source": DenseSource(torch.ones(16, 4)),
        "validation": DenseSource(torch.zeros(8, 4)),
        "max_epochs": 50,
        "batch_size": 8,
        "constant_rate": True,
    }


def test_training_stops_after_patience_epochs(worsening: dict[str, Any]) -> None:
    record = train(small_trainer(), **worsening, patience=3)
    assert (len(record.epochs), record.best_epoch, record.stopped_early) == (4, 1, True)


def test_without_patience_training_does_not_stop(worsening: dict[str, Any]) -> None:
    record = train(small_trainer(), **worsening, patience=None)
    assert (len(record.epochs), record.best_epoch, record.stopped_early) == (50, 1, False)


def test_patience_longer_than_training_is_harmless(worsening: dict[str, Any]) -> None:
    assert len(train(small_trainer(), **worsening, patience=1000).epochs) == 50


def test_the_best_weights_come_back(worsening: dict[str, Any]) -> None:
    trainer, seen = small_trainer(), []
    note = lambda number, epoch: seen.append(weights(trainer))  # noqa: E731
    train(trainer, **worsening, patience=3, on_epoch=note)
    assert equal(weights(trainer), seen[0]) and not equal(seen[0], seen[1])


def test_the_kept_weights_have_the_recorded_error(worsening: dict[str, Any]) -> None:
    trainer = small_trainer()
    record = train(trainer, **worsening, patience=3)
    assert mean_error(trainer, worsening["validation"]) == record.epochs[0].validation


def test_held_out_rows_are_not_trained_on(x: np.ndarray) -> None:
    record = small().fit(x).model_.record
    assert (record["n_rows"], record["n_validation_rows"]) == (31, 10)


def test_other_held_out_values_leave_the_first_epoch_alone(worsening: dict[str, Any]) -> None:
    first, second = small_trainer(), small_trainer()
    worsening["max_epochs"] = 1
    train(first, **worsening)
    worsening["validation"] = DenseSource(torch.full((3, 4), 7.0))
    train(second, **worsening)
    assert equal(weights(first), weights(second))


# Seeds


def test_the_same_seed_repeats_to_the_bit(x: np.ndarray) -> None:
    assert equal(weights(small().fit(x)), weights(small().fit(x)))


@pytest.mark.parametrize("change", [{"random_state": 1}, {"learning_rate": 0.003}])
def test_another_seed_or_rate_gives_other_weights(x: np.ndarray, change: dict[str, Any]) -> None:
    assert not equal(weights(small().fit(x)), weights(small(**change).fit(x)))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_the_global_random_states_are_left_alone(x: np.ndarray, form: Any) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2]  # noqa: NPY002
    small().fit(form(x))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert np.random.get_state()[2] == before[2]  # noqa: NPY002


@pytest.mark.parametrize("seed", [0, 1])
def test_the_global_random_state_does_not_matter(x: np.ndarray, seed: int) -> None:
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    found = weights(small().fit(x))
    torch.set_rng_state(state)
    assert equal(found, weights(small().fit(x)))


# Divergence


def test_divergence_is_an_error(x: np.ndarray) -> None:
    model = small(learning_rate=1e6, hidden=(5, 5), activation="relu", max_epochs=50)
    with pytest.raises(TrainingDiverged, match=r"not finite in epoch \d+, by step \d+; lower lea"):
        model.fit(x)


def test_a_checkpoint_from_before_the_divergence_stays(x: np.ndarray, tmp_path: Path) -> None:
    trainer = small_trainer(6)
    trainer.learning_rate = 1e12
    checkpoints = Checkpoints(tmp_path, every=0)
    with pytest.raises(TrainingDiverged, match="not finite"):
        train(
            trainer,
            DenseSource((x * 1e6).astype("f4")),
            max_epochs=50,
            batch_size=8,
            checkpoints=checkpoints,
        )
    saved = checkpoints.newest()
    checkpoints.close()
    assert saved is not None and saved.spec["position"] > 0


def test_moments_that_overflow_are_divergence() -> None:
    """Adam's step is 0 from there on: without the check, nothing is learned in silence."""
    trainer = small_trainer()
    with pytest.raises(TrainingDiverged, match="the loss or a weight is not finite in epoch 1"):
        train(trainer, DenseSource(torch.full((8, 4), 1e15)), max_epochs=2, batch_size=8)


def test_a_held_out_error_that_is_not_finite_is_divergence() -> None:
    held_out = DenseSource(torch.full((2, 4), 1e25))
    with pytest.raises(TrainingDiverged, match="the held-out error is not finite after epoch 1"):
        train(
            small_trainer(),
            DenseSource(torch.ones(8, 4)),
            max_epochs=2,
            batch_size=8,
            validation=held_out,
        )


def test_a_fit_that_diverged_is_not_fitted(x: np.ndarray) -> None:
    model = small(learning_rate=float("inf"))
    with pytest.raises(TrainingDiverged):
        model.fit(x)
    assert not hasattr(model, "model_")


# Values that cannot be


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("max_epochs", 0, "max_epochs: must be an integer >= 1, got 0"),
        ("max_epochs", -1, "max_epochs: must be an integer >= 1, got -1"),
        ("max_epochs", 1.5, "max_epochs: must be an integer >= 1, got 1.5"),
        ("max_epochs", True, "max_epochs: must be an integer >= 1, got True"),
        ("learning_rate", -1, "learning_rate: must be a number > 0, got -1"),
        ("learning_rate", 0, "learning_rate: must be a number > 0, got 0"),
        ("learning_rate", float("nan"), "learning_rate: must be a number > 0, got nan"),
        ("learning_rate", "1", "learning_rate: must be a number > 0, got '1'"),
        ("batch_size", 0, "batch_size: must be an integer >= 1, got 0"),
        ("batch_size", -8, "batch_size: must be an integer >= 1, got -8"),
        ("batch_size", "all", "batch_size: must be 'auto' or an integer, got 'all'"),
        ("patience", 0, "patience: must be an integer >= 1, got 0"),
        ("patience", 2.5, "patience: must be an integer >= 1, got 2.5"),
        ("validation_fraction", 1, "validation_fraction: must be a number >= 0 and < 1, got 1"),
        ("validation_fraction", -0.1, "validation_fraction: must be a number >= 0 and < 1"),
        ("precision", "float16", "precision: must be 'auto', 'float32' or 'bfloat16', got 'float"),
        ("precision", None, "precision: must be 'auto', 'float32' or 'bfloat16', got None"),
        ("device", "nope", "device: 'nope' cannot be used: "),
    ],
)
def test_values_that_cannot_be_are_refused_in_fit(
    x: np.ndarray, name: str, value: Any, text: str
) -> None:
    model = small(**{name: value})  # not here
    with pytest.raises(UsageError, match=text.replace("(", r"\(")):
        model.fit(x)


# Precision and device


@pytest.mark.parametrize("device", ["nope", "", "cuda:9999", "meta", "hpu", "privateuseone", None])
def test_a_device_that_is_not_there_is_refused(device: Any) -> None:
    with pytest.raises(UsageError, match=r"device: .* cannot be used: .*; try 'cpu'\."):
        resolve_device(device)


def test_bfloat16_is_close_to_float32(x: np.ndarray) -> None:
    scores = [small(precision=p).fit(x).score(x) for p in ("float32", "bfloat16")]
    assert scores[1] == pytest.approx(scores[0], rel=0.05) and scores[0] != scores[1]


def test_bfloat16_leaves_weights_and_codes_in_float32(x: np.ndarray) -> None:
    model = small(precision="bfloat16").fit(x)
    kinds = {value.dtype for value in weights(model).values()}
    assert (kinds, model.transform(x).dtype) == ({torch.float32}, np.float32)


def test_small_nets_stay_in_float32() -> None:
    assert resolve_precision("auto", torch.device("cpu"), small_trainer().objective) == "float32"


def test_the_record_names_the_precision(x: np.ndarray) -> None:
    assert small(precision="bfloat16").fit(x).model_.record["precision"] == "bfloat16"


# Checkpoints and resumption


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
    """Return what must not depend on interruptions, the weights apart."""
    record = model.model_.record
    return (
        model.history_,
        model.validation_history_,
        record["best_epoch"],
        record["stopped_early"],
    )


def interrupted(model: Autoencoder, data: Any, folder: Path, every: int) -> int:
    """Fit with a stop after each ``every`` steps, to the end; return the number of stops."""
    for stops in range(1000):
        try:
            model.fit(data, checkpoint=folder, resume=stops > 0, stop_requested=after(every))
        except TrainingStopped:
            continue
        return stops
    raise AssertionError("the training never ended")


@pytest.mark.parametrize("every", [1, 3, 4, 7])
def test_a_resumed_run_ends_as_the_uninterrupted_one(data: Any, tmp_path: Path, every: int) -> None:
    whole, parts = small().fit(data), small()
    assert interrupted(parts, data, tmp_path / "c", every) > 1
    assert equal(weights(parts), weights(whole))
    assert outcome(parts) == outcome(whole)


def test_resuming_keeps_the_best_weights_from_before(x: np.ndarray, tmp_path: Path) -> None:
    """A rate so high that an early epoch is the best, and the stop comes after it."""
    model = partial(small, learning_rate=0.5, max_epochs=30, patience=4)
    whole, parts = model().fit(x), model()
    assert whole.model_.record["stopped_early"]
    interrupted(parts, x, tmp_path / "c", 5)
    assert equal(weights(parts), weights(whole)) and outcome(parts) == outcome(whole)


def test_checkpoints_do_not_change_the_result(x: np.ndarray, tmp_path: Path) -> None:
    assert equal(weights(small().fit(x, checkpoint=tmp_path)), weights(small().fit(x)))


def test_resuming_a_finished_run_gives_its_result(x: np.ndarray, tmp_path: Path) -> None:
    first = small().fit(x, checkpoint=tmp_path)
    again = small().fit(x, checkpoint=tmp_path, resume=True)
    assert equal(weights(again), weights(first)) and outcome(again) == outcome(first)


def test_without_resume_training_starts_anew(x: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        small(learning_rate=0.1).fit(x, checkpoint=tmp_path, stop_requested=after(9))
    assert equal(weights(small().fit(x, checkpoint=tmp_path)), weights(small().fit(x)))


def test_resuming_without_a_checkpoint_starts_anew(x: np.ndarray, tmp_path: Path) -> None:
    resumed = small().fit(x, checkpoint=tmp_path, resume=True)
    assert equal(weights(resumed), weights(small().fit(x)))


@pytest.fixture
def stopped(x: np.ndarray, tmp_path: Path) -> Path:
    """A folder with the checkpoints of steps 5 and 8 of a training."""
    for resume, steps in ((False, 5), (True, 3)):
        with pytest.raises(TrainingStopped):
            small().fit(x, checkpoint=tmp_path, resume=resume, stop_requested=after(steps))
    return tmp_path


def checkpoint_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.safetensors"))


def test_a_resumed_run_goes_on_where_it_stopped(x: np.ndarray, stopped: Path) -> None:
    asked: list[None] = []
    small(patience=None).fit(x, stop_requested=lambda: asked.append(None) or False)
    total = len(asked)
    asked.clear()
    count = lambda: asked.append(None) or False  # noqa: E731
    record = small().fit(x, checkpoint=stopped, resume=True, stop_requested=count).model_.record
    assert len(asked) == (total if not record["stopped_early"] else len(record["epochs"]) * 4) - 8


def test_the_last_two_checkpoints_are_kept(x: np.ndarray, tmp_path: Path) -> None:
    interrupted(small(), x, tmp_path, 3)
    assert len(checkpoint_files(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "pickle"])
def test_a_damaged_newest_checkpoint_is_passed_over(
    x: np.ndarray, stopped: Path, damage: str
) -> None:
    newest = checkpoint_files(stopped)[-1]
    content = newest.read_bytes()
    damaged = {
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "cut": content[:-100],
        "empty": b"",
        "pickle": b"\x80\x04]." * 10,
    }
    newest.write_bytes(damaged[damage])
    asked: list[None] = []
    count = lambda: asked.append(None) or False  # noqa: E731
    resumed = small().fit(x, checkpoint=stopped, resume=True, stop_requested=count)
    whole_asked: list[None] = []
    whole = small().fit(x, stop_requested=lambda: whole_asked.append(None) or False)
    assert equal(weights(resumed), weights(whole)) and len(asked) == len(whole_asked) - 5


def test_only_damaged_checkpoints_start_anew(x: np.ndarray, stopped: Path) -> None:
    for path in checkpoint_files(stopped):
        path.write_bytes(b"")
    resumed = small().fit(x, checkpoint=stopped, resume=True)
    assert equal(weights(resumed), weights(small().fit(x)))


def test_foreign_files_in_the_folder_are_left_alone(x: np.ndarray, stopped: Path) -> None:
    for name in ("checkpoint-best.safetensors", "checkpoint-.safetensors", "notes.txt"):
        (stopped / name).write_bytes(b"mine")
    resumed = small().fit(x, checkpoint=stopped, resume=True)
    assert equal(weights(resumed), weights(small().fit(x)))
    assert (stopped / "checkpoint-best.safetensors").read_bytes() == b"mine"


def test_a_model_is_no_checkpoint(x: np.ndarray, stopped: Path) -> None:
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
    with pytest.raises(DataChanged, match="resume: the data are not those of the checkpoint"):
        small().fit(x, checkpoint=stopped, resume=True)


def test_fewer_data_are_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(DataChanged, match="train anew without resume"):
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
    with pytest.raises(ModelFileError, match=f"resume: {name} was .* and is '?{value}'?; train an"):
        small(**change).fit(x, checkpoint=stopped, resume=True)


@pytest.mark.parametrize(
    "change",
    [{"hidden": (6,)}, {"n_components": 3}, {"corruption": "masking:0.2"}, {"activation": "relu"}],
    ids=str,
)
def test_another_net_is_refused(x: np.ndarray, stopped: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="resume: parameters was .* in the checkpoint and is"):
        small(**change).fit(x, checkpoint=stopped, resume=True)


def test_another_seed_is_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: seed was .* in the checkpoint and is"):
        small(random_state=1).fit(x, checkpoint=stopped, resume=True)


def test_another_variant_is_refused(x: np.ndarray, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: .* was .* in the checkpoint and is"):
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
        small(learning_rate=float("inf")).fit(x, checkpoint=tmp_path)
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


# Signals


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have left at once."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


SIGNALS = pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)


@SIGNALS
def test_a_signal_in_the_loop_is_a_request(left: list[int], number: int, code: int) -> None:
    with StopOnSignal() as signals:
        assert not signals.requested()
        signal.raise_signal(number)
        assert (signals.requested(), signals.exit_code, left) == (True, code, [])


@SIGNALS
def test_a_second_signal_leaves_at_once(left: list[int], number: int, code: int) -> None:
    with StopOnSignal() as signals:
        signals.requested()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)
    assert left == [code]


@SIGNALS
def test_a_signal_before_the_loop_leaves_at_once(left: list[int], number: int, code: int) -> None:
    with StopOnSignal():
        signal.raise_signal(number)
    assert left == [code]


@SIGNALS
def test_the_handlers_are_put_back(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with StopOnSignal():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(200, 6)).astype("f4"))
    return path


def fit_command(table: Path, output: Path, *more: str) -> list[str]:
    options = "--code 2 --hidden 5 --epochs 120 --batch-size 16 --patience 0 --seed 0"
    options += " --corruption masking:0.25"
    return ["fit", str(table), *options.split(), "-o", str(output), *more]


def run(arguments: list[str]) -> Any:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    return exit.value.code


@pytest.fixture(scope="module")
def uninterrupted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    output = tmp_path_factory.mktemp("whole") / "m.safetensors"
    assert run(fit_command(table, output)) == 0
    return read_artefact(output, kind="model").tensors


@SIGNALS
def test_a_signalled_fit_resumes_to_the_same_model(
    table: Path, tmp_path: Path, uninterrupted: dict[str, Tensor], number: int, code: int
) -> None:
    output = tmp_path / "m.safetensors"
    command = [sys.executable, "-m", "narrows", *fit_command(table, output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1/120")
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code and "the same command with --resume goes on" in rest
    assert checkpoint_files(tmp_path / "m.safetensors.checkpoints") and not output.exists()
    assert run(fit_command(table, output, "--resume")) == 0
    assert equal(read_artefact(output, kind="model").tensors, uninterrupted)
    assert os.listdir(tmp_path) == ["m.safetensors"]


_KILLER = """
import os, random, signal, sys, time
from functools import partial
from pathlib import Path
import numpy as np
import torch
from narrows import Autoencoder, load
from narrows.estimators import _fitting

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
_fitting.Checkpoints = partial(_fitting.Checkpoints, every=0)  # one a step
torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)  # imports much, once
random.seed(0)
x = np.random.default_rng(0).normal(size=(60, 6))
arguments = dict(n_components=2, hidden=(5,), corruption="masking:0.3", batch_size=8,
                 max_epochs=2 * kills, patience=None, random_state=0)

def fit(output, **more):
    Autoencoder(**arguments).fit(x, **more).save(folder / output)

def in_child(*given, **more):
    child = os.fork()
    if not child:
        fit(*given, **more)
        os._exit(0)
    return child

def newest():
    return max((folder / "c").glob("checkpoint-*"), default=None)

killed = 0
while killed < kills:
    before = newest()
    child = in_child("parts", checkpoint=folder / "c", resume=True)
    while newest() == before:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    killed += 1
    if os.WIFEXITED(os.waitpid(child, 0)[1]):
        break  # the training was quicker than the kills
checkpoints = len(list((folder / "c").glob("checkpoint-*")))
assert os.waitpid(in_child("parts", checkpoint=folder / "c", resume=True), 0)[1] == 0
assert os.waitpid(in_child("whole"), 0)[1] == 0
parts, whole = (load(folder / name).model_.objective.state_dict() for name in ("parts", "whole"))
assert all(torch.equal(parts[name], whole[name]) for name in whole)
print(killed, checkpoints, len(list((folder / "c").glob(".narrows-*.tmp"))))
"""


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", _KILLER, str(folder), str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + 2 * KILLS)
    assert result.returncode == 0, result.stderr
    yield [int(word) for word in result.stdout.split()]


def test_a_killed_training_resumes_to_the_same_model(survived: list[int]) -> None:
    assert survived[0] > 3, "the training was over too soon: the test shows little"


def test_a_killed_training_has_checkpoints(survived: list[int]) -> None:
    assert survived[1] >= 1


def test_a_killed_training_leaves_no_temporary_files_in_the_end(survived: list[int]) -> None:
    assert survived[2] == 0


def test_the_resumed_model_loads(x: np.ndarray, stopped: Path, tmp_path: Path) -> None:
    model = small().fit(x, checkpoint=stopped, resume=True)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(narrows.load(tmp_path / "m").transform(x), model.transform(x))
