"""One contract over the whole catalog: every variant with every loss, corruption and penalty."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Generator

from narrows.catalog import VARIANTS
from narrows.core.pieces import piece_to_spec
from narrows.corruptions import CORRUPTIONS
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES
from narrows.variants.building import build_objective

N_FEATURES = 12

# Required parameters of some variants and penalties.
NEEDS = {
    "kl_sparsity": {"code_activation": "sigmoid"},
    "top_k": {"k": 2},
    "convolutional": {"image_shape": [2, 3, 2], "channels": [4, 3]},
    "dictionary": {"k": 2},
    "vector_quantized": {"n_entries": 2},
    "revive": {"hidden": []},
}

# Penalties that need one kind of code.
ONLY_WITH = {
    "kl_sparsity": ["plain", "tied"],
    "kl_to_prior": [],
    "commitment": [],
    "revive": ["top_k"],
}

# Penalties that are not means over rows, since they read means of a batch.
OF_MEANS = ("kl_sparsity", "revive")

# Variants that choose every slot themselves, so no other piece is tested with them.
CLOSED = {"contractive", "denoising", "dictionary", "hashing", "linear", "sparse", "stacked",
          "variational", "vector_quantized"}  # fmt: skip


def combinations():
    """Every variant with every loss, every corruption and every penalty that it takes; the plain
    one, which has nothing of its own, with every pair of loss and corruption."""
    for variant in VARIANTS:
        yield from itertools.product([variant], LOSSES, ["identity"], [None])
        if variant in CLOSED:
            continue
        losses = LOSSES if variant == "plain" else ["squared_error"]
        yield from itertools.product([variant], losses, CORRUPTIONS, [None])
        for penalty in PENALTIES:
            if variant in ONLY_WITH.get(penalty, [variant]):
                yield variant, "squared_error", "masking", penalty


_COMBINATIONS = {"-".join(map(str, case)): case for case in combinations()}


def build(case: tuple[str, str, str, str | None], seed: int = 0):
    variant, loss, corruption, penalty = case
    parameters = {"n_components": 3, "loss": loss, **NEEDS.get(variant, {})}
    if variant not in CLOSED:
        if corruption == "patches":  # the only piece that needs an image shape
            corruption = {"name": corruption, "image_shape": [2, 3, 2]}
        parameters |= {"hidden": [8, 5], "corruption": corruption, **NEEDS.get(penalty, {})}
        parameters["penalties"] = [penalty] if penalty else []
    if penalty == "auxiliary":
        parameters["penalties"] = [{"name": penalty, "n_outputs": 3}]
    return build_objective(variant, parameters, N_FEATURES, seed=seed)


@pytest.fixture(params=_COMBINATIONS.values(), ids=_COMBINATIONS.keys())
def case(request):
    return request.param


@pytest.fixture
def objective(case):
    return build(case)


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 0, -1, 1, 2])


@pytest.fixture
def x(generator: Generator) -> torch.Tensor:
    return torch.rand(7, N_FEATURES, generator=generator)


def test_every_weight_is_stored_once(objective):
    """A checkpoint and a model file hold no tensor under two names."""
    state = objective.state_dict()
    assert len({value.untyped_storage().data_ptr() for value in state.values()}) == len(state)


def test_terms_add_up(objective, x, y, generator):
    terms = objective(x, y, generator=generator)
    torch.testing.assert_close(terms.total, terms.loss + terms.penalty)


def terms_by(case, x, y, weights):
    return build(case)(x, y, generator=Generator().manual_seed(5), weights=weights)


def test_equal_weights_of_rows_change_nothing(case, x, y):
    alike, none = terms_by(case, x, y, torch.ones(len(x))), terms_by(case, x, y, None)
    torch.testing.assert_close(alike.loss, none.loss)
    torch.testing.assert_close(alike.penalty, none.penalty)


def test_terms_are_weighted_means_over_rows(case, x, y):
    """J is the mean over rows of J on that row alone."""
    alone = [terms_by(case, x, y, len(x) * row) for row in torch.eye(len(x))]
    none = terms_by(case, x, y, None)
    torch.testing.assert_close(torch.stack([t.loss for t in alone]).mean(), none.loss)
    variant, _, _, penalty = case
    if variant in ("sparse", "hashing", "dictionary") or penalty in OF_MEANS:
        return
    penalties = torch.stack([t.penalty for t in alone])
    torch.testing.assert_close(penalties.mean(), none.penalty)
    if penalty not in (None, "weight_decay"):
        assert len(penalties.unique()) > 1


def test_the_gradient_reaches_every_parameter(objective, x, y, generator):
    objective(x, y, generator=generator).total.backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


def test_a_seed_repeats(case, x, y):
    first, second = (
        build(case)(x, y, generator=Generator().manual_seed(5)).total for _ in range(2)
    )
    assert torch.equal(first, second)


def test_another_seed_draws_other_weights(case):
    first, second = build(case, seed=0), build(case, seed=1)
    assert not torch.equal(first.encoder.weights[0], second.encoder.weights[0])


def test_the_code_and_the_reconstruction_have_their_shapes(objective, x):
    h = objective.encode(x).h
    assert h.shape == (7, 3)
    assert objective.decode(h).shape == x.shape
    assert objective.error(x).shape == (7,)


def test_encoding_is_deterministic_and_never_corrupts(objective, x):
    assert torch.equal(objective.encode(x).h, objective.encode(x).h)


def test_everything_is_float32(objective, x, y, generator):
    assert objective.encode(x).h.dtype == torch.float32
    assert objective(x, y, generator=generator).total.dtype == torch.float32


def test_start_at_makes_an_untrained_net_output_the_mean(objective, x):
    mean = x.mean(dim=0)
    objective.start_at(mean)
    with torch.no_grad():
        for weight in objective.encoder.weights:
            weight.zero_()
        if hasattr(objective.decoder, "weights"):
            for weight in objective.decoder.weights:
                weight.zero_()
    output = objective.decode(torch.zeros(1, 3))[0]
    if isinstance(objective.loss, LOSSES["multinomial"]):
        mean = mean / mean.sum()
    torch.testing.assert_close(output, mean, rtol=1e-4, atol=1e-4)


def test_the_input_is_never_modified(objective, x, y, generator):
    before = x.clone()
    objective(x, y, generator=generator).total.backward()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "table", [CORRUPTIONS, LOSSES, PENALTIES], ids=["corrupt", "loss", "omega"]
)
def test_every_piece_has_a_spec_that_rebuilds_it(table):
    for name, kind in table.items():
        spec = piece_to_spec(table, kind())
        assert spec["name"] == name
        assert table[spec.pop("name")](**spec) == kind()


def test_a_tied_net_stores_its_weights_once():
    tied = build(("tied", "squared_error", "identity", None))
    plain = build(("plain", "squared_error", "identity", None))
    n_tied, n_plain = (
        sum(p.numel() for p in net.parameters() if p.ndim == 2) for net in (tied, plain)
    )
    assert n_plain == 2 * n_tied


def test_a_tied_decoder_multiplies_by_the_transposes(x):
    net = build_objective("tied", {"n_components": 3, "activation": "linear"}, N_FEATURES)
    weight = net.encoder.weights[0]
    h = net.encode(x).h
    torch.testing.assert_close(net.decoder(h), h @ weight.t())


def test_the_gradient_of_the_objective_matches_finite_differences(x):
    """The gradient of J in float64, by changing each entry of one weight."""
    net = build(("tied", "bernoulli", "identity", "weight_decay")).double()
    x = x.double()

    def value() -> torch.Tensor:
        output = net.decoder(net.encoder(x).h)
        decay = sum(p.square().sum() for p in net.parameters() if p.ndim == 2)
        return net.loss.per_sample(output, x).mean() + net.penalties[0].weight * decay

    value().backward()
    weight = net.encoder.weights[1]
    for i, j in [(0, 0), (3, 2), (7, 4)]:
        with torch.no_grad():
            weight[i, j] += 1e-5
            above = value()
            weight[i, j] -= 2e-5
            below = value()
            weight[i, j] += 1e-5
        slope = (above - below) / 2e-5
        torch.testing.assert_close(weight.grad[i, j], slope, rtol=1e-5, atol=1e-7)
