"""Binary encoder: a code of bits, learned through noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes
from narrows.core.checks import check_number
from narrows.core.linear_path import LinearCode
from narrows.core.slots import Code, Encoder
from narrows.core.sparse import Rows
from narrows.encoders.dense import DenseEncoder
from narrows.encoders.rotation import UnitRotation
from narrows.errors import unknown_name

__all__ = ["BINARIZATIONS", "BinaryEncoder"]

_START = 2.0
"""Deviation of z at a linear start, in standard deviations of the noise."""


class BinaryEncoder(Encoder):
    """h_j = 1 where z_j > threshold_j, else -1, with z of a dense net with a linear last layer.

    The inner product of two codes is their length minus twice their Hamming distance. In training
    h is differentiable, by ``binarization``:

    "noise"             h = tanh((z + noise * e) / 2), e standard normal: only z far from 0 gets
                        through the noise, so that rounding it loses little.
    "straight_through"  h = 1 with probability sigmoid(z), else -1; the gradient passes as if h
                        were its mean, tanh(z / 2).

    ``thresholds`` (n_components,) are part of the state, 0 unless set from data.

    With ``n_groups`` > 1, each row keeps one random group of neighboring bits in training, scaled
    by ``n_groups``, and the other bits are 0. Each group then describes the row by itself, like a
    short code learned separately, and the groups make different mistakes.

    Parameters
    ----------
    widths : sequence of int
        n_features, the hidden widths, n_components.
    activation : str
        Between layers.
    binarization : {"noise", "straight_through"}
        How bits are made differentiable in training.
    noise : float
        Standard deviation of the noise that is added to z, in units of z.
    n_groups : int, default=1
        Number of groups of bits; 1 keeps all bits.
    row_length : float or None, default=None
        As in ``DenseEncoder``.
    linear_path : bool, default=False
        As in ``DenseEncoder``.
    turns : bool, default=False
        Whether z is the direction of the net's output, turned: ``UnitRotation``. The bits of short
        and long documents then differ no more than their directions do.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If ``binarization`` is unknown, ``noise`` negative, or ``n_groups`` not from 1 to the
        number of bits.

    References
    ----------
    Salakhutdinov, Hinton (2009), "Semantic hashing", International Journal of Approximate
    Reasoning 50; Bengio, Leonard, Courville (2013), "Estimating or propagating gradients through
    stochastic neurons for conditional computation".

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import BinaryEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = BinaryEncoder(
    ...     [4, 2], activation="silu", binarization="noise", noise=1.0, generator=generator
    ... )
    >>> code = encoder(torch.randn(3, 4, generator=generator))
    >>> torch.equal(code.h, torch.where(code.preactivation > 0, 1.0, -1.0))
    True
    """

    stochastic = True
    thresholds: Tensor
    _n_groups = 1  # absent in older pickles

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str,
        binarization: str,
        noise: float,
        n_groups: int = 1,
        row_length: float | None = None,
        linear_path: bool = False,
        turns: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        if binarization not in BINARIZATIONS:
            raise unknown_name("binarization", binarization, BINARIZATIONS)
        check_number("noise", noise, low=0)
        check_number("n_groups", n_groups, low=1, high=widths[-1], integer=True)
        net = DenseEncoder(
            widths,
            activation=activation,
            row_length=row_length,
            linear_path=linear_path,
            generator=generator,
        )
        self.weights, self.biases, self.path = net.weights, net.biases, net.path
        self.row_length = row_length
        self.register_module("turn", UnitRotation(widths[-1]) if turns else None)
        # a tuple, not an attribute that is a module: its weights are registered here already
        self._net = (net,)
        self._soften = BINARIZATIONS[binarization]
        self._noise = noise
        self._n_groups = n_groups
        self.register_buffer("thresholds", torch.zeros(widths[-1]))

    def layers(self, x: Rows) -> list[Tensor]:
        """Return the activations of the hidden layers, and the bits last, each (batch, width)."""
        *hidden, output = self._net[0].layers(x)
        return [*hidden, self._bits(self._turned(output))]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        preactivation = self._turned(self._net[0](x).h).float()
        if generator is None:
            return Code(h=self._bits(preactivation), preactivation=preactivation)
        h = self._soften(preactivation, self._noise, generator)
        return Code(
            h=h if self._n_groups == 1 else self._one_group(h, generator),
            preactivation=preactivation,
        )

    def start_linear(self, code: LinearCode) -> bool:
        """Start z at the code, turned so that its signs say most about it if z has a turn."""
        turn = self._turn
        if turn is not None:
            z = code.of_rows()
            z = nn.functional.pad(z, (0, len(turn.bias) - z.shape[1]))
            turn.start_at(z, deviation=_START * (self._noise or 1.0))
        return self._net[0].start_linear(code)

    def project(self, h: Codes) -> Codes:
        """Return the nearest bits."""
        return _signs(h > 0)

    def _turned(self, output: Tensor) -> Tensor:
        return output if self._turn is None else self._turn(output)

    @property
    def _turn(self) -> UnitRotation | None:
        return getattr(self, "turn", None)  # absent in older pickles

    def _one_group(self, h: Tensor, generator: Generator) -> Tensor:
        """Set all but one group of each row's bits to 0, and scale that one by their number."""
        n_rows, n_bits = h.shape
        group_of = torch.arange(n_bits, device=h.device) * self._n_groups // n_bits
        kept = torch.randint(self._n_groups, (n_rows, 1), generator=generator, device=h.device)
        return h * ((group_of == kept) * float(self._n_groups))

    def _bits(self, preactivation: Tensor) -> Tensor:
        # NaN stays NaN
        return torch.where(
            preactivation.isnan(), preactivation, _signs(preactivation > self.thresholds)
        )


def _signs(positive: Tensor) -> Tensor:
    return 2 * positive.float() - 1


def _noisy(z: Tensor, noise: float, generator: Generator) -> Tensor:
    return torch.tanh((z + noise * torch.empty_like(z).normal_(generator=generator)) / 2)


def _straight_through(z: Tensor, noise: float, generator: Generator) -> Tensor:
    mean = torch.tanh(z / 2)
    bits = _signs(torch.bernoulli(torch.sigmoid(z.detach()), generator=generator) > 0)
    return bits + (mean - mean.detach())


BINARIZATIONS: dict[str, Callable[[Tensor, float, Generator], Tensor]] = {
    "noise": _noisy,
    "straight_through": _straight_through,
}
