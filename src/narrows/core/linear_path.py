"""A linear path beside the layers of a net, so that the net can start as a linear map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.core.linear_kernels import affine
from narrows.core.sparse import Rows, SparseRows

__all__ = ["LinearCode", "LinearPath", "start_as"]


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
        factor = deviation / self.deviations.square().mean().sqrt()
        return self._layer(self.components * factor, bias)

    def whitened_layer(self, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return M, c as ``layer`` does, with deviation 1 of every number."""
        return self._layer(self.components / self.deviations[:, None], bias)

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
