"""Custom pieces: training, saving, loading, and errors."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from narrows import (
    L1,
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    Loss,
    SquaredError,
    VariationalAutoencoder,
    load,
)
from narrows.artefact import write_artefact
from narrows.core.slots import Code, Corrupted, Encoder, GaussianPosterior
from narrows.errors import ModelFileError, UsageError
from narrows.training.loop import TrainingStopped

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
    """A subclass of a built-in piece is a custom piece."""


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


def test_fit_trains_a_copy_and_leaves_the_given_piece_unchanged():
    trunk = Trunk()
    before = {k: v.clone() for k, v in trunk.state_dict().items()}
    ae = Autoencoder(encoder=trunk, **SMALL).fit(X)
    codes = ae.transform(X)
    assert all(torch.equal(v, before[k]) for k, v in trunk.state_dict().items())
    assert not torch.equal(ae.model_.objective.encoder.module.first.weight, trunk.first.weight)
    np.testing.assert_array_equal(ae.fit(X).transform(X), codes)


def test_batch_normalization_learns_in_training_and_is_fixed_at_inference():
    ae = Autoencoder(encoder=Trunk(), **SMALL).fit(X)
    norm = ae.model_.objective.encoder.module.norm
    assert int(norm.num_batches_tracked) > 0 and not norm.training
    one = np.concatenate([ae.transform(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one, ae.transform(X)[:5], rtol=1e-4, atol=1e-5)


def test_a_last_batch_of_one_row_is_trained_on():
    ae = Autoencoder(encoder=Trunk(), **{**SMALL, "validation_fraction": 0.0})
    assert np.isfinite(ae.fit(X[:17]).history_).all()


def test_frozen_parameters_stay_frozen_in_training_and_in_the_file(tmp_path):
    trunk = Trunk()
    trunk.requires_grad_(False)
    ae = Autoencoder(encoder=trunk, **SMALL).fit(X)
    inside = ae.model_.objective.encoder.module
    assert all(torch.equal(v, trunk.state_dict()[k]) for k, v in inside.state_dict().items())
    again = load(saved(ae, tmp_path), pieces=[Trunk])
    frozen = {n for n, p in again.model_.objective.named_parameters() if not p.requires_grad}
    assert frozen == {f"encoder.module.{name}" for name, _ in trunk.named_parameters()}


@pytest.mark.parametrize("pieces", [[SizedTrunk], [SizedTrunk(9)], [Trunk, SizedTrunk]])
def test_the_file_stores_the_arguments_of_a_class(pieces, tmp_path):
    ae = Autoencoder(encoder=SizedTrunk(9), **SMALL).fit(X)
    again = load(saved(ae, tmp_path), pieces=pieces)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    assert again.get_params()["encoder"].width == 9
    assert again.partial_fit(X).transform(X).shape == (60, 3)


def test_a_class_whose_attributes_differ_from_the_file_is_refused(tmp_path):
    path = saved(Autoencoder(encoder=Trunk(9), **SMALL).fit(X), tmp_path)
    with pytest.raises(ModelFileError, match=r"no Trunk in pieces .* is 9 in the file and 8 here"):
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
def test_a_file_names_the_piece_that_load_needs(slots, pieces, tmp_path):
    ae = Autoencoder(**slots, **SMALL).fit(X)
    path = saved(ae, tmp_path)
    name = pieces[0].__name__
    with pytest.raises(ModelFileError, match=rf"test_custom_pieces:{name}; .*pieces=\[{name}\]"):
        load(path)
    again = load(path, pieces=pieces)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    assert again.fit(X).history_ == ae.history_


def test_a_piece_from_another_module_loads_with_the_same_fingerprint(tmp_path):
    ae = Autoencoder(penalties=[Lasso(0.1)], **SMALL).fit(X)
    moved = type("Lasso", (L1,), {"__module__": "elsewhere", "__qualname__": "Lasso"})
    again = load(saved(ae, tmp_path), pieces=[moved])
    assert again.model_.fingerprint() == ae.model_.fingerprint()


def test_a_custom_penalty_changes_the_code():
    plain = Autoencoder(**SMALL).fit(X).transform(X)
    shrunk = Autoencoder(penalties=[Listed([50.0])], **{**SMALL, "max_epochs": 20}).fit(X)
    assert np.abs(shrunk.transform(X)).mean() < 0.5 * np.abs(plain).mean()


def test_local_classes_can_be_fitted_but_not_saved(tmp_path):
    class Local(L1):
        pass

    ae = Autoencoder(penalties=[Local(0.1)], **SMALL).fit(X)
    with pytest.raises(UsageError, match="Local has no name .* inside a function.*top level"):
        ae.save(tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="Local has no name .* inside a function"):
        ae.fit(X, checkpoint=tmp_path / "c")


def test_a_field_that_is_not_json_cannot_be_saved(tmp_path):
    ae = Autoencoder(penalties=[Listed(scale=np.ones(2))], **SMALL).fit(X)
    with pytest.raises(UsageError, match="Listed.scale is array.*, not a JSON value"):
        ae.save(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "slots, message",
    [
        (
            {"encoder": nn.Linear(6, 4)},
            r"encoder: must return codes .*\(2, 3\), got \(2, 4\)",
        ),
        (
            {"decoder": nn.Linear(3, 5)},
            r"decoder: must return rows .*\(2, 6\), got \(2, 5\)",
        ),
        ({"encoder": Trunk}, r"encoder: give an instance, Trunk\(\), not the class itself"),
        ({"decoder": "dense"}, "decoder: must be a known name or piece, or an nn.Module"),
        ({"penalties": [Lasso]}, r"penalties: give an instance, Lasso\(\), not the class itself"),
        ({"loss": object()}, "loss: expected one of Bernoulli, .*, or a piece of your own"),
        ({"corruption": 3}, "corruption: expected one of Gaussian, .*, or a piece of your own"),
    ],
)
def test_an_invalid_piece_is_refused_at_fit(slots, message):
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
def test_heads_accept_a_custom_encoder(training, tmp_path):
    ae = Autoencoder(encoder=Trunk(), **SMALL)
    head = CodeClassifier(ae, training=training, max_epochs=3, random_state=0).fit(X, Y)
    again = load(saved(head, tmp_path), pieces=[Trunk])
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))


def test_a_detector_accepts_custom_pieces(tmp_path):
    net = Autoencoder(encoder=Trunk(), penalties=[Lasso(0.1)], **SMALL)
    detector = AnomalyDetector(net, n_folds=2, random_state=0).fit(X)
    again = load(saved(detector, tmp_path), pieces=[Trunk, Lasso])
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    with pytest.raises(ModelFileError, match="test_custom_pieces:Trunk"):
        load(tmp_path / "m.safetensors", pieces=[Lasso])


def test_a_custom_encoder_is_exported_pickled_and_sampled_from(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    ae = Autoencoder(encoder=Trunk(), **SMALL).fit(X)
    ae.export(tmp_path / "e.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "e.onnx")
    np.testing.assert_allclose(session.run(None, {"x": X})[0], ae.transform(X), atol=1e-5)
    again = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(again.sample(3, random_state=0), ae.sample(3, random_state=0))


class Same(nn.Module):
    """A penalty whose weight only its instance knows."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, step: Any) -> torch.Tensor:
        return self.weight * step.code.h.abs().mean()


@dataclass(frozen=True)
class Fields:
    """Field names and values that a file could confuse."""

    name: str = "l2"
    pair: tuple[int, ...] = (1, 2)
    limit: float = float("inf")
    table: dict[str, float] = field(default_factory=lambda: {"tuple": 1.0})
    scale: Any = np.float32(0.25)

    def __call__(self, step: Any) -> torch.Tensor:
        return float(self.scale) * step.code.h.square().mean()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_instances_of_one_class_are_distinguished(order, tmp_path):
    nets = [nn.Sequential(nn.Linear(6, 3)), nn.Sequential(nn.Linear(3, 6))]
    omegas = [Same(0.1), Same(5.0)]
    ae = Autoencoder(encoder=nets[0], decoder=nets[1], penalties=omegas, **SMALL).fit(X)
    given = [*(nets[i] for i in order), *(omegas[i] for i in order)]
    again = load(saved(ae, tmp_path), pieces=given)
    np.testing.assert_array_equal(again.reconstruct(X), ae.reconstruct(X))
    assert [omega.weight for omega in again.model_.objective.penalties] == [0.1, 5.0]
    assert again.fit(X).history_ == ae.history_


@pytest.mark.parametrize("pieces", [[Same(0.1)], Same(0.1), [Same(0.1), Same(3.0)]])
def test_an_instance_with_other_attributes_is_refused(pieces, tmp_path):
    path = saved(Autoencoder(penalties=Same(5.0), **SMALL).fit(X), tmp_path)
    with pytest.raises(ModelFileError, match="no Same .* weight is 5.0 in the file and 0.1 here"):
        load(path, pieces=pieces)
    with pytest.raises(ModelFileError, match=r"Same: .*weight.*; give an instance"):
        load(path, pieces=Same)
    assert load(path, pieces=Same(5.0)).get_params()["penalties"].weight == 5.0


def test_fields_are_restored_as_they_were(tmp_path):
    ae = Autoencoder(penalties=[Fields(name="mine")], **SMALL).fit(X)
    again = load(saved(ae, tmp_path), pieces=Fields).get_params()["penalties"][0]
    assert again == Fields(name="mine") and isinstance(again.pair, tuple)


def test_a_module_that_uses_a_weight_twice_keeps_one(tmp_path):
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3))
    net[2].weight = net[0].weight
    ae = Autoencoder(encoder=net, **SMALL).fit(X, checkpoint=tmp_path / "c")
    again = load(saved(ae, tmp_path), pieces=[net])
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    inside = again.partial_fit(X).model_.objective.encoder.module
    assert inside[0].weight is inside[2].weight


def test_an_encoder_and_a_decoder_that_share_a_weight_are_refused():
    linear = nn.Linear(6, 6)
    with pytest.raises(UsageError, match="decoder: shares a weight with encoder"):
        Autoencoder(encoder=linear, decoder=linear, **{**SMALL, "n_components": 6}).fit(X)


class Holed:
    admits_missing, fill = True, 0.2

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        assert not torch.isnan(x).any() and float(x[0, 0]) == pytest.approx(0.2)
        return x


def test_a_corruption_may_admit_missing_values():
    holed = X.copy()
    holed[:, 0] = np.nan
    holed[1::2, 0] = 0.2
    few = {**SMALL, "scale": "none", "validation_fraction": 0.0}
    Autoencoder(corruption=Holed(), **few).fit(holed)  # it checks what it is given
    ae = Autoencoder(corruption=Masks(), **few).fit(holed)
    np.testing.assert_array_equal(ae.transform(holed[:1]), ae.transform(filled(holed[:1])))


class Masks(Holed):
    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> Corrupted:
        return Corrupted(x * 0.5, weights=torch.zeros_like(x))


def filled(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), np.float32(0.2), x)


def test_weights_of_a_corruption_count_in_the_loss():
    """Weights of 0 leave a loss of 0 in training."""
    assert Autoencoder(corruption=Masks(), **SMALL).fit(X).history_ == [0.0, 0.0]


class Scaled(nn.Module):
    """A corruption with a weight that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(6))

    def forward(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        return x * self.factor


def test_parameters_of_a_corruption_train_and_are_saved(tmp_path):
    ae = Autoencoder(corruption=Scaled(), **SMALL, linear_start=False).fit(X)
    factor = ae.model_.objective.corruption.function.factor
    assert not torch.equal(factor, torch.ones(6))
    again = load(saved(ae, tmp_path), pieces=Scaled)
    assert torch.equal(again.model_.objective.corruption.function.factor, factor)


def overwritten(x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    x[:, :3] = 0
    return x


def copied(x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    return overwritten(x.clone(), generator=generator)


class Overwriting(Trunk):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x[:, :3] = 0
        return super().forward(x)


def test_pieces_that_change_their_input_do_not_change_the_target():
    ours, theirs = (Autoencoder(corruption=c, **SMALL).fit(X) for c in (overwritten, copied))
    assert ours.history_ == theirs.history_
    ae = Autoencoder(encoder=Overwriting(), **SMALL).fit(X)
    own = torch.from_numpy(X)
    ae.model_.objective.error(own)
    np.testing.assert_array_equal(own.numpy(), X)


@dataclass(frozen=True)
class Separate:
    """Omega = -weight * squared distance of the mean codes of two classes."""

    weight: float = 1.0
    task: str = "classification"

    def __call__(self, step: Any) -> torch.Tensor:
        if self.task == "regression":
            return self.weight * (step.code.h[:, 0] - step.y).square().mean()
        h = torch.tanh(step.code.h)
        means = [h[step.y == k].sum(dim=0) / (step.y == k).sum().clamp_min(1) for k in (0, 1)]
        return -self.weight * (means[0] - means[1]).square().sum()


def test_a_custom_penalty_reads_y(tmp_path):
    settings = {**SMALL, "max_epochs": 30, "validation_fraction": 0}
    ae = Autoencoder(penalties=Separate(20.0), **settings).fit(X, np.array(["a", "b"])[Y])
    plain = Autoencoder(**settings).fit(X)
    between = [
        np.square(np.tanh(z[Y == 0]).mean(axis=0) - np.tanh(z[Y == 1]).mean(axis=0)).sum()
        for z in (ae.transform(X), plain.transform(X))
    ]
    assert between[0] > 2 * between[1]
    again = load(saved(ae, tmp_path), pieces=Separate)
    again.partial_fit(X, np.array(["a", "b"])[Y])
    with pytest.raises(UsageError, match="y: is missing"):
        ae.fit(X)
    values = Autoencoder(penalties=Separate(9.0, "regression"), **settings).fit(X, X[:, 1])
    assert np.corrcoef(values.transform(X)[:, 0], X[:, 1])[0, 1] > 0.9
    with pytest.raises(UsageError, match="penalties: Separate.task: unknown name 'classify'"):
        Autoencoder(penalties=Separate(task="classify"), **settings).fit(X, Y)


class Posterior(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_variance = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> Code:
        mean = self.mean(x)
        return Code(mean, GaussianPosterior(mean, self.log_variance(x)))


def test_a_variational_encoder_is_sampled_from_in_training(tmp_path):
    ae = VariationalAutoencoder(encoder=Posterior(), **SMALL).fit(X)
    encoder, rows = ae.model_.objective.encoder, torch.from_numpy(X)
    assert ae.model_.objective.stochastic
    with torch.no_grad():
        draws = [encoder(rows, generator=torch.Generator().manual_seed(s)).h for s in (0, 1)]
        assert not torch.equal(*draws) and torch.equal(encoder(rows).h, encoder(rows).h)
    again = load(saved(ae, tmp_path), pieces=Posterior)
    assert again.model_.objective.stochastic
    with pytest.raises(UsageError, match="which Linear does not return; .*GaussianPosterior"):
        VariationalAutoencoder(encoder=nn.Linear(6, 3), **SMALL).fit(X)


def test_a_frozen_part_keeps_the_means_of_its_normalization():
    trunk = Trunk()
    for part in (trunk.first, trunk.norm):
        part.requires_grad_(False)
    ae = Autoencoder(encoder=trunk, **SMALL).fit(X)
    inside = ae.model_.objective.encoder.module
    assert torch.equal(inside.norm.running_mean, trunk.norm.running_mean)
    assert not torch.equal(inside.last.weight, trunk.last.weight)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_interrupted_fit_is_not_resumed_with_another_piece(stop_after, tmp_path):
    calls = iter(range(99))
    net = Autoencoder(penalties=[Same(0.1)], **SMALL)
    with pytest.raises(TrainingStopped):
        net.fit(X, checkpoint=tmp_path, stop_requested=lambda: next(calls) >= stop_after)
    other = Autoencoder(penalties=[Same(100.0)], **SMALL)
    with pytest.raises(ModelFileError, match="resume: .*'weight': 0.1.* and .*100.0.* now"):
        other.fit(X, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("slot, pieces", [("penalties", [Same(0.1), Same(5.0)]),
                                          ("encoder", [Trunk(8), Trunk(9)])])  # fmt: skip
def test_partial_fit_refuses_another_piece(slot, pieces):
    first, second = pieces
    ae = Autoencoder(**{slot: first}, **SMALL).partial_fit(X)
    with pytest.raises(UsageError, match=f"partial_fit: {slot} is .*, the net was built with"):
        ae.set_params(**{slot: second}).partial_fit(X)


class Returns:
    """A piece of any slot that returns a value whatever it is given."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self.value


class Elementwise(Loss):
    def per_sample(self, output: Any, x: Any, weights: Any = None) -> torch.Tensor:
        return (output - x).square()


class Unclamped(SquaredError):
    def inverse_link(self, mean: torch.Tensor) -> torch.Tensor:
        return torch.full_like(mean, torch.inf)


class Halves(nn.Module):
    def __init__(self, dtype: torch.dtype, width: int = 3) -> None:
        super().__init__()
        self.linear, self.dtype = nn.Linear(6, width), dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).to(self.dtype)


class Bare(Encoder):
    def forward(self, x: Any, *, generator: Any = None) -> Code:
        return Code(x)

    def layers(self, x: Any) -> list[torch.Tensor]:
        return [x]


FROZEN = [nn.Linear(6, 3).requires_grad_(False), nn.Linear(3, 6).requires_grad_(False)]


@pytest.mark.parametrize(
    "slots, message",
    [
        ({"corruption": Returns(None)}, r"corruption: must return rows of shape .*, got None"),
        ({"corruption": Returns(torch.ones(2, 5))}, r"corruption: .*shape \(2, 6\), got \(2, 5\)"),
        ({"corruption": nn.Dropout()}, "corruption: Dropout fails: TypeError"),
        ({"penalties": [Returns(None)]}, r"penalties: must return a scalar, .*\(\), got None"),
        ({"penalties": [Returns(torch.ones(3))]}, r"penalties: .*a scalar.*got \(3,\)"),
        ({"loss": Elementwise()}, r"loss: must return one value per row, .*\(2,\), got \(2, 6\)"),
        ({"loss": Unclamped()}, "loss: inverse_link is not finite.*clamp the mean"),
        ({"encoder": Halves(torch.float64)}, "encoder: must return codes of torch.float32"),
        ({"encoder": Halves(torch.bfloat16)}, "encoder: must return codes of torch.float32"),
        ({"encoder": nn.Linear(5, 3)}, "encoder: Linear fails: RuntimeError"),
        ({"encoder": nn.LazyLinear(3)}, "encoder: LazyLinear has lazy layers"),
        ({"encoder": Bare()}, "encoder: Bare has no weights; set weights to an nn.ParameterList"),
        ({"encoder": FROZEN[0], "decoder": FROZEN[1]}, "encoder: neither .* has a weight to train"),
        ({"augmentation": lambda x, *, generator: x}, "augmentation: <lambda> fails: TypeError"),
        ({"augmentation": lambda x, shape, *, generator: x[:, :3]}, r"augmentation: .*\(2, 3\)"),
    ],
)  # fmt: skip
def test_pieces_are_tried_before_training(slots, message):
    with pytest.raises(UsageError, match=message):
        Autoencoder(**slots, **SMALL).fit(X)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_torchscript_is_refused():
    with pytest.raises(UsageError, match="encoder: .* is a TorchScript module"):
        Autoencoder(encoder=torch.jit.script(nn.Linear(6, 3)), **SMALL).fit(X)


@pytest.mark.parametrize("piece", [lambda step: step.code.h.mean(), partial(Returns, 0),
                                   Trunk().double])  # fmt: skip
def test_a_file_needs_a_name(piece, tmp_path):
    ae = Autoencoder(**SMALL).fit(X).set_params(penalties=[piece])
    with pytest.raises(UsageError, match="save: .* has no name to find it by"):
        ae.save(tmp_path / "m.safetensors")


@pytest.mark.parametrize("frozen", ["a", [1], ["no such weight"], {"a": 1}])
def test_a_file_that_freezes_other_weights_is_refused(frozen, tmp_path):
    artefact = Autoencoder(**SMALL).fit(X).to_artefact()
    artefact.spec["frozen"] = frozen
    write_artefact(tmp_path / "m", artefact)
    with pytest.raises(ModelFileError, match="frozen: must be names of weights"):
        load(tmp_path / "m")
