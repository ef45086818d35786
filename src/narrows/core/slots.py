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
from narrows.core.linear_path import LinearCode
from narrows.core.sparse import Rows
from narrows.errors import InvalidData

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
]


@dataclass(frozen=True)
class Labeled:
    """A batch of rows with targets and weights, each None if there are none.

    ``y`` is (batch,), classes or values, or (batch, n_targets); ``weights`` (batch,) say how much
    each row counts in the loss.
    """

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
    """What a corruption returns: x~, and the weight of each feature in the loss.

    ``weights`` (batch, features) is None if all features count alike.
    """

    rows: Rows
    weights: Tensor | None = None


@dataclass(frozen=True)
class GaussianPosterior:
    """q(h | x): independent normals with ``mean`` and ``log_variance``, (batch, components).

    Examples
    --------
    >>> zero = torch.zeros(1, 2)
    >>> GaussianPosterior(zero, zero).kl_per_component()
    tensor([[0., 0.]])
    """

    mean: Codes
    log_variance: Codes

    def kl_per_component(self) -> Codes:
        """Return KL(q || N(0, 1)) of every component, (batch, components), in nats."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def at(self, e: Codes) -> Codes:
        """Return mean + std * e, (batch, components)."""
        return self.mean + (0.5 * self.log_variance).exp() * e

    def draw(self, *, generator: Generator) -> Codes:
        """Draw one h from every row's q(h | x), (batch, components)."""
        return self.at(torch.empty_like(self.mean).normal_(generator=generator))


@dataclass(frozen=True)
class Code:
    """What an encoder returns: the code h, and its posterior if it has one.

    ``preactivation`` (batch, components) is the input of the code's own non-linearity or
    selection.
    """

    h: Codes
    posterior: GaussianPosterior | None = None
    preactivation: Codes | None = None


@dataclass(frozen=True)
class Forward:
    """One pass through the formula, as penalties read it.

    ``weights`` (batch,) say how much each row counts, with mean 1 over all training rows; None if
    all count alike. ``mean_over_rows`` and ``mean_of_features`` apply them.
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
    """x -> x~.

    If it ``admits_missing``, x may hold NaN: missing values do not count in the loss, and
    are replaced by the corruption's ``fill``, or by 0 if it has none.
    """

    @property
    def admits_missing(self) -> bool: ...

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted: ...


class Encoder(nn.Module, ABC):
    """f: rows (batch, features) to a ``Code``, h (batch, n_components).

    It draws only if it is given a generator: in training. ``stochastic`` says that the code itself
    is then random, not only the encoder's input.
    """

    stochastic: bool = False
    row_length: float | None = None
    """The Euclidean length to which f scales rows first; None leaves them as they are."""

    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code: ...

    @abstractmethod
    def layers(self, x: Rows) -> list[Tensor]:
        """Return the activations of every layer, the code last."""

    @property
    def widths(self) -> list[int]:
        """Number of units of every layer of ``layers``, the code last."""
        return [weight.shape[1] for weight in self.weights]

    def project(self, h: Codes) -> Codes:
        """Return the code nearest to h that f can produce; by default h itself."""
        return h

    def start_at(self, mean: Tensor) -> None:
        """Adapt the initial weights to the mean of the scaled data, (features,)."""

    def start_linear(self, code: LinearCode) -> bool:
        """Start f at a linear code, or as near to it as f can be, up to a shift and a scale.

        The code is one of rows of length 1 if f scales rows. Return whether f can start so; by
        default it cannot.
        """
        return False

    def linear_decoder(self, code: LinearCode) -> Tensor | None:
        """Return the B with h B = x - mean, as far as the code goes, after ``start_linear``.

        It is (n_components, features); None, the default, if it has to be fitted to codes.
        """
        return None


class Decoder(nn.Module, ABC):
    """g: codes (batch, n_components) to natural parameters (batch, features), means or logits.

    The loss applies the link.
    """

    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, h: Codes) -> Outputs: ...

    def start_linear(self, matrix: Tensor, center: Tensor, mean: Tensor) -> bool:
        """Start g at (h - center) B + mean, or as near to it as g can be.

        B is (n_components, features), ``center`` (n_components,), ``mean`` (features,). Return
        whether g can start so; by default it cannot.
        """
        return False

    def before_step(self) -> None:
        """Adjust the gradients of a constrained decoder before an optimization step."""

    def after_step(self) -> None:
        """Project the weights of a constrained decoder onto the constraint after a step."""


class Loss(ABC):
    """L(x, output) per sample, (batch,): a sum over features, weighted if there are weights.

    The loss owns the link. A loss of your own defines ``per_sample``; the other methods have
    defaults that hold for an output in the units of x.
    """

    unit: str = "loss units"
    """What one unit of the loss is, for reports."""

    bounded: bool = False
    """Whether ``check`` refuses some finite values: ``fit`` then checks every row, and
    ``scale="auto"`` scales rows to [0, 1]."""

    @abstractmethod
    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample:
        """Return the loss of every row, (batch,); ``weights`` are (batch, n_features)."""

    def check(self, x: Rows) -> None:  # noqa: B027 -- most losses take any x
        """Raise InvalidData for values that the loss cannot take."""

    def log_normalizer(self, x: Rows) -> PerSample:
        """Return what makes the loss a density, log p(x | h) = -L - log_normalizer, (batch,).

        Raises
        ------
        InvalidData
            If x has no such probability.
        """
        raise InvalidData(f"{type(self).__name__}: is not a likelihood of x.")

    def expectation(self, output: Outputs) -> Outputs:
        """Return the expected x, in the units of x."""
        return output

    def reconstruction(self, output: Outputs, x: Rows) -> Outputs:
        """Return what to show as the reconstruction of x."""
        return self.expectation(output)

    def inverse_link(self, mean: Tensor) -> Tensor:
        """Return the output whose expectation is the mean."""
        return mean


@runtime_checkable
class Penalty(Protocol):
    """Omega: a scalar in the unit of the loss, averaged over the batch by ``step.weights``.

    A penalty with parameters of its own is also an ``nn.Module``, and trains with the net. With
    ``judged = False`` it does not count when epochs are compared on held-out rows.
    """

    def __call__(self, step: Forward) -> Scalar: ...
