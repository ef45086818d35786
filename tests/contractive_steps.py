"""Nets, forward records and Jacobians by autograd, for the tests of the contractive penalties."""

from __future__ import annotations

import torch
from torch import Generator

from narrows import Contractive, HigherOrderContractive
from narrows.core.slots import Forward
from narrows.corruptions import Identity
from narrows.variants.building import build_objective

N_FEATURES = 6
DEEP = {"hidden": (7, 5), "activation": "silu"}
PENALTIES = [
    Contractive(0.3, "closed"),
    Contractive(0.3, "exact"),
    Contractive(0.3, "stochastic"),
    HigherOrderContractive(0.3, 0.7, 0.2, method="closed"),
    HigherOrderContractive(0.3, 0.7, 0.2, method="exact"),
    HigherOrderContractive(0.3, 0.7, 0.2, method="stochastic"),
]


def make(hidden=(), activation="tanh", code_activation="sigmoid", n_components=4, seed=0):
    parameters = {
        "n_components": n_components,
        "hidden": list(hidden),
        "activation": activation,
        "code_activation": code_activation,
    }
    net = build_objective("tied", parameters, N_FEATURES, seed=seed)
    generator = Generator().manual_seed(seed)
    for bias in net.encoder.biases:  # so that no unit has its largest slope
        torch.nn.init.normal_(bias, generator=generator)
    return net


def step_of(net, x, corruption=None, seed=3) -> Forward:
    generator = Generator().manual_seed(seed)
    corrupted = (corruption or Identity())(x, generator=generator).rows
    code = net.encoder(corrupted)
    output = net.decoder(code.h)
    return Forward(x, corrupted, code, output, net.encoder, net.decoder, None, generator)


def jacobians(encoder, x) -> torch.Tensor:
    """d f / d x of every row by autograd, one row at a time: (batch, components, features)."""

    def encode(row):
        return encoder(row[None]).h[0]

    return torch.stack([torch.autograd.functional.jacobian(encode, row) for row in x])


def number(scalar: torch.Tensor) -> float:
    return float(scalar.detach())


def mean_squared_norm(jacobian: torch.Tensor) -> float:
    return number(jacobian.square().sum(dim=(1, 2)).mean())


def noises(step, sigma, samples) -> list[torch.Tensor]:
    """The next draws of a step's generator."""
    again = Generator()
    again.set_state(step.generator.get_state())
    return [torch.empty_like(step.x).normal_(0, sigma, generator=again) for _ in range(samples)]
