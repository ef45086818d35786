"""Each piece against an oracle: a loop from the paper, a closed form, or its dense twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import L1, Affine, Bernoulli, Masking, Multinomial, SquaredError, WeightDecay
from narrows.augmentations import AUGMENTATIONS
from narrows.core.activations import ACTIVATIONS, SLOPES
from narrows.core.pieces import piece_from_spec
from narrows.core.slots import Code, Forward
from narrows.corruptions import CORRUPTIONS
from narrows.data.array_sources import sparse_rows
from narrows.encoders import DenseEncoder
from narrows.errors import InvalidData, UsageError
from narrows.losses import LOSSES
from narrows.variants.building import build_objective

LOSS_CASES = [SquaredError(), SquaredError(link="logistic"), Bernoulli(), Multinomial()]


@pytest.fixture
def sparse_and_dense(rng):
    dense = rng.random((6, 9)).astype(np.float32)
    dense[dense < 0.6] = 0
    dense[2] = 0  # an empty row
    return sparse_rows(sp.csr_array(dense)), torch.from_numpy(dense)


@pytest.fixture
def output(generator):
    return torch.randn(6, 9, generator=generator)


def logistic(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def loss_by_loops(loss, outputs: np.ndarray, rows: np.ndarray) -> list[float]:
    """Compute from the definition, one sample and one feature at a time."""
    errors = []
    for o, x in zip(outputs.astype(float), rows.astype(float), strict=True):
        if isinstance(loss, SquaredError):
            r = map(logistic, o) if loss.link == "logistic" else o
            errors.append(sum((a - b) ** 2 for a, b in zip(x, r, strict=True)))
        elif isinstance(loss, Bernoulli):
            pairs = zip(x, map(logistic, o), strict=True)
            errors.append(-sum(a * math.log(r) + (1 - a) * math.log(1 - r) for a, r in pairs))
        else:
            total = sum(math.exp(v) for v in o)
            pairs = zip(x, (math.exp(v) / total for v in o), strict=True)
            errors.append(-sum(a * math.log(r) for a, r in pairs))
    return errors


@pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)
def test_a_loss_matches_its_definition(loss, output, sparse_and_dense):
    _, x = sparse_and_dense
    expected = torch.tensor(loss_by_loops(loss, output.numpy(), x.numpy()), dtype=torch.float32)
    torch.testing.assert_close(loss.per_sample(output, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)
def test_a_loss_is_the_same_on_sparse_rows(loss, output, sparse_and_dense):
    sparse, dense = sparse_and_dense
    torch.testing.assert_close(
        loss.per_sample(output, sparse), loss.per_sample(output, dense), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)
def test_a_losss_gradient_is_the_same_on_sparse_rows(loss, output, sparse_and_dense):
    gradients = []
    for x in sparse_and_dense:
        leaf = output.clone().requires_grad_()
        loss.per_sample(leaf, x).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)
def test_the_expectation_inverts_the_inverse_link(loss):
    mean = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    torch.testing.assert_close(loss.expectation(loss.inverse_link(mean)), mean)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_bernoulli_refuses_values_outside_its_range(value):
    with pytest.raises(InvalidData, match=r"Bernoulli: x must be in \[0, 1\], got \[.*; rescale"):
        Bernoulli().check(torch.tensor([[0.5, value]]))


def test_multinomial_refuses_negative_values():
    with pytest.raises(InvalidData, match=r"Multinomial: x must be >= 0, got -0.1; give counts"):
        Multinomial().check(torch.tensor([[0.5, -0.1]]))


def test_multinomial_loss_of_an_empty_row_is_zero(output, sparse_and_dense):
    assert float(Multinomial().per_sample(output, sparse_and_dense[0])[2]) == 0


def test_an_unknown_link_is_refused():
    with pytest.raises(
        UsageError, match="link: unknown name 'probit'; choose from clamp, identity, logistic"
    ):
        SquaredError(link="probit")


def test_masking_zeroes_the_given_fraction(generator):
    x = torch.ones(200, 500)
    corrupted = Masking(0.3)(x, generator=generator).rows
    assert set(corrupted.unique().tolist()) == {0.0, 1.0}
    assert abs(float((corrupted == 0).float().mean()) - 0.3) < 0.01


def test_masking_draws_anew_at_each_call(generator):
    x = torch.ones(20, 20)
    first, second = (Masking(0.3)(x, generator=generator).rows for _ in range(2))
    assert not torch.equal(first, second)


def test_masking_of_sparse_rows_touches_stored_values_only(generator, sparse_and_dense):
    sparse, dense = sparse_and_dense
    corrupted = Masking(0.5)(sparse, generator=generator).rows.to_dense()
    assert bool(((corrupted == 0) | (corrupted == dense)).all())
    assert 0 < int((corrupted != 0).sum()) < int((dense != 0).sum())


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_masking_refuses_an_invalid_rate(rate):
    with pytest.raises(UsageError, match="Masking: rate: must be a number >= 0 and < 1, got"):
        Masking(rate)


@pytest.fixture
def step(generator):
    x = torch.rand(4, 5, generator=generator)
    net = build_objective("plain", {"n_components": 2, "hidden": [3]}, 5)
    h = torch.tensor([[1.0, -2.0], [0.0, 0.5], [0.0, 0.0], [3.0, 1.0]])
    return Forward(x, x, Code(h), net.decoder(h), net.encoder, net.decoder)


def test_l1_is_the_mean_over_samples_of_the_sum_over_units(step):
    assert float(L1(0.1)(step)) == pytest.approx(0.1 * (3 + 0.5 + 0 + 4) / 4)


def test_weight_decay_sums_every_matrix_once_and_no_bias(step):
    matrices = [*step.encoder.weights, *step.decoder.weights]
    expected = sum(float((w.detach().numpy() ** 2).sum()) for w in matrices)
    with torch.no_grad():
        for bias in step.encoder.biases:
            bias.fill_(100.0)
    assert float(WeightDecay(0.01)(step).detach()) == pytest.approx(0.01 * expected, rel=1e-5)


@pytest.mark.parametrize("penalty", [L1, WeightDecay])
def test_a_negative_weight_is_refused(penalty):
    with pytest.raises(UsageError, match="weight: must be a number >= 0, got -1"):
        penalty(-1)


def test_the_dense_encoder_matches_its_formula(generator):
    net = DenseEncoder([5, 4, 3], activation="tanh", generator=generator)
    x = torch.rand(6, 5, generator=generator)
    (w1, w2), (b1, b2) = net.weights, net.biases
    with torch.no_grad():
        b1.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    expected = np.tanh(x.numpy() @ w1.detach().numpy() + b1.detach().numpy())
    expected = expected @ w2.detach().numpy() + b2.detach().numpy()
    np.testing.assert_allclose(net(x).h.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_the_first_layer_is_the_same_on_sparse_rows(generator, sparse_and_dense):
    net = DenseEncoder([9, 4, 2], activation="silu", generator=generator)
    sparse, dense = sparse_and_dense
    torch.testing.assert_close(net(sparse).h, net(dense).h)


def test_the_first_layers_gradient_is_the_same_on_sparse_rows(generator, sparse_and_dense):
    net = DenseEncoder([9, 4, 2], activation="silu", generator=generator)
    gradients = []
    for x in sparse_and_dense:
        net.zero_grad()
        net(x).h.square().sum().backward()
        gradients.append(net.weights[0].grad.clone())
    torch.testing.assert_close(*gradients)


def test_initial_weights_fill_glorots_interval(generator):
    net = DenseEncoder([400, 200], activation="silu", generator=generator)
    limit = math.sqrt(6 / 600)
    weight = net.weights[0].detach()
    assert float(weight.abs().max()) <= limit
    assert float(weight.std()) == pytest.approx(limit / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_finite_and_not_constant(name):
    x = torch.linspace(-5, 5, 11)
    y = ACTIVATIONS[name](x)
    assert bool(torch.isfinite(y).all()) and float(y.std()) > 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activations_slope_is_its_derivative(name):
    z = torch.linspace(-5, 5, 12, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(ACTIVATIONS[name](z).sum(), z)
    torch.testing.assert_close(SLOPES[name](z), expected)


def test_affine_without_amounts_changes_nothing(generator):
    x = torch.rand(3, 20, generator=generator)
    moved = Affine(0, 0, 0, 0)(x, (4, 5), generator=generator)
    torch.testing.assert_close(moved, x, rtol=1e-4, atol=1e-4)


def test_affine_shifts_by_at_most_its_bound(generator):
    x = torch.zeros(200, 11, 11)
    x[:, 5, 5] = 1
    moved = Affine(0, 0, 0, shift=2.0)(x.view(200, -1), (11, 11), generator=generator)
    mass = moved.view(200, 11, 11)
    center = (mass.sum(1) * torch.arange(11.0)).sum(1) / mass.sum((1, 2))
    assert 1.0 < float((center - 5).abs().max()) <= 2.01


def test_affine_moves_every_channel_alike(generator):
    gray = torch.rand(4, 6, 6, 1, generator=generator)
    color = gray.repeat(1, 1, 1, 3).reshape(4, -1)
    moved = Affine()(color, (6, 6, 3), generator=generator).view(4, 6, 6, 3)
    assert torch.equal(moved[..., 0], moved[..., 1])
    assert not torch.allclose(moved[..., :1], gray)


def test_affine_flips_the_given_fraction_of_images(generator):
    x = torch.rand(400, 20, generator=generator)
    moved = Affine(0, 0, 0, 0, flip=0.25)(x, (4, 5), generator=generator).view(-1, 4, 5)
    as_they_are = (moved - x.view(-1, 4, 5)).abs().amax(dim=(1, 2)) < 1e-5
    turned = (moved - x.view(-1, 4, 5).flip(2)).abs().amax(dim=(1, 2)) < 1e-5
    assert bool((as_they_are ^ turned).all())
    assert 0.18 < float(turned.float().mean()) < 0.32


def test_affine_needs_images(generator):
    with pytest.raises(UsageError, match="Affine: needs images"):
        Affine()(torch.rand(2, 4), None, generator=generator)


def test_a_piece_is_built_from_its_short_form():
    assert piece_from_spec(CORRUPTIONS, "masking:0.4", slot="corruption") == Masking(0.4)
    assert piece_from_spec(LOSSES, "squared_error:logistic", slot="loss") == SquaredError(
        "logistic"
    )


def test_a_piece_is_built_from_named_fields():
    of = {"slot": "augmentation"}
    spec = "affine:0.1,flip=0.5,until=1,interpolation=bicubic"
    wanted = Affine(0.1, flip=0.5, until=1, interpolation="bicubic")
    assert piece_from_spec(AUGMENTATIONS, spec, **of) == wanted
    with pytest.raises(UsageError, match=r"unknown name 'flap'.*mean 'flip'\?"):
        piece_from_spec(AUGMENTATIONS, "affine:flap=0.5", **of)
    with pytest.raises(UsageError, match="gives rotation twice"):
        piece_from_spec(AUGMENTATIONS, "affine:0.1,rotation=0.2", **of)
    with pytest.raises(UsageError, match="a value without a name after one with a name"):
        piece_from_spec(AUGMENTATIONS, "affine:flip=0.5,0.1", **of)
    with pytest.raises(UsageError, match="9 values, at most 8 fit"):
        piece_from_spec(AUGMENTATIONS, "affine:" + ",".join("0" * 9), **of)


@pytest.mark.parametrize(
    "table, spec, message",
    [
        (AUGMENTATIONS, "affine:flip", "of: 'flip' gives flip no value; write flip=VALUE"),
        (AUGMENTATIONS, "affine:0.1,flip", "gives flip no value"),
        (CORRUPTIONS, "masking:rate,alpha=2", "gives rate no value"),
        (CORRUPTIONS, "identity:x=3", "of: 'x=3': Identity takes no values; leave them out"),
        (CORRUPTIONS, "identity:3", "Identity takes no values"),
    ],
)
def test_an_invalid_short_form_is_refused_with_the_reason(table, spec, message):
    with pytest.raises(UsageError, match=message):
        piece_from_spec(table, spec, slot="of")


def test_an_unknown_piece_names_the_nearest():
    with pytest.raises(UsageError, match=r"corruption: unknown name 'maskin'.*mean 'masking'\?"):
        piece_from_spec(CORRUPTIONS, "maskin", slot="corruption")


def test_a_piece_with_an_unknown_field_is_refused():
    with pytest.raises(UsageError, match="corruption 'masking': .*unexpected keyword"):
        piece_from_spec(CORRUPTIONS, {"name": "masking", "amount": 1}, slot="corruption")
