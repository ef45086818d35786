"""The stacked autoencoder: layer-wise pretraining, fine-tuning, and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from training_runs import after, equal, weights

from narrows import Masking, SquaredError, StackedAutoencoder, load
from narrows.cli import run as cli
from narrows.core.activations import ACTIVATIONS
from narrows.data import DenseSource, read
from narrows.data.scaling import Scaling
from narrows.errors import InvalidData, OutdatedWarning, TrainingDiverged, UsageError
from narrows.training import pretraining
from narrows.training.layerwise import layer_autoencoder
from narrows.training.loop import TrainingStopped, train
from narrows.training.trainer import Trainer

METHODS = ("denoising", "rbm")


def stacked(**changes: Any) -> StackedAutoencoder:
    arguments = {
        "n_components": 4,
        "hidden": (12, 8),
        "activation": "sigmoid",
        "pretrain_epochs": 3,
        "max_epochs": 3,
        "batch_size": 32,
        "linear_start": False,
        "validation_fraction": 0.1,
        "random_state": 0,
    }
    return StackedAutoencoder(**{**arguments, **changes})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Rows in [0, 1] near a curved surface: (300, 16)."""
    rng = np.random.default_rng(0)
    return 1 / (1 + np.exp(-2 * np.sin(rng.normal(size=(300, 3)) @ rng.normal(size=(3, 16)))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tied", [True, False])
def test_pretraining_alone_beats_initial_weights_and_the_mean(method, tied, X):
    """The unrolled net reconstructs its rows without fine-tuning."""
    ae = stacked(
        pretrain=method,
        tied=tied,
        fine_tune=False,
        hidden=(),
        n_components=10,
        pretrain_epochs=60,
        pretrain_learning_rate=None if method == "denoising" else 0.01,
    )
    figures = ae.fit(X).evaluate(X)
    assert ae.n_epochs_ == 0 and ae.history_ == []
    assert figures.squared_error < 0.75 * figures.variance


@pytest.mark.parametrize("method", METHODS)
def test_the_mirrored_layers_start_as_transposes(method, X):
    net = stacked(pretrain=method, tied=False, fine_tune=False).fit(X).model_.objective
    for up, down in zip(net.encoder.weights, reversed(list(net.decoder.weights)), strict=True):
        assert torch.equal(up.t(), down)
    for bias in (*net.encoder.biases, *net.decoder.biases):
        assert bool(bias.abs().sum() > 0)


def test_fine_tuning_separates_untied_weights_and_keeps_tied_weights_equal(X):
    parted = stacked(tied=False).fit(X).model_.objective
    assert not torch.equal(parted.encoder.weights[0].t(), parted.decoder.weights[-1])
    assert not hasattr(stacked().fit(X).model_.objective.decoder, "weights")


@pytest.mark.parametrize("method", METHODS)
def test_every_layer_improves_on_its_own_input(method, X):
    ae = stacked(pretrain=method, pretrain_epochs=40, pretrain_learning_rate=0.01).fit(X)
    history = ae.pretraining_history_
    assert [len(layer) for layer in history] == [40, 40, 40]
    if method == "denoising":
        assert all(layer[-1] < layer[0] for layer in history)


def test_an_upper_layer_is_trained_on_the_features_of_the_lower_layers(X):
    """Training the second layer by hand on the first layer's features gives the same weights."""
    ae = stacked(fine_tune=False, validation_fraction=0.0, precision="float32").fit(X)
    seed = ae.model_.record["seed"] + 1
    layer = layer_autoencoder(
        12, 8, activation="sigmoid", below="sigmoid", loss=SquaredError(),
        corruption=Masking(0.25), generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    trainer = Trainer(
        layer, Scaling("none"), learning_rate=1e-3, precision="float32", seed=seed,
        device=torch.device("cpu"),
    )  # fmt: skip
    train(trainer, DenseSource(ae.features(X, layer=0)), max_epochs=3, batch_size=32)
    ours, theirs = ae.model_.objective.encoder.weights[1], layer.encoder.weights[0]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "change",
    [
        {"pretrain": "rbm"},
        {"pretrain": "rbm", "cd_steps": 3},
        {"pretrain": "rbm", "persistent": True},
        {"pretrain_epochs": 4},
        {"pretrain_learning_rate": 0.02},
        {"corruption": "masking:0.6"},
        {"fine_tune": False},
        {"tied": False},
        {"weight_decay": 5.0},
        {"code_activation": "sigmoid"},
        {"activation": "silu"},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_parameter_changes_the_result(change, X):
    assert not np.allclose(stacked().fit_transform(X), stacked(**change).fit_transform(X))


def test_the_settings_of_boltzmann_machines_take_effect(X):
    codes = [
        stacked(pretrain="rbm", **change).fit_transform(X)
        for change in ({}, {"cd_steps": 3}, {"persistent": True})
    ]
    assert not np.allclose(codes[0], codes[1])
    assert not np.allclose(codes[0], codes[2])


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_and_another_does_not(method, X):
    first, again, other = (
        stacked(pretrain=method, random_state=seed).fit_transform(X) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("below", [None, *ACTIVATIONS])
def test_a_layer_stores_every_weight_once(below):
    """A checkpoint holds no tensor under two names."""
    layer = layer_autoencoder(
        6, 4, activation="silu", below=below, loss=SquaredError(), corruption=Masking(0.25),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    state = layer.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state) == 3
    assert layer.decoder.biases[0].data_ptr() in {value.data_ptr() for value in state.values()}


@pytest.mark.parametrize(
    "method, activation", [("denoising", "auto"), ("denoising", "sigmoid"), ("rbm", "auto")]
)
@pytest.mark.parametrize("every", [7, 20])
def test_a_training_stopped_anywhere_ends_as_the_uninterrupted_one(
    method, activation, every, X, tmp_path
):
    arguments = {"pretrain": method, "activation": activation, "persistent": True}
    whole = stacked(**arguments).fit(X)
    parts, stops = stacked(**arguments), 0
    while True:
        try:
            parts.fit(X, checkpoint=tmp_path, resume=stops > 0, stop_requested=after(every))
        except TrainingStopped:
            stops += 1
            continue
        break
    assert stops > 2
    assert equal(weights(parts), weights(whole))
    assert parts.history_ == whole.history_
    assert parts.pretraining_history_ == whole.pretraining_history_


@pytest.mark.parametrize("fraction", [0.1, "auto"])
def test_a_drawn_seed_is_kept_when_a_layer_was_interrupted(fraction, X, tmp_path):
    def fit(seed, **arguments):
        np.random.seed(seed)
        return stacked(random_state=None, validation_fraction=fraction).fit(X, **arguments)

    whole = fit(1)
    with pytest.raises(TrainingStopped):
        fit(1, checkpoint=tmp_path, stop_requested=after(5))
    assert equal(weights(fit(2, checkpoint=tmp_path, resume=True)), weights(whole))


@pytest.mark.parametrize("method", METHODS)
def test_the_pretraining_history_is_saved_and_loaded(method, X, path):
    ae = stacked(pretrain=method).fit(X)
    ae.save(path)
    again = load(path)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    assert again.pretraining_history_ == ae.pretraining_history_
    assert again.get_params() == ae.get_params()


def test_a_table_gets_gaussian_visible_units(X):
    table = (X - 0.5) * 20
    ae = stacked(pretrain="rbm", code_activation="sigmoid", pretrain_epochs=20).fit(table)
    assert np.isfinite(ae.transform(table)).all()


def test_sparse_rows_and_streams_are_accepted(X, tmp_path):
    counts = sp.csr_array(np.floor(X * 4))
    assert np.isfinite(stacked().fit_transform(counts)).all()
    np.save(tmp_path / "x.npy", X.astype("f4"))
    stream = read(tmp_path / "x.npy", stream=True)
    assert np.isfinite(stacked(pretrain="rbm", scale="none").fit(stream).transform(X)).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"pretrain": "rmb"}, "pretrain: unknown name 'rmb'.*Did you mean 'rbm'"),
        ({"pretrain": "rbm", "activation": "silu"}, "pretrain: 'rbm' needs activation='sigmoid'"),
        ({"pretrain": "rbm", "code_activation": "relu"}, "a code_activation of 'sigmoid' or"),
        ({"pretrain_epochs": 0}, "pretrain_epochs: must be an integer >= 1, got 0"),
        ({"cd_steps": 1.5}, "cd_steps: must be an integer"),
        ({"pretrain_learning_rate": -1}, "pretrain_learning_rate: must be a number > 0"),
        ({"corruption": "masking:2"}, "Masking: rate"),
    ],
    ids=str,
)
def test_invalid_arguments_are_refused(change, message, X):
    with pytest.raises(UsageError, match=message):
        stacked(**change).fit(X)


def test_two_gaussian_sides_are_refused(X):
    with pytest.raises(UsageError, match="at most one side Gaussian"):
        stacked(pretrain="rbm", hidden=()).fit(X * 20 - 5)


def test_the_default_activation_depends_on_the_pretraining_method(X):
    built = [
        stacked(activation="auto", pretrain=method).fit(X).model_.parameters["activation"]
        for method in METHODS
    ]
    assert built == ["silu", "sigmoid"]


def test_bernoulli_units_refuse_values_outside_0_and_1(X):
    loss = {"name": "squared_error", "link": "logistic"}
    with pytest.raises(InvalidData, match=r"Bernoulli: x must be in \[0, 1\]"):
        stacked(pretrain="rbm", loss=loss, scale="standard").fit(X)


def test_the_command_line_fits_a_stack_and_leaves_no_checkpoints(X, tmp_path: Path):
    np.save(tmp_path / "x.npy", X)
    model = tmp_path / "m.safetensors"
    arguments = ["--hidden", "8", "--code", "3", "--epochs", "2", "--seed", "0", "-q"]
    settings = ["--set", "pretrain=rbm", "--set", "pretrain_epochs=2"]
    command = ["fit", str(tmp_path / "x.npy"), "--variant", "stacked", "-o", str(model)]
    assert cli([*command, *arguments, *settings]) == 0
    assert [len(layer) for layer in load(model).pretraining_history_] == [2, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "x.npy"]


def test_fine_tuning_uses_the_augmentation(X):
    source = DenseSource((X * 255).astype(np.uint8))
    source.image_shape = (4, 4)
    plain, augmented = (
        stacked(augmentation=augmentation).fit(source).transform(source)
        for augmentation in (None, "affine")
    )
    assert not np.allclose(plain, augmented)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_restarted_training_resumes_without_layers_of_the_earlier_run(drawn, X, tmp_path):
    """The upper layers and the seed of the old run must not affect the new one."""
    first = {"random_state": None} if drawn else {"pretrain_learning_rate": 0.01}
    second = {"random_state": None} if drawn else {"pretrain_learning_rate": 0.02}
    for arguments, steps in ((first, 100), (second, 5)):
        with pytest.raises(TrainingStopped):
            stacked(**arguments).fit(X, checkpoint=tmp_path, stop_requested=after(steps))
    left = [path.parent.name for path in tmp_path.rglob("checkpoint-*")]
    assert left == ["layer-1"]
    stacked(**second).fit(X, checkpoint=tmp_path, resume=True)


def test_a_restarted_training_removes_nothing_until_its_first_checkpoint(X, tmp_path):
    with pytest.raises(TrainingStopped):
        stacked().fit(X, checkpoint=tmp_path, stop_requested=after(100))
    before = sorted(tmp_path.rglob("checkpoint-*"))

    def killed() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stacked().fit(X, checkpoint=tmp_path, stop_requested=killed)
    assert sorted(tmp_path.rglob("checkpoint-*")) == before


@pytest.mark.parametrize("method", METHODS)
def test_a_diverging_layer_raises_training_diverged(method, X):
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        stacked(pretrain=method, pretrain_learning_rate=1e30).fit(X)


def test_numpy_scalars_are_stored_in_checkpoints(X, tmp_path):
    rate = np.float32(0.01)
    assert stacked(pretrain_learning_rate=rate).fit(X, checkpoint=tmp_path).n_epochs_ == 3


def test_partial_fit_keeps_the_pretraining_history(X):
    ae = stacked().fit(X)
    before = ae.pretraining_history_
    with pytest.warns(OutdatedWarning):
        ae.partial_fit(X)
    assert ae.pretraining_history_ == before


@pytest.mark.parametrize("method, momentum, decay", [("rbm", 0.9, 2e-4), ("denoising", None, 0)])
def test_boltzmann_machines_are_trained_with_momentum_and_decay(
    method, momentum, decay, X, monkeypatch
):
    trainers, biases = [], []

    def spied(layer: Any, *given: Any, **named: Any) -> Trainer:
        bias = layer.visible_bias if method == "rbm" else layer.decoder.biases[0]
        biases.append(bias.detach().clone())
        trainers.append(Trainer(layer, *given, **named))
        return trainers[-1]

    monkeypatch.setattr(pretraining, "Trainer", spied)
    stacked(pretrain=method, validation_fraction=0.0).fit(X)
    groups = [trainer.optimizer.param_groups[0] for trainer in trainers]
    assert [group.get("momentum") for group in groups] == [momentum] * 3
    assert [group["weight_decay"] for group in groups] == [decay] * 3
    # only the lowest layer starts at the mean of the rows
    mean = torch.from_numpy(X.mean(axis=0)).float()
    expected = torch.logit(mean) if method == "rbm" else biases[0]
    torch.testing.assert_close(biases[0], expected, rtol=1e-3, atol=1e-3)
    assert bool(biases[0].abs().sum() > 0) and not bool(biases[1].any())
