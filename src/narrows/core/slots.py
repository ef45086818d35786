"""The contracts of the five slots, and the records that pass between them.

    J(x) = L( x, g( f( x~ ) ) ) + sum of Omega

A corruption makes x~, an encoder is f, a decoder is g, a loss is L, a penalty is an Omega.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Outputs, PerSample, Scalar
from narrows.core.pieces import piece_from_spec, piece_to_spec
from narrows.core.sparse import Rows, SparseRows, dense_rows, stored_values

__all__ = [
    "Code",
    "Corrupted",
    "Corruption",
    "Decoder",
    "Encoder",
    "Forward",
    "GaussianPosterior",
    "Labeled",
    "Loss",
    "Penalty",
    "Rows",
    "SparseRows",
    "dense_rows",
    "piece_from_spec",
    "piece_to_spec",
    "stored_values",
]


@dataclass(frozen=True)
class Labeled:
    """A batch with what is known of each row beside x: ``y`` (batch,), classes or values, or
    (batch, n_targets), and how much the row counts in the loss, ``weights`` (batch,). Either is
    None where nothing is known of it."""

    rows: Rows
    y: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: str | torch.device) -> Labeled:
        y = None if self.y is None else self.y.to(device)
        weights = None if self.weights is None else self.weights.to(device)
        return Labeled(self.rows.to(device), y, weights)


@dataclass(frozen=True)
class Corrupted:
    """What a corruption returns: x~, and how much each feature counts in the loss.

    ``weights`` (batch, features) is None where all count alike.
    """

    rows: Rows
    weights: Tensor | None = None


@dataclass(frozen=True)
class GaussianPosterior:
    """q(h | x): independent normals, ``mean`` and ``log_variance`` (batch, components)."""

    mean: Codes
    log_variance: Codes

    def kl_per_component(self) -> Codes:
        """Return KL(q || N(0, 1)) of every component, (batch, components), in nats."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def at(self, e: Codes) -> Codes:
        """Return mean + deviation * e, (batch, components)."""
        return self.mean + (0.5 * self.log_variance).exp() * e

    def draw(self, *, generator: Generator) -> Codes:
        """Return one h of every row's q(h | x), (batch, components)."""
        return self.at(torch.empty_like(self.mean).normal_(generator=generator))


@dataclass(frozen=True)
class Code:
    """What an encoder returns: the code h, and a posterior where there is one.

    ``preactivation`` (batch, components) is what went into the code's own non-linearity or
    selection.
    """

    h: Codes
    posterior: GaussianPosterior | None = None
    preactivation: Codes | None = None


@dataclass(frozen=True)
class Forward:
    """One pass through the formula, as the penalties read it.

    ``weights`` (batch,), of mean 1 over the rows of a training, say how much each row counts; None
    where all count alike. ``mean_over_rows`` and ``mean_of_features`` take them.
    """

    x: Rows
    corrupted: Rows
    code: Code
    output: Outputs
    encoder: Encoder
    decoder: Decoder
    y: Tensor | None = None
    generator: Generator | None = None
    weights: Tensor | None = None


@runtime_checkable
class Corruption(Protocol):
    """x -> x~. Where ``admits_missing``, x may hold NaN: it counts in no loss, and reads as
    the corruption's ``fill``, 0 where it has none."""

    @property
    def admits_missing(self) -> bool: ...

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted: ...


class Encoder(nn.Module, ABC):
    """f: rows to a code record. Random only where a generator is given: in training.

    ``stochastic`` says that the code itself is then random, and not only what goes in.
    """

    stochastic: bool = False
    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code: ...

    @abstractmethod
    def layers(self, x: Rows) -> list[Tensor]:
        """Return every layer's activations, the code last."""

    @property
    def widths(self) -> list[int]:
        """Activations of every layer of ``layers``, the code last."""
        return [weight.shape[1] for weight in self.weights]

    def project(self, h: Codes) -> Codes:
        """Return what is nearest to h among the codes that f gives; here h itself."""
        return h

    def start_at(self, mean: Tensor) -> None:
        """Use the mean of the scaled data, (features,), before training."""


class Decoder(nn.Module, ABC):
    """g: codes to natural parameters (means or logits), never past a link."""

    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, h: Codes) -> Outputs: ...

    def before_step(self) -> None:
        """Change the gradients of a constrained decoder before the weights move."""

    def after_step(self) -> None:
        """Put the weights of a constrained decoder back where they belong."""


@runtime_checkable
class Loss(Protocol):
    """L(x, output) per sample: summed over features, each times its weight where there are any.

    The loss owns the link.

    ``log_normalizer`` is what turns the loss into a density: log p(x | h) = -L - log_normalizer,
    (batch,); it raises InvalidData where x has no such probability.

    ``bounded`` says whether ``check`` refuses some finite values.
    """

    @property
    def unit(self) -> str: ...

    @property
    def bounded(self) -> bool: ...

    def check(self, x: Rows) -> None: ...

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample: ...

    def log_normalizer(self, x: Rows) -> PerSample: ...

    def expectation(self, output: Outputs) -> Outputs: ...

    def reconstruction(self, output: Outputs, x: Rows) -> Outputs: ...

    def inverse_link(self, mean: Tensor) -> Tensor: ...


@runtime_checkable
class Penalty(Protocol):
    """Omega: a scalar, the mean over the batch by ``step.weights``, in the unit of the loss.

    One that has weights of its own is also an ``nn.Module``, and trains with the net.
    """

    def __call__(self, step: Forward) -> Scalar: ...
