"""Quantized encoder: every part of the code is one of a few learned vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes
from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.core.linear_path import LinearCode, LinearPath, start_as
from narrows.core.slots import Code, Encoder
from narrows.core.sparse import Rows
from narrows.encoders.dense import dense_parameters, linear_top
from narrows.errors import UsageError

__all__ = ["QuantizedEncoder"]

_IDLE_ROWS = 5_000
"""Number of training rows without use after which an entry moves to the code of a row."""

_K_MEANS_ROUNDS = 10


class QuantizedEncoder(Encoder):
    """h_g = the one of ``n_entries`` vectors that is nearest to z_g, the g-th part of z = net(x).

    A code is thus n_groups choices, n_groups log2(n_entries) bits. The gradient of h passes to z
    unchanged (straight through); the penalty ``Commitment`` trains the entries. Entries start as
    parts of the first batch's z, and an entry that no row has chosen for 5,000 training rows starts
    again in this way. Cost of the choice: O(batch x n_entries x n_components).

    Parameters
    ----------
    widths : sequence of int
        n_features, the hidden widths, n_components.
    n_groups : int
        Number of parts of the code, all of one width: a divisor of n_components.
    n_entries : int
        Number of vectors to choose from, in each part.
    activation : str
        Between layers.
    linear_path : bool, default=False
        Whether there is a linear path from the rows to the code.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If a number is out of range, ``n_groups`` does not divide n_components, or the activation
        is unknown.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import QuantizedEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = QuantizedEncoder(
    ...     [4, 6], n_groups=2, n_entries=8, activation="silu", generator=generator
    ... )
    >>> h = encoder(torch.rand(5, 4, generator=generator)).h
    >>> encoder.choices(h).shape  # an entry for each row and part
    torch.Size([5, 2])
    >>> torch.equal(encoder.project(h), h)
    True
    """

    idle: Tensor

    def __init__(
        self,
        widths: Sequence[int],
        *,
        n_groups: int,
        n_entries: int,
        activation: str,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        check_number("n_entries", n_entries, low=2, high=65_536, integer=True)
        check_number("n_groups", n_groups, low=1, integer=True)
        if widths[-1] % n_groups:
            raise UsageError(
                f"n_groups: must divide n_components ({widths[-1]}) evenly, got {n_groups}."
            )
        self.weights, self.biases = dense_parameters(widths, generator=generator)
        self.path = LinearPath(widths[0], widths[-1]) if linear_path else None
        self._activate = activation_named(activation)
        entries = torch.empty(n_groups, n_entries, widths[-1] // n_groups)
        self.entries = nn.Parameter(entries.normal_(generator=generator))
        never = torch.full((n_groups, n_entries), _IDLE_ROWS, dtype=torch.int64)
        self.register_buffer("idle", never)

    def layers(self, x: Rows) -> list[Tensor]:
        """Return every layer's activations, the quantized code last, each (batch, width)."""
        *hidden, z = linear_top(x, self.weights, self.biases, self._activate, path=self.path)
        return [*hidden, self.project(z)]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        z = linear_top(x, self.weights, self.biases, self._activate, path=self.path)[-1].float()
        if generator is None:
            return Code(h=self.project(z), preactivation=z)
        self._move_idle(z.detach(), generator)
        return Code(h=z + (self.project(z) - z).detach(), preactivation=z)

    def start_linear(self, code: LinearCode) -> bool:
        matrix, bias = code.layer(self.biases[-1])
        if not start_as(matrix, bias, path=self.path, weights=self.weights, biases=self.biases):
            return False
        z = linear_top(code.rows, self.weights, self.biases, self._activate, path=self.path)[-1]
        self._start_entries(z.float())
        return True

    def project(self, h: Codes) -> Codes:
        """Return the nearest entries of all parts of h, (batch, n_components)."""
        groups = torch.arange(len(self.entries), device=h.device)
        return self.entries[groups, self.choices(h)].flatten(1)

    @torch.no_grad()
    def choices(self, h: Codes) -> Tensor:
        """Return the index of the entry nearest to each part of h, (batch, n_groups)."""
        parts = h.float().unflatten(1, (len(self.entries), -1)).transpose(0, 1)
        return torch.cdist(parts, self.entries).argmin(dim=2).t()

    @torch.no_grad()
    def _start_entries(self, z: Codes) -> None:
        """Set the entries of every group to centers of its parts of z, found by k-means.

        Centers that no row is nearest to stay where they began.
        """
        groups, n_entries, _ = self.entries.shape
        for group, part in enumerate(z.unflatten(1, (groups, -1)).unbind(dim=1)):
            centers = _first_centers(part, n_entries)
            for _ in range(_K_MEANS_ROUNDS):
                nearest = torch.cdist(part, centers).argmin(dim=1)
                counts = torch.bincount(nearest, minlength=n_entries)[:, None]
                sums = torch.zeros_like(centers).index_add_(0, nearest, part)
                centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
            self.entries[group] = centers
        self.idle.zero_()

    @torch.no_grad()
    def _move_idle(self, z: Codes, generator: Generator) -> None:
        """Move idle entries to parts of z, and count the rows since each entry was chosen."""
        groups, n_entries, _ = self.entries.shape
        stale = self.idle >= _IDLE_ROWS
        if bool(stale.any()):
            drawn = torch.randint(
                len(z), (n_entries,), generator=generator, device=z.device
            )  # the same rows for every group, each of which reads its own part of z
            parts = z[drawn].unflatten(1, (groups, -1)).transpose(0, 1)
            self.entries.copy_(torch.where(stale[:, :, None], parts, self.entries))
            self.idle[stale] = 0
        chosen = torch.zeros_like(self.idle, dtype=torch.bool)
        chosen.scatter_(1, self.choices(z).t(), True)
        self.idle.add_(len(z)).masked_fill_(chosen, 0)


def _first_centers(part: Tensor, n_entries: int) -> Tensor:
    """Return where k-means of rows (n_rows, width) begins, (n_entries, width).

    Rows at evenly spaced ranks along the widest coordinate. Of single numbers half of the centers
    are instead evenly spaced over 1.5 times their range, for numbers unlike those of few rows.
    """
    n_spaced = n_entries // 2 if part.shape[1] == 1 else 0
    ranks = torch.linspace(0, len(part) - 1, n_entries - n_spaced).round().long()
    widest = part.var(dim=0, correction=0).argmax()
    centers = part[part[:, widest].argsort()[ranks]]
    if not n_spaced:
        return centers
    low, high = part.min(), part.max()
    margin = (high - low) / 4
    spaced = torch.linspace(float(low - margin), float(high + margin), n_spaced).to(part)
    return torch.cat([centers, spaced[:, None]])
