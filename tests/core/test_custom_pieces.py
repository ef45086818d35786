"""Users' own pieces: what trains, what a file names, and what load needs."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from narrows import L1, AnomalyDetector, Autoencoder, CodeClassifier, SquaredError, load
from narrows.errors import ModelFileError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
SMALL = {"n_components": 3, "max_epochs": 2, "batch_size": 16, "random_state": 0}


class Trunk(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.first, self.norm = nn.Linear(6, width), nn.BatchNorm1d(width)
        self.last = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x))))


class SizedTrunk(Trunk):
    def to_spec(self) -> dict[str, Any]:
        return {"width": self.width}


class Lasso(L1):
    """A subclass of a known piece is a piece of one's own."""


@dataclass(frozen=True)
class Listed:
    weights: list[float] = field(default_factory=lambda: [0.5, 0.25])
    scale: Any = 1.0

    def __call__(self, step: Any) -> torch.Tensor:
        return sum(self.weights) * step.code.h.square().mean()


def halved(x: Any, *, generator: torch.Generator) -> Any:
    return x * 0.5


def saved(est: Any, path: Any) -> Any:
    est.save(path / "m.safetensors")
    return path / "m.safetensors"


def test_a_fit_trains_a_copy_and_the_next_fit_starts_alike():
    trunk = Trunk()
    before = {k: v.clone() for k, v in trunk.state_dict().items()}
    ae = Autoencoder(encoder=trunk, **SMALL).fit(X)
    codes = ae.transform(X)
    assert all(torch.equal(v, before[k]) for k, v in trunk.state_dict().items())
    assert not torch.equal(ae.model_.objective.encoder.module.first.weight, trunk.first.weight)
    np.testing.assert_array_equal(ae.fit(X).transform(X), codes)


def test_batch_normalization_learns_in_training_and_is_fixed_in_use():
    ae = Autoencoder(encoder=Trunk(), **SMALL).fit(X)
    norm = ae.model_.objective.encoder.module.norm
    assert int(norm.num_batches_tracked) > 0 and not norm.training
    one = np.concatenate([ae.transform(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one, ae.transform(X)[:5], rtol=1e-4, atol=1e-5)


def test_a_last_batch_of_one_row_is_trained_on():
    ae = Autoencoder(encoder=Trunk(), **{**SMALL, "validation_fraction": 0.0})
    assert np.isfinite(ae.fit(X[:17]).history_).all()


def test_what_is_frozen_stays_and_the_file_keeps_it(tmp_path):
    trunk = Trunk()
    trunk.requires_grad_(False)
    ae = Autoencoder(encoder=trunk, **SMALL).fit(X)
    inside = ae.model_.objective.encoder.module
    assert all(torch.equal(v, trunk.state_dict()[k]) for k, v in inside.state_dict().items())
    again = load(saved(ae, tmp_path), pieces=[Trunk])
    frozen = {n for n, p in again.model_.objective.named_parameters() if not p.requires_grad}
    assert frozen == {f"encoder.module.{name}" for name, _ in trunk.named_parameters()}


@pytest.mark.parametrize("pieces", [[SizedTrunk], [SizedTrunk(9)], [Trunk, SizedTrunk]])
def test_arguments_of_a_class_are_in_the_file(pieces, tmp_path):
    ae = Autoencoder(encoder=SizedTrunk(9), **SMALL).fit(X)
    again = load(saved(ae, tmp_path), pieces=pieces)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    assert again.get_params()["encoder"].width == 9
    np.testing.assert_array_equal(again.partial_fit(X).transform(X).shape, (60, 3))


def test_a_class_that_does_not_fit_the_weights_is_refused(tmp_path):
    path = saved(Autoencoder(encoder=Trunk(9), **SMALL).fit(X), tmp_path)
    with pytest.raises(ModelFileError, match="the weights are not those of the variant"):
        load(path, pieces=[Trunk])
    assert load(path, pieces=[Trunk(9)]).transform(X).shape == (60, 3)


@pytest.mark.parametrize(
    "slots, pieces",
    [
        ({"penalties": [Lasso(0.1), "l2:0.1"]}, [Lasso]),
        ({"penalties": Listed([0.1])}, [Listed]),
        ({"corruption": halved}, [halved]),
    ],
)
def test_a_file_names_the_piece_and_load_is_given_it(slots, pieces, tmp_path):
    ae = Autoencoder(**slots, **SMALL).fit(X)
    path = saved(ae, tmp_path)
    name = pieces[0].__name__
    with pytest.raises(ModelFileError, match=rf"test_custom_pieces:{name}; .*pieces=\[{name}\]"):
        load(path)
    again = load(path, pieces=pieces)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    assert again.fit(X).history_ == ae.history_


def test_a_piece_of_another_program_is_found_by_its_class_and_an_index_stays_its_own(tmp_path):
    ae = Autoencoder(penalties=[Lasso(0.1)], **SMALL).fit(X)
    moved = type("Lasso", (L1,), {"__module__": "elsewhere", "__qualname__": "Lasso"})
    again = load(saved(ae, tmp_path), pieces=[moved])
    assert again.model_.fingerprint() == ae.model_.fingerprint()


def test_a_penalty_of_ones_own_changes_the_code():
    plain = Autoencoder(**SMALL).fit(X).transform(X)
    shrunk = Autoencoder(penalties=[Listed([50.0])], **{**SMALL, "max_epochs": 20}).fit(X)
    assert np.abs(shrunk.transform(X)).mean() < 0.5 * np.abs(plain).mean()


def test_only_save_needs_a_name(tmp_path):
    class Local(L1):
        pass

    ae = Autoencoder(penalties=[Local(0.1)], **SMALL).fit(X)
    with pytest.raises(UsageError, match="Local is defined inside a function.*top level"):
        ae.save(tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="Local is defined inside a function"):
        ae.fit(X, checkpoint=tmp_path / "c")
    unnamed = Autoencoder(penalties=[Listed(scale=np.ones(2))], **SMALL).fit(X)
    with pytest.raises(UsageError, match="Listed.scale is array.*, not a JSON value"):
        unnamed.save(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "slots, message",
    [
        ({"encoder": nn.Linear(6, 4)}, r"encoder: must return codes of shape .*=3\).*got \(2, 4\)"),
        ({"decoder": nn.Linear(3, 5)}, r"decoder: must return rows of shape .*6\).*got \(2, 5\)"),
        ({"encoder": Trunk}, r"encoder: give an instance, Trunk\(\), not the class itself"),
        ({"decoder": "dense"}, "decoder: must be a known name, or an nn.Module"),
        ({"penalties": [Lasso]}, r"penalties: give an instance, Lasso\(\), not the class itself"),
        ({"loss": object()}, "loss: expected one of Bernoulli, .*, or a piece of your own"),
        ({"corruption": 3}, "corruption: expected one of Gaussian, .*, or a piece of your own"),
    ],
)
def test_what_cannot_be_in_a_slot_is_refused_at_fit(slots, message):
    with pytest.raises(UsageError, match=message):
        Autoencoder(**slots, **SMALL).fit(X)


def test_a_subclass_of_a_loss_counts_as_its_loss_in_applications():
    class Weighted(SquaredError):
        def per_sample(self, output: Any, x: Any, weights: Any = None) -> torch.Tensor:
            return 2 * super().per_sample(output, x, weights)

    arguments = {**SMALL, "scale": "standard"}
    ae = Autoencoder(loss=Weighted(), **arguments).fit(X)
    assert ae.anomaly_contributions(X).shape == X.shape
    errors = (((ae.reconstruct(X) - X) / X.std(axis=0)) ** 2).sum(axis=1)
    assert ae.score(X) == pytest.approx(-2 * errors.mean(), rel=0.2)


@pytest.mark.parametrize("training", ["frozen", "fine_tuned", "joint"])
def test_heads_stand_on_an_encoder_of_ones_own(training, tmp_path):
    ae = Autoencoder(encoder=Trunk(), **SMALL)
    head = CodeClassifier(ae, training=training, max_epochs=3, random_state=0).fit(X, Y)
    again = load(saved(head, tmp_path), pieces=[Trunk])
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))


def test_a_detector_stands_on_pieces_of_ones_own(tmp_path):
    net = Autoencoder(encoder=Trunk(), penalties=[Lasso(0.1)], **SMALL)
    detector = AnomalyDetector(net, n_folds=2, random_state=0).fit(X)
    again = load(saved(detector, tmp_path), pieces=[Trunk, Lasso])
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    with pytest.raises(ModelFileError, match="test_custom_pieces:Trunk"):
        load(tmp_path / "m.safetensors", pieces=[Lasso])


def test_it_is_exported_pickled_and_sampled_from(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    ae = Autoencoder(encoder=Trunk(), **SMALL).fit(X)
    ae.export(tmp_path / "e.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "e.onnx")
    np.testing.assert_allclose(session.run(None, {"x": X})[0], ae.transform(X), atol=1e-5)
    again = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(again.sample(3, random_state=0), ae.sample(3, random_state=0))
