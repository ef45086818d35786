"""Rotate a code so that the signs of its numbers say most about it."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from narrows.core.linear_kernels import affine

__all__ = ["UnitRotation", "rotation_to_signs"]

_ROUNDS = 50


def rotation_to_signs(z: Tensor, *, seed: int = 0) -> Tensor:
    """Return the rotation R (width, width) for which z R is nearest to its own signs.

    Minimizes ||sign(z R) - z R||^2 over rotations, from a random one, by turns: the signs of z R,
    then the best R for these signs, a Procrustes problem. ``z`` is (n_rows, width), centered.
    Cost O(n_rows x width^2) in each of 50 rounds.

    References
    ----------
    Gong, Lazebnik, Gordo, Perronnin (2013), "Iterative quantization: a Procrustean approach to
    learning binary codes for large-scale image retrieval", IEEE TPAMI 35.

    Examples
    --------
    >>> signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> turned = signs @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]])
    >>> (turned @ rotation_to_signs(turned)).abs().round()
    tensor([[1., 1.],
            [1., 1.],
            [1., 1.],
            [1., 1.]])
    """
    z = z.double()
    drawn = torch.empty(z.shape[1], z.shape[1], dtype=z.dtype)
    drawn.normal_(generator=Generator().manual_seed(seed))
    rotation = torch.linalg.qr(drawn).Q
    for _ in range(_ROUNDS):
        left, _, right = torch.linalg.svd(z.t() @ torch.sign(z @ rotation))
        rotation = left @ right
    return rotation.float()


class UnitRotation(nn.Module):
    """z -> z / ||z|| R + c: the direction of a code, turned and shifted, (batch, width).

    R, any matrix once it is trained, starts as the identity and c as 0. A code of zeros has no
    direction and stays 0, so that c is returned.

    Examples
    --------
    >>> UnitRotation(2)(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, z: Tensor) -> Tensor:
        return affine(nn.functional.normalize(z), self.matrix, self.bias)

    @torch.no_grad()
    def start_at(self, z: Tensor, *, deviation: float) -> None:
        """Turn codes like z (n_rows, width) to signs that say most, around 0 and of a deviation."""
        unit = nn.functional.normalize(z)
        center = unit.mean(dim=0)
        rotation = rotation_to_signs(unit - center)
        size = (unit - center).square().mean().sqrt().clamp_min(1e-12)
        self.matrix.copy_(rotation * (deviation / size))
        self.bias.copy_(-center @ self.matrix)
