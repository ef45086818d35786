"""Three ways to compute the encoder's Jacobian J = d f(x) / d x and its squared norm.

Each class has two methods. ``at(x)`` returns a representation that is linear in J, and
``squared_norms`` computes ||J||_F^2 from it, of every row, (batch,), or of every draw and row,
(samples, batch). By linearity, ``squared_norms(at(x) - at(x'))`` is ||J(x) - J(x')||_F^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.core.slots import Encoder, Forward
from narrows.core.sparse import Rows, SparseRows
from narrows.encoders import DenseEncoder, QuantizedEncoder
from narrows.errors import UsageError, unknown_name

__all__ = ["check_method", "full_precision", "generator_of", "jacobian_of"]

_METHODS = ("auto", "closed", "exact", "stochastic")

_NARROW = 32
"""Widest code for which "auto" takes the exact Jacobian of a deep net."""


@dataclass(frozen=True)
class Closed:
    """One dense layer: J_ji = a'(z_j) W_ij, represented by a'(z), (batch, components).

    Beside a linear path, W is W * gate + A.

    ||J||^2 = sum_j a'(z_j)^2 sum_i W_ij^2. Cost: O(batch x components + weights) if the forward
    pass was on the clean rows, one more product of the layer otherwise.
    """

    step: Forward
    encoder: DenseEncoder

    def at(self, x: Rows) -> Tensor:
        preactivation = self.step.code.preactivation
        if x is self.step.x and x is self.step.corrupted and preactivation is not None:
            if preactivation.dtype == self.encoder.weights[0].dtype:  # autocast did not round it
                return self.encoder.code_slope(preactivation)
        return self.encoder.slopes(x)[-1]

    def squared_norms(self, form: Tensor) -> Tensor:
        weight, path = self.encoder.weights[0], self.encoder.path
        if path is not None:
            weight = weight * path.gate + path.matrix
        return form.square() @ weight.square().sum(dim=0)


@dataclass(frozen=True)
class Exact:
    """Any number of dense layers: J = A W_1^T, represented by A, (batch, components, n_1).

    A = S_k W_k^T S_(k-1) ... W_2^T S_1 with S_l = diag(a'(z_l)), multiplied from the code's side,
    so that every product has ``components`` rows. A linear path P makes J = [A, S_k] [W_1, P]^T,
    and the gate multiplies S_k in A. ||A W_1^T||^2 = sum of (A G) * A with G = W_1^T W_1, so the
    cost per sample does not depend on the number of features. Cost: O(batch x components x
    weights), where W_1 counts as n_1 x n_1, and G.
    """

    encoder: DenseEncoder

    def at(self, x: Rows) -> Tensor:
        *hidden, code_slopes = self.encoder.slopes(x)
        path, weights = self.encoder.path, list(self.encoder.weights)
        of_code = torch.diag_embed(code_slopes)
        a = of_code if path is None else of_code * path.gate
        for weight, slope in zip(weights[:0:-1], hidden[::-1], strict=True):
            a = a @ weight.t() * slope[:, None, :]
        return a if path is None else torch.cat([a, of_code], dim=2)

    def squared_norms(self, form: Tensor) -> Tensor:
        first, path = self.encoder.weights[0], self.encoder.path
        if path is not None:
            first = torch.cat([first, path.matrix], dim=1)
        n_features, n_1 = first.shape
        if n_1 > n_features:
            per_sample = (form @ first.t()).square()
        else:
            per_sample = form @ (first.t() @ first) * form
        return per_sample.sum(dim=(1, 2))


@dataclass(frozen=True)
class Stochastic:
    """Any encoder: J is represented by v^T J for random signs v, (samples, batch, features).

    E ||v^T J||^2 = ||J||_F^2, since E v v^T = 1 (Hutchinson). Cost: a forward pass of the encoder,
    a backward pass for each sample, and their gradients, whatever the width of the code.
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
    """Raise UsageError, in the name of the penalty ``owner``, if there is no such method."""
    if method not in _METHODS:
        raise unknown_name(f"{owner}: method", method, _METHODS)


def full_precision(step: Forward) -> torch.autocast:
    """Return a context without autocast: differences of nearly equal slopes need full precision."""
    return torch.autocast(step.code.h.device.type, enabled=False)


def generator_of(step: Forward, owner: str) -> Generator:
    """Return the step's generator; without one, torch would draw from its global state."""
    if step.generator is None:
        raise UsageError(f"{owner}: needs a generator, got None.")
    return step.generator


def jacobian_of(
    step: Forward, *, owner: str, method: str, samples: int = 1
) -> Closed | Exact | Stochastic:
    """Return the Jacobian of the step's encoder by a method; "auto" chooses the cheapest.

    Raises
    ------
    UsageError
        If the method does not apply to this encoder or these rows.
    """
    encoder = step.encoder
    if isinstance(encoder, QuantizedEncoder):
        raise UsageError(
            f"{owner}: a quantized code is constant almost everywhere, so that its Jacobian is 0 "
            "and there is nothing to penalize; leave it out."
        )
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
    """Draw independent signs, +1 or -1 with equal probability, (samples, batch, components)."""
    if isinstance(step.x, SparseRows):
        raise UsageError(
            f"{owner}: method 'stochastic' needs dense rows, got sparse ones; use 'exact', or "
            "'closed' with an encoder of one layer."
        )
    h = step.code.h
    draws = torch.empty(samples, *h.shape, device=h.device)
    return draws.bernoulli_(0.5, generator=generator_of(step, owner)) * 2 - 1
