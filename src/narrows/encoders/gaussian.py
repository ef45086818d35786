"""Gaussian encoder: a normal distribution of codes for every row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from narrows.core.activations import activation_named
from narrows.core.linear_path import LinearCode, LinearPath, start_as
from narrows.core.slots import Code, Encoder, GaussianPosterior
from narrows.core.sparse import Rows
from narrows.encoders.dense import Around, dense_parameters, linear_top

__all__ = ["GaussianEncoder"]

_LOG_VARIANCE = 10.0
"""Bound of |log variance|: standard deviations stay between 0.007 and 148; exp never overflows."""

_LEAST_VARIANCE = 1e-4
"""Of a posterior at the start."""


class GaussianEncoder(Encoder):
    """q(h | x) = N(mean, exp(log_variance)): in training h = mean + std * e, else h = mean.

    The last layer of a dense net returns (mean, z), 2 n_components numbers, and log_variance = 10
    tanh(z / 10), about z where z is small. e is standard normal, drawn from the generator, so that
    the gradient reaches mean and std. The posterior is float32 even if the net runs in bfloat16.

    Parameters
    ----------
    widths : sequence of int
        n_features, the hidden widths, n_components.
    activation : str
        Between layers.
    linear_path : bool, default=False
        Whether there is a linear path from the rows to the last layer's output.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If an activation is unknown.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes", ICLR.

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import GaussianEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = GaussianEncoder([4, 2], activation="silu", generator=generator)
    >>> x = torch.rand(3, 4, generator=generator)
    >>> code = encoder(x)  # without a generator h is the mean
    >>> torch.equal(code.h, code.posterior.mean)
    True
    >>> torch.equal(encoder(x, generator=generator).h, code.h)
    False
    """

    stochastic = True

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        *below, n_components = widths
        self.weights, self.biases = dense_parameters(
            [*below, 2 * n_components], generator=generator
        )
        self._activate = activation_named(activation)
        self.path = LinearPath(widths[0], 2 * n_components) if linear_path else None

    @property
    def widths(self) -> list[int]:
        # the last layer returns a mean and a variance
        *hidden, top = (weight.shape[1] for weight in self.weights)
        return [*hidden, top // 2]

    def layers(self, x: Rows, *, around: Around | None = None) -> list[Tensor]:
        """Return every layer's activations, the mean of the code last, each (batch, width)."""
        *hidden, top = self._outputs(x, around)
        return [*hidden, self._posterior(top).mean]

    def forward(
        self, x: Rows, *, generator: Generator | None = None, around: Around | None = None
    ) -> Code:
        posterior = self._posterior(self._outputs(x, around)[-1])
        h = posterior.mean if generator is None else posterior.draw(generator=generator)
        return Code(h=h, posterior=posterior)

    def start_linear(self, code: LinearCode) -> bool:
        matrix, bias = self.linear_layer(code)
        return start_as(matrix, bias, path=self.path, weights=self.weights, biases=self.biases)

    def linear_layer(self, code: LinearCode) -> tuple[Tensor, Tensor]:
        """Return M, c of the last layer x M + c that is probabilistic PCA: the means are the linear
        code, and a number of variance v has the posterior variance noise / v."""
        matrix, bias = code.whitened_layer(self.biases[-1])
        k = len(bias) // 2
        variances = torch.ones(k)
        variances[: len(code.deviations)] = code.noise / code.deviations.square()
        bias[k:] = variances.clamp(_LEAST_VARIANCE, 1.0).log()
        return matrix, bias

    def _outputs(self, x: Rows, around: Around | None = None) -> list[Tensor]:
        return linear_top(
            x, self.weights, self.biases, self._activate, path=self.path, around=around
        )

    def _posterior(self, top: Tensor) -> GaussianPosterior:
        mean, z = top.float().chunk(2, dim=1)
        return GaussianPosterior(mean, _LOG_VARIANCE * torch.tanh(z / _LOG_VARIANCE))
