"""A linear path beside the layers of a net, so that the net can start as a linear map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from narrows.core.linear_kernels import affine
from narrows.core.sparse import Rows, SparseRows

__all__ = ["LinearCode", "LinearPath", "start_as"]

_SHORT = 0.1
"""Length of the directions of units that are left over."""


@dataclass(frozen=True)
class LinearCode:
    """The code (x - mean) V' of some rows, and the deviations of its numbers.

    Attributes
    ----------
    components : Tensor
        V, orthonormal rows, (k, n_features).
    mean, deviations : Tensor
        (n_features,) and (k,).
    noise : float
        Mean variance of the directions that V leaves out.
    rows : Rows
        A sample of the rows, (n_rows, n_features).
    """

    components: Tensor
    mean: Tensor
    deviations: Tensor
    noise: float
    rows: Rows

    def of_rows(self) -> Tensor:
        """Return the codes of the sample, (n_rows, k)."""
        directions = self.components.t().contiguous()
        x = self.rows
        z = x.matmul(directions) if isinstance(x, SparseRows) else x @ directions
        return z - self.mean @ directions

    def layer(self, bias: Tensor, *, deviation: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return M (n_features, n_out), c (n_out,) of x M + c, the code at another scale.

        The mean square of its numbers has the root ``deviation``. All have the same factor, so that
        distances of codes are those of the rows along V. ``bias`` (n_out,), n_out >= k, says how
        wide M is; further columns are 0.
        """
        return self._layer(self.components * self._factor(deviation), bias)

    def whitened_layer(self, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return M, c as ``layer`` does, with deviation 1 of every number."""
        return self._layer(self.components / self.deviations[:, None], bias)

    def signed_layer(self, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return M, c of a layer of units that are 0 where they are negative, (n_features, n_out).

        Two units have the directions v and -v, so that one of them is v' (x - mean) without its
        sign. Units that are left over have random directions, a tenth as long.
        """
        directions = self._signed_directions(bias) * self._factor(1.0)
        return self._layer(directions, bias)

    def signed_decoder(self, bias: Tensor) -> Tensor:
        """Return the B, (n_out, n_features), with h B = (x - mean) V' V for h of ``signed_layer``.

        Units that are left over change nothing.
        """
        matrix = self._signed_directions(bias) / self._factor(1.0)
        matrix[2 * self._n_pairs(bias) :] = 0
        return matrix

    def _n_pairs(self, bias: Tensor) -> int:
        return min(len(self.components), len(bias) // 2)

    def _signed_directions(self, bias: Tensor) -> Tensor:
        pairs = self.components[: self._n_pairs(bias)]
        n_others = len(bias) - 2 * len(pairs)
        mixed = torch.randn(n_others, len(self.components), generator=Generator().manual_seed(0))
        others = nn.functional.normalize(mixed) @ self.components
        return torch.cat([pairs, -pairs, _SHORT * others])

    def _factor(self, deviation: float) -> Tensor:
        return deviation / self.deviations.square().mean().sqrt()

    def _layer(self, directions: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        matrix = bias.new_zeros(len(self.mean), len(bias))
        matrix[:, : len(directions)] = directions.t()
        return matrix, -self.mean.to(bias) @ matrix


class LinearPath(nn.Module):
    """(z, x) -> gate * z + x A + b: what a net's last layer returns, and a linear map of its input.

    The matrix A is (n_in, n_out), b and the gate are (n_out,). Until ``start_as`` A and b are 0 and
    the gate is 1, so that the path changes nothing. With the gate at 0 a net is linear, and
    training opens it.

    References
    ----------
    He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition", CVPR; Bachlechner,
    Majumder, Mao, Cottrell, McAuley (2021), "ReZero is all you need", UAI (the gate).

    Examples
    --------
    >>> path = LinearPath(3, 2)
    >>> path(torch.tensor([[4.0, 5.0]]), torch.ones(1, 3)).tolist()
    [[4.0, 5.0]]
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.gate = nn.Parameter(torch.ones(n_out))

    def forward(self, z: Tensor, x: Rows) -> Tensor:
        if isinstance(x, SparseRows):
            return torch.addcmul(x.matmul(self.matrix) + self.bias, z, self.gate)
        return torch.addcmul(affine(x, self.matrix, self.bias), z, self.gate)


@torch.no_grad()
def start_as(
    matrix: Tensor,
    bias: Tensor,
    *,
    path: LinearPath | None,
    weights: nn.ParameterList,
    biases: nn.ParameterList,
) -> bool:
    """Make layers compute x M + c: by the path, with its gate closed, or by a lone layer.

    Return False, and change nothing, if there are several layers without a path.
    """
    if path is not None:
        path.matrix.copy_(matrix)
        path.bias.copy_(bias)
        path.gate.zero_()
        biases[-1].zero_()
        return True
    if len(weights) != 1:
        return False
    weights[0].copy_(matrix)
    biases[0].copy_(bias)
    return True
