"""Unit decoder: one linear layer whose rows, the atoms of a dictionary, have length 1."""

from __future__ import annotations

import torch
from torch import Generator, nn

from narrows._types import Codes, Outputs
from narrows.core.linear_kernels import affine
from narrows.core.slots import Decoder

__all__ = ["UnitDecoder"]


class UnitDecoder(Decoder):
    """g(h) = h D + c, where every row of D (n_components, n_features) has Euclidean length 1.

    Without the constraint a sparse code would shrink while D grows. Before each step the part of
    the gradient along a row, which would only change its length, is removed; after the step the
    length is set to 1 again.

    References
    ----------
    Bricken et al. (2023), "Towards monosemanticity"; Gao et al. (2024), "Scaling and evaluating
    sparse autoencoders".

    Examples
    --------
    >>> import torch
    >>> from narrows.decoders import UnitDecoder
    >>> decoder = UnitDecoder(3, 4, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(decoder.weights[0].norm(dim=1), torch.ones(3))
    True
    """

    def __init__(self, n_components: int, n_features: int, *, generator: Generator) -> None:
        super().__init__()
        atoms = torch.empty(n_components, n_features).normal_(generator=generator)
        self.weights = nn.ParameterList([nn.Parameter(atoms)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(n_features))])
        self.after_step()

    def forward(self, h: Codes) -> Outputs:
        return affine(h, self.weights[0], self.biases[0])

    @torch.no_grad()
    def before_step(self) -> None:
        atoms = self.weights[0]
        if atoms.grad is not None:
            atoms.grad -= (atoms.grad * atoms).sum(dim=1, keepdim=True) * atoms

    @torch.no_grad()
    def after_step(self) -> None:
        atoms = self.weights[0]
        # a decoder rebuilt from a file is on "meta" until it gets its weights
        if atoms.device.type != "meta":
            atoms /= atoms.norm(dim=1, keepdim=True).clamp_min(1e-12)
