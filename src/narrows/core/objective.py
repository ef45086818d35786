"""J(x) = L( x, g( f( x~ ) ) ) + sum of Omega, summed over features and averaged over rows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator, Tensor, nn, no_grad

from narrows._types import Codes, Outputs, PerSample
from narrows.core.slots import Code, Corruption, Decoder, Encoder, Forward, Loss, Penalty
from narrows.core.sparse import Rows
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import combine_weights, fill_missing, mean_over_rows

__all__ = ["Objective"]


class Objective(Trainable):
    """An autoencoder: five pieces and their objective; all but ``forward`` is deterministic."""

    def __init__(
        self,
        *,
        corruption: Corruption,
        encoder: Encoder,
        decoder: Decoder,
        loss: Loss,
        penalties: Sequence[Penalty] = (),
    ) -> None:
        super().__init__()
        self.corruption, self.encoder, self.decoder = corruption, encoder, decoder
        self.loss, self.penalties, self.stochastic = loss, penalties, encoder.stochastic
        judged = self.stochastic or any(getattr(p, "judged", True) for p in penalties)
        self.judged_by = "objective" if judged else "error"
        self.tasks = nn.ModuleList(p for p in penalties if isinstance(p, nn.Module))

    def forward(
        self, x: Rows, y: Tensor | None = None, *, generator: Generator,
        weights: Tensor | None = None, target: Rows | None = None,
    ) -> Terms:  # fmt: skip
        """Return J of a batch, its rows weighted; ``target`` replaces x in L."""
        x, known = fill_missing(x, self.corruption)
        corrupted = self.corruption(x, generator=generator)
        code = self.encoder(corrupted.rows, generator=generator)
        output = self.output(code.h)
        counted = combine_weights(known, corrupted.weights)
        errors = self.loss.per_sample(output, x if target is None else target, counted)
        loss = mean_over_rows(errors, weights)
        net = (self.encoder, self.decoder)
        step = Forward(x, corrupted.rows, code, output, *net, y, generator, weights)
        penalty = sum((omega(step) for omega in self.penalties), loss.new_zeros(()))
        return Terms(total=loss + penalty, loss=loss, penalty=penalty)

    def encode(self, x: Rows) -> Code:
        return self.encoder(fill_missing(x, self.corruption)[0])

    def output(self, h: Codes) -> Outputs:
        """Return g(h), the natural parameters of the loss, as float32."""
        return self.decoder(h).float()

    def decode(self, h: Codes) -> Outputs:
        """Return the expected x of a code, in the units of x."""
        return self.loss.expectation(self.output(h))

    def reconstruct(self, x: Rows) -> Outputs:
        """Return g(f(x)) in the units of x."""
        x, _ = fill_missing(x, self.corruption)
        return self.loss.reconstruction(self.output(self.encoder(x).h), x)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return L(x, g(f(x))) per sample."""
        x, known = fill_missing(x, self.corruption)
        return self.loss.per_sample(self.output(self.encoder(x).h), x, known)

    @no_grad()
    def start_at(self, mean: Tensor) -> None:
        """Set the last bias so that an untrained net outputs the mean of the data, not 0."""
        for bias in self.decoder.biases[-1:]:
            bias.copy_(self.loss.inverse_link(mean.to(bias)))
        self.encoder.start_at(mean.float())
