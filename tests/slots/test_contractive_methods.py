"""Methods of the contractive penalties: choice, cost and refused inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from contractive_steps import (
    DEEP,
    N_FEATURES,
    PENALTIES,
    jacobians,
    make,
    mean_squared_norm,
    number,
    step_of,
)

from narrows import Contractive, HigherOrderContractive
from narrows.core.slots import Code, Encoder, Forward
from narrows.corruptions import Masking
from narrows.data.array_sources import sparse_rows
from narrows.encoders import DenseEncoder
from narrows.errors import UsageError


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.rand(5, N_FEATURES, generator=generator)


@pytest.mark.parametrize("samples", [1, 3])
def test_the_estimates_cost_does_not_grow_with_the_code(x, samples, monkeypatch):
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: calls.append(1) or grad(*a, **k))
    for n_components in (40, 400):
        calls.clear()
        Contractive(1.0, "stochastic", samples)(step_of(make((8,), n_components=n_components), x))
        assert len(calls) == samples


@pytest.mark.parametrize(
    ("hidden", "n_components", "method"),
    [((), 400, "closed"), ((5,), 32, "exact"), ((5,), 33, "stochastic")],
)
def test_auto_selects_the_cheapest_good_method(x, hidden, n_components, method):
    net = make(hidden, n_components=n_components)
    found, named = (Contractive(1.0, m)(step_of(net, x)) for m in ("auto", method))
    assert torch.equal(found, named)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_jacobian_is_taken_at_the_clean_input(x, penalty):
    net = make()
    clean, corrupt = step_of(net, x), step_of(net, x, Masking(0.5))
    assert not torch.equal(clean.code.h, corrupt.code.h)
    corrupt.generator.set_state(clean.generator.get_state())
    torch.testing.assert_close(penalty(corrupt), penalty(clean))


def test_the_closed_form_reuses_the_forward_pass_of_clean_input(x, monkeypatch):
    net = make()
    clean, corrupt = step_of(net, x), step_of(net, x, Masking(0.5))
    monkeypatch.setattr(DenseEncoder, "slopes", None)
    assert number(Contractive()(clean)) > 0
    with pytest.raises(TypeError, match="not callable"):
        Contractive()(corrupt)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_bfloat16_products_leave_the_jacobian_in_float32(x, penalty):
    net = make()
    expected = penalty(step_of(net, x))
    with torch.autocast("cpu", torch.bfloat16):
        step = step_of(net, x)
        found = penalty(step)
    assert step.code.h.dtype == torch.bfloat16 and found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    found.backward()
    assert number(net.encoder.weights[0].grad.abs().sum()) > 0


@pytest.fixture
def thin(x) -> tuple:
    dense = torch.where(x > 0.5, x, 0)
    return sparse_rows(sp.csr_array(dense.numpy())), dense


@pytest.mark.parametrize(
    ("hidden", "method"), [((), "closed"), ((), "exact"), ((5,), "exact")], ids=str
)
def test_sparse_rows_give_the_penalty_of_dense_rows(thin, hidden, method):
    net = make(hidden)
    found, expected = (Contractive(1.0, method)(step_of(net, rows)) for rows in thin)
    torch.testing.assert_close(found, expected)


def test_the_estimate_refuses_sparse_rows(thin):
    with pytest.raises(UsageError, match="Contractive: method 'stochastic' needs dense rows, got"):
        Contractive(1.0, "stochastic")(step_of(make(), thin[0]))


def test_the_closed_form_refuses_a_deep_encoder(x):
    with pytest.raises(UsageError, match="'closed' needs an encoder of one layer, got 3; use 'ex"):
        Contractive(1.0, "closed")(step_of(make(**DEEP), x))


@pytest.mark.parametrize("penalty", [Contractive, HigherOrderContractive])
def test_an_unknown_method_names_the_nearest(penalty):
    message = rf"{penalty.__name__}: method: unknown name 'close'.*mean 'closed'\?"
    with pytest.raises(UsageError, match=message):
        penalty(method="close")


@pytest.mark.parametrize(
    ("penalty", "field", "value", "rule"),
    [
        (Contractive, "weight", -1, "a number >= 0"),
        (Contractive, "samples", 0, "an integer >= 1"),
        (HigherOrderContractive, "weight", -1, "a number >= 0"),
        (HigherOrderContractive, "gamma", -1, "a number >= 0"),
        (HigherOrderContractive, "sigma", 0, "a number > 0"),
        (HigherOrderContractive, "samples", 0, "an integer >= 1"),
    ],
)
def test_a_number_out_of_range_is_refused(penalty, field, value, rule):
    message = f"{penalty.__name__}: {field}: must be {rule}, got {value}"
    with pytest.raises(UsageError, match=message):
        penalty(**{field: value})


@pytest.mark.parametrize("penalty", [Contractive(1, "stochastic"), HigherOrderContractive()])
def test_nothing_is_drawn_without_a_generator(x, penalty):
    step = replace(step_of(make(), x), generator=None)
    with pytest.raises(UsageError, match=f"{type(penalty).__name__}: needs a generator, got None"):
        penalty(step)


class Squares(Encoder):
    """An encoder that is not dense layers: h = (x W)^2."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList([weight])

    def forward(self, x, *, generator=None) -> Code:
        return Code(h=(x @ self.weights[0]).square())

    def layers(self, x):
        return [self(x).h]


@pytest.fixture
def other_step(x, generator) -> Forward:
    net = make()
    encoder = Squares(torch.randn(N_FEATURES, 4, generator=generator))
    code = encoder(x)
    return Forward(x, x, code, net.decoder(code.h), encoder, net.decoder, None, generator)


def test_a_custom_encoder_gets_the_estimate(other_step):
    expected = mean_squared_norm(jacobians(other_step.encoder, other_step.x))
    found = np.mean([number(Contractive(1.0)(other_step)) for _ in range(400)])
    assert found == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("method", ["closed", "exact"])
def test_other_methods_refuse_a_custom_encoder(other_step, method):
    with pytest.raises(UsageError, match="needs a DenseEncoder, got Squares; use 'stochastic'"):
        Contractive(1.0, method)(other_step)
