"""Interrupted heads and detectors resume to the result of uninterrupted ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from training_runs import after

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeImputer,
    CodeMatcher,
    CodeRegressor,
    CodeSegmenter,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    load,
)
from narrows.artefact import read_artefact
from narrows.errors import DataChanged, InvalidData, ModelFileError, OutputBusy, UsageError
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.loop import TrainingStopped

Made = Callable[[int | None], Any]

_SMALL: dict[str, Any] = {"hidden": (4,), "max_epochs": 2, "batch_size": 16}
_HEAD: dict[str, Any] = {"max_epochs": 3, "batch_size": 16}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(48, 5)).astype("f4")


@pytest.fixture(scope="module")
def y(X: np.ndarray) -> np.ndarray:
    return (X[:, 0] > 0) + 2 * (X[:, 1] > 0)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype("u1")


@pytest.fixture(scope="module")
def fitted(X: np.ndarray) -> Autoencoder:
    return Autoencoder(2, random_state=0, **_SMALL).fit(X)


def classifier(seed: int | None, autoencoder: Any, **more: Any) -> CodeClassifier:
    return CodeClassifier(autoencoder, random_state=seed, **{**_HEAD, **more})


def of(kind: str, seed: int | None, fitted: Autoencoder) -> Any:
    """Return an estimator whose training has several parts."""
    fresh = Autoencoder(2, **_SMALL)
    maps = ConvolutionalAutoencoder(2, channels=(3,), max_epochs=2, batch_size=8)
    kinds: dict[str, Callable[[], Any]] = {
        "classifier": lambda: classifier(seed, fitted, validation_fraction=0.25),
        "classifier-fine_tuned": lambda: classifier(seed, fitted, training="fine_tuned"),
        "classifier-with-autoencoder": lambda: classifier(seed, fresh),
        "regressor-joint": lambda: CodeRegressor(
            fitted, training="joint", random_state=seed, **_HEAD
        ),
        "matcher-with-autoencoder": lambda: CodeMatcher(fresh, random_state=seed),
        "matcher-fine_tuned": lambda: CodeMatcher(
            fitted, training="fine_tuned", random_state=seed, **_HEAD
        ),
        "segmenter": lambda: CodeSegmenter(maps, random_state=seed, max_epochs=3, batch_size=8),
        "detector": lambda: AnomalyDetector(fresh, n_folds=2, random_state=seed),
    }
    return kinds[kind]()


KINDS = (
    "classifier classifier-fine_tuned classifier-with-autoencoder regressor-joint "
    "matcher-with-autoencoder matcher-fine_tuned segmenter detector"
).split()


def content(model: Any, folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Return the content of its file without the seconds that epochs took."""
    model.save(folder / "m")
    artefact = read_artefact(folder / "m", kind="model")
    return artefact.tensors, re.sub(r'"seconds": [\d.e-]+', "", json.dumps(artefact.spec))


def interrupted(make: Callable[[], Any], rows: tuple[Any, ...], folder: Path, every: int) -> Any:
    for stops in range(100):
        np.random.seed(stops)
        try:
            model = make().fit(
                *rows, checkpoint=folder, resume=stops > 0, stop_requested=after(every)
            )
        except TrainingStopped:
            continue
        assert stops > 0, "it was over too soon: the test shows little"
        return model
    raise AssertionError("the training never ended")


@pytest.mark.parametrize("seed", [3, None], ids=["seeded", "drawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_stopped_anywhere_ends_as_the_uninterrupted_one(
    kind: str, seed: int | None, fitted: Autoencoder, X: Any, y: Any, images: Any, tmp_path: Path
) -> None:
    rows = {"segmenter": (images, images > 99), "detector": (X,)}.get(kind, (X, y))
    np.random.seed(0)  # the source of a drawn seed, which differs the second time
    whole = of(kind, seed, fitted).fit(*rows)
    parts = interrupted(lambda: of(kind, seed, fitted), rows, tmp_path / "c", every=3)
    (resumed, spec), (expected, expected_spec) = content(parts, tmp_path), content(whole, tmp_path)
    assert resumed.keys() == expected.keys() and spec == expected_spec
    assert all(torch.equal(value, expected[name]) for name, value in resumed.items())


@pytest.mark.parametrize("name", ["Autoencoder", "DenoisingAutoencoder"])
def test_a_resumed_run_without_a_seed_has_the_densities_of_the_uninterrupted_one(
    name: str, X: np.ndarray, tmp_path: Path
) -> None:
    """They use the seed of the training, which resuming does not redraw."""
    kinds = {"Autoencoder": Autoencoder, "DenoisingAutoencoder": DenoisingAutoencoder}
    make = lambda: kinds[name](2, validation_fraction=0.3, **_SMALL)  # noqa: E731
    np.random.seed(0)
    whole = make().fit(X)
    parts = interrupted(make, (X,), tmp_path / "c", every=2)
    (ours, _), (theirs, _) = content(parts, tmp_path), content(whole, tmp_path)
    assert {n for n in theirs if n.startswith("density.mixture")} and ours.keys() == theirs.keys()
    assert [n for n, value in ours.items() if not torch.equal(value, theirs[n])] == []


def test_an_imputer_stopped_anywhere_fills_in_the_same(X: np.ndarray, tmp_path: Path) -> None:
    holes = X.copy()
    holes[::5, 1] = np.nan
    net = DenoisingAutoencoder(2, corruption="missing:0.4", **_SMALL)
    make = lambda: CodeImputer(net, random_state=0)  # noqa: E731
    parts = interrupted(make, (holes,), tmp_path / "c", every=2)
    np.testing.assert_array_equal(parts.transform(holes), make().fit(holes).transform(holes))


@pytest.fixture
def stopped(fitted: Autoencoder, X: np.ndarray, y: np.ndarray, tmp_path: Path) -> Path:
    with pytest.raises(TrainingStopped):
        classifier(0, fitted).fit(X, y, checkpoint=tmp_path / "c", stop_requested=after(4))
    return tmp_path / "c"


def test_another_encoder_is_refused(X: Any, y: Any, stopped: Path) -> None:
    other = Autoencoder(2, random_state=1, **_SMALL).fit(X)
    with pytest.raises(ModelFileError, match="resume: encoder is .* in the checkpoint and .* now"):
        classifier(0, other).fit(X, y, checkpoint=stopped, resume=True)


def test_other_labels_are_refused(fitted: Any, X: Any, y: Any, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: y is .* in the checkpoint and .* now"):
        classifier(0, fitted).fit(X, y[::-1], checkpoint=stopped, resume=True)


def test_other_rows_are_refused(fitted: Any, X: Any, y: Any, stopped: Path) -> None:
    with pytest.raises(DataChanged, match="the data differ from the checkpoint"):
        classifier(0, fitted).fit(X + 1, y, checkpoint=stopped, resume=True)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.1},
        {"training": "fine_tuned"},
        {"hidden": (3,)},
        {"max_epochs": 4},
        {"dropout": 0.5},
        {"validation_fraction": 0.2},
    ],
    ids=str,
)
def test_other_arguments_are_refused(
    change: dict[str, Any], fitted: Any, X: Any, y: Any, stopped: Path
) -> None:
    with pytest.raises(ModelFileError, match=f"resume: {next(iter(change))} is .* now; start over"):
        classifier(0, fitted, **change).fit(X, y, checkpoint=stopped, resume=True)


def test_another_head_is_refused(fitted: Any, X: Any, stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="resume: .* in the checkpoint and .* now"):
        CodeRegressor(fitted, random_state=0, **_HEAD).fit(
            X, X[:, 0], checkpoint=stopped, resume=True
        )


def test_a_detector_of_other_rows_is_refused(X: np.ndarray, tmp_path: Path) -> None:
    make = lambda: AnomalyDetector(Autoencoder(2, **_SMALL), n_folds=2, random_state=0)  # noqa: E731
    with pytest.raises(TrainingStopped):
        make().fit(X, checkpoint=tmp_path, stop_requested=after(3))
    with pytest.raises(DataChanged, match="the data differ from the checkpoint"):
        make().fit(X[1:], checkpoint=tmp_path, resume=True)


def test_other_names_of_columns_are_refused_by_heads_and_detectors(
    X: np.ndarray, y: np.ndarray, tmp_path: Path
) -> None:
    frame = pd.DataFrame(X).add_prefix("a")
    other = frame.rename(columns={"a1": "b"})
    detector = AnomalyDetector(Autoencoder(2, **_SMALL), n_folds=2, random_state=0)
    head = classifier(0, Autoencoder(2, random_state=0, **_SMALL))
    for made, of_fit in ((detector, ()), (head, (y,))):
        folder = tmp_path / type(made).__name__
        with pytest.raises(TrainingStopped):
            made.fit(frame, *of_fit, checkpoint=folder, stop_requested=after(3))
        with pytest.raises(DataChanged, match="column 1 was called 'a1' in the checkpoint, and is"):
            made.fit(other, *of_fit, checkpoint=folder, resume=True)


def test_a_second_training_into_one_output_is_refused(
    fitted: Any, X: Any, y: Any, tmp_path: Path
) -> None:
    first = Checkpoints(tmp_path)
    with pytest.raises(OutputBusy, match="another training is writing there"):
        classifier(0, fitted).fit(X, y, checkpoint=tmp_path)
    first.close()


def test_an_invalid_argument_leaves_nothing_to_resume(
    fitted: Any, X: Any, y: Any, tmp_path: Path
) -> None:
    """A refused command must not block the corrected one."""
    with pytest.raises(UsageError, match="layer"):
        classifier(0, fitted, layer=9).fit(X, y, checkpoint=tmp_path / "c")
    with pytest.raises(InvalidData):
        classifier(0, fitted).fit(X, y[:5], checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_without_resume_a_head_starts_again(fitted: Any, X: Any, y: Any, stopped: Path) -> None:
    anew = classifier(1, fitted).fit(X, y, checkpoint=stopped)
    plain = classifier(1, fitted).fit(X, y)
    np.testing.assert_array_equal(anew.predict_proba(X), plain.predict_proba(X))


def test_a_finished_head_continues_with_more_epochs(
    fitted: Any, X: Any, y: Any, tmp_path: Path
) -> None:
    first = classifier(0, fitted).fit(X, y, checkpoint=tmp_path)
    longer = classifier(0, fitted, max_epochs=5).fit(X, y, checkpoint=tmp_path, resume=True)
    assert longer.history_[:3] == first.history_ and longer.n_epochs_ == 5


def test_a_checkpoint_of_a_head_opens_as_one(stopped: Path, X: np.ndarray) -> None:
    newest = max((stopped / "head").glob("checkpoint-*"))
    opened = load(newest)
    assert type(opened) is CodeClassifier and opened.n_epochs_ == 1
    held = read_artefact(newest, kind="checkpoint").tensors
    assert torch.equal(opened.head_.net.weights[0], held["net.head.net.weights.0"])
    assert opened.predict_proba(X).shape == (48, 4)


def test_a_multi_part_checkpoint_is_refused_as_a_model(stopped: Path) -> None:
    with pytest.raises(ModelFileError, match="name a checkpoint in one of the folders beside it"):
        load(stopped / "checkpoint-000001.safetensors")
