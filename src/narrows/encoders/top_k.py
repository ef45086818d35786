"""Top-k encoder: keep the k largest numbers of every code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from narrows._types import Codes
from narrows.core.activations import activation_named
from narrows.core.linear_path import LinearCode, LinearPath, start_as
from narrows.core.slots import Code, Encoder
from narrows.core.sparse import Rows
from narrows.encoders.dense import dense_parameters, linear_top
from narrows.errors import UsageError

__all__ = ["TopKEncoder"]


class TopKEncoder(Encoder):
    """h = the ``k`` largest of relu(z), the others 0; z is the output of a dense net.

    ``idle`` (n_components,) counts the training rows since each unit was last active; it is part
    of the state, so that a resumed training knows its dead units. Cost of the selection: O(batch x
    n_components).

    Parameters
    ----------
    widths : sequence of int
        n_features, the hidden widths, n_components.
    k : int
        How many numbers to keep, from 1 to n_components.
    activation : str
        Between layers.
    linear_path : bool, default=False
        Whether there is a linear path from the rows to the code.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If ``k`` is out of range, or the activation unknown.

    References
    ----------
    Makhzani, Frey (2014), "k-sparse autoencoders", ICLR; Gao et al. (2024), "Scaling and
    evaluating sparse autoencoders".

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import TopKEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = TopKEncoder([4, 50], k=3, activation="silu", generator=generator)
    >>> h = encoder(torch.rand(2, 4, generator=generator)).h
    >>> (h > 0).sum(dim=1)
    tensor([3, 3])
    """

    idle: Tensor

    def __init__(
        self,
        widths: Sequence[int],
        *,
        k: int,
        activation: str,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        if not 1 <= k <= widths[-1]:
            raise UsageError(f"k: must be from 1 to n_components ({widths[-1]}), got {k!r}.")
        self.k = k
        self.weights, self.biases = dense_parameters(widths, generator=generator)
        self.path = LinearPath(widths[0], widths[-1]) if linear_path else None
        self._activate = activation_named(activation)
        self.register_buffer("idle", torch.zeros(widths[-1], dtype=torch.int64))

    def layers(self, x: Rows) -> list[Tensor]:
        """Return the activations of every layer, the sparse code last, each (batch, width)."""
        *hidden, preactivation = self._affine(x)
        return [*hidden, largest(preactivation, self.k)]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        preactivation = self._affine(x)[-1].float()
        h = largest(preactivation, self.k)
        if generator is not None:  # in training
            with torch.no_grad():
                self.idle.add_(len(h)).mul_((h == 0).all(dim=0))
        return Code(h=h, preactivation=preactivation)

    def start_linear(self, code: LinearCode) -> bool:
        matrix, bias = code.signed_layer(self.biases[-1])
        return start_as(matrix, bias, path=self.path, weights=self.weights, biases=self.biases)

    def linear_decoder(self, code: LinearCode) -> Tensor:
        return code.signed_decoder(self.biases[-1])

    def project(self, h: Codes) -> Codes:
        """Keep the ``k`` largest positive numbers of every row of h, and set the others to 0."""
        return largest(h, self.k)

    def _affine(self, x: Rows) -> list[Tensor]:
        return linear_top(x, self.weights, self.biases, self._activate, path=self.path)

    @torch.no_grad()
    def start_at(self, mean: Tensor) -> None:
        """Set the bias of a single layer so that it reads x - mean."""
        if len(self.weights) == 1:
            self.biases[0].copy_(-mean @ self.weights[0])


def largest(preactivation: Codes, k: int) -> Codes:
    """Return relu(preactivation) with all but the ``k`` largest of each row set to 0.

    Examples
    --------
    >>> largest(torch.tensor([[3.0, -1.0, 2.0, 1.0]]), 2)
    tensor([[3., 0., 2., 0.]])
    """
    values, places = preactivation.topk(k, dim=1, sorted=False)
    return torch.zeros_like(preactivation).scatter(1, places, values.relu())
