"""Three ways to the encoder's Jacobian J = d f(x) / d x, and to its squared norm.

Each has ``at(x)``, something linear in J, and ``squared_norms`` of that, ||J||_F^2 of every row,
(batch,), or of every row and sign, (samples, batch). Being linear,
``squared_norms(at(x) - at(x'))`` are those of J(x) - J(x').
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.core.slots import Encoder, Forward, Rows, SparseRows
from narrows.encoders import DenseEncoder
from narrows.errors import UsageError, unknown_name

__all__ = ["check_method", "full_precision", "generator_of", "jacobian_of"]

_METHODS = ("auto", "closed", "exact", "stochastic")

_NARROW = 32
"""Codes up to this width get the exact Jacobian of a deep net."""


@dataclass(frozen=True)
class Closed:
    """One dense layer: J_ji = a'(z_j) W_ij, held as a'(z), (batch, components).

    ||J||^2 = sum_j a'(z_j)^2 sum_i W_ij^2. Cost: O(batch x components + weights) where the
    forward pass is that of the clean rows, one more product of the layer otherwise.
    """

    step: Forward
    encoder: DenseEncoder

    def at(self, x: Rows) -> Tensor:
        preactivation = self.step.code.preactivation
        if x is self.step.x and x is self.step.corrupted and preactivation is not None:
            if preactivation.dtype == self.encoder.weights[0].dtype:  # not rounded by autocast
                return self.encoder.code_slope(preactivation)
        return self.encoder.slopes(x)[-1]

    def squared_norms(self, form: Tensor) -> Tensor:
        return form.square() @ self.encoder.weights[0].square().sum(dim=0)


@dataclass(frozen=True)
class Exact:
    """Dense layers of any number: J = A W_1^T, held as A, (batch, components, n_1).

    A = S_k W_k^T S_(k-1) ... W_2^T S_1 with S_l = diag(a'(z_l)), multiplied from the code's side,
    so that no step is wider than components rows. ||A W_1^T||^2 = sum of (A G) * A with
    G = W_1^T W_1: a sample never meets the features. Cost: O(batch x components x weights),
    where W_1 counts as n_1 x n_1, and G.
    """

    encoder: DenseEncoder

    def at(self, x: Rows) -> Tensor:
        *hidden, of_code = self.encoder.slopes(x)
        a, weights = torch.diag_embed(of_code), list(self.encoder.weights)
        for weight, slope in zip(weights[:0:-1], hidden[::-1], strict=True):
            a = a @ weight.t() * slope[:, None, :]
        return a

    def squared_norms(self, form: Tensor) -> Tensor:
        first = self.encoder.weights[0]
        n_features, n_1 = first.shape
        if n_1 > n_features:
            per_sample = (form @ first.t()).square()
        else:
            per_sample = form @ (first.t() @ first) * form
        return per_sample.sum(dim=(1, 2))


@dataclass(frozen=True)
class Stochastic:
    """Any encoder: v^T J for signs v, held as such, (samples, batch, features).

    E ||v^T J||^2 = ||J||_F^2, since E v v^T = 1 (Hutchinson). Cost: a forward and, for each
    sample, a backward pass of the encoder and their gradients, whatever the width of the code.
    """

    encoder: Encoder
    signs: Tensor

    def at(self, x: Rows) -> Tensor:
        assert isinstance(x, Tensor)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            h = self.encoder(leaf).h
            pulled = [torch.autograd.grad(h, leaf, v, create_graph=True)[0] for v in self.signs]
        return torch.stack(pulled)

    def squared_norms(self, form: Tensor) -> Tensor:
        return form.square().sum(dim=2)


def check_method(owner: str, method: str) -> None:
    if method not in _METHODS:
        raise unknown_name(f"{owner}: method", method, _METHODS)


def full_precision(step: Forward) -> torch.autocast:
    """Return a context without autocast: differences of nearly equal slopes need every bit."""
    return torch.autocast(step.code.h.device.type, enabled=False)


def generator_of(step: Forward, owner: str) -> Generator:
    """Return the step's generator: without one, torch would draw from its global state."""
    if step.generator is None:
        raise UsageError(f"{owner}: needs a generator, got None.")
    return step.generator


def jacobian_of(
    step: Forward, *, owner: str, method: str, samples: int = 1
) -> Closed | Exact | Stochastic:
    """Return the Jacobian of the step's encoder by a method; "auto" takes the cheapest good one.

    Raises
    ------
    UsageError
        If the method is not for this encoder or these rows.
    """
    encoder = step.encoder
    depth = len(encoder.weights) if isinstance(encoder, DenseEncoder) else 0
    if method == "auto":
        method = "exact" if depth and step.code.h.shape[1] <= _NARROW else "stochastic"
        method = "closed" if depth == 1 else method
    if method == "stochastic":
        return Stochastic(encoder, _signs(step, samples, owner))
    if not isinstance(encoder, DenseEncoder):
        kind = type(encoder).__name__
        raise UsageError(
            f"{owner}: method {method!r} needs a DenseEncoder, got {kind}; use 'stochastic'."
        )
    if method == "exact":
        return Exact(encoder)
    if depth > 1:
        raise UsageError(
            f"{owner}: method 'closed' needs an encoder of one layer, got {depth}; "
            "use 'exact' or 'stochastic'."
        )
    return Closed(step, encoder)


def _signs(step: Forward, samples: int, owner: str) -> Tensor:
    """Return independent signs, +1 or -1 alike, (samples, batch, components)."""
    if isinstance(step.x, SparseRows):
        raise UsageError(
            f"{owner}: method 'stochastic' needs dense rows, got sparse ones; use 'exact', or "
            "'closed' with an encoder of one layer."
        )
    weight = step.encoder.weights[0]
    draws = weight.new_empty(samples, *step.code.h.shape)
    return draws.bernoulli_(0.5, generator=generator_of(step, owner)) * 2 - 1
