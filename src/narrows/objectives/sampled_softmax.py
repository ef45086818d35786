"""Softmax over a sample of words, for vocabularies too large to sum over in every step.

    L(x, o) = sum_j x_j (log Z - o_j),   Z = sum over words of the batch of exp(o_j)
                                           + (others / drawn) * sum over drawn words of exp(o_j)

The mean of Z over the draws is the full sum. A step costs O(batch x (words in it + drawn) x width)
instead of O(batch x vocabulary x width); updating the weights still costs O(vocabulary x width).

Bengio, Senecal (2008), "Adaptive importance sampling to accelerate training of a neural
probabilistic language model", IEEE Transactions on Neural Networks 19 (here with words drawn
uniformly, those of the batch always among them).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows._types import PerSample
from narrows.core.objective import Objective
from narrows.core.slots import Forward
from narrows.core.sparse import Rows, SparseRows
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import mean_over_rows
from narrows.decoders import DenseDecoder

__all__ = ["SampledSoftmax"]


class SampledSoftmax(Trainable):
    """An objective with the multinomial loss and a dense decoder, trained on sampled words.

    Parameters
    ----------
    objective : Objective
    n_drawn : int
        Number of words drawn in a step besides those of the batch; if there are no more words,
        the softmax is the full one.
    """

    def __init__(self, objective: Objective, n_drawn: int) -> None:
        super().__init__()
        self.objective = objective
        self.stochastic = objective.stochastic
        self.judged_by = objective.judged_by
        self._n_drawn = n_drawn

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        net, decoder = self.objective, self.objective.decoder
        assert isinstance(x, SparseRows) and isinstance(decoder, DenseDecoder)
        corrupted = net.corruption(x, generator=generator).rows
        code = net.encoder(corrupted, generator=generator)
        words, extra, log_weight = self._sample(x, generator)
        hidden = decoder.hidden(code.h)
        picked = torch.cat([words, extra])
        logits = hidden @ decoder.weights[-1].index_select(1, picked).to(hidden.dtype)
        logits = logits.float() + decoder.biases[-1].index_select(0, picked)
        if (path := decoder.path) is not None:
            added = code.h @ path.matrix.index_select(1, picked)
            gate, bias = path.gate.index_select(0, picked), path.bias.index_select(0, picked)
            logits = logits * gate + added.float() + bias
        drawn = torch.cat([words.new_zeros(len(words)), words.new_ones(len(extra))])
        log_z = torch.logsumexp(logits + log_weight * drawn, dim=1)
        among = SparseRows(x.indptr, torch.searchsorted(words, x.indices), x.values, len(picked))
        loss = mean_over_rows(log_z * x.row_sums() - among.gather_sum(logits), weights)
        pieces = (net.encoder, decoder)
        step = Forward(x, corrupted, code, logits, *pieces, y, generator, weights)
        penalty = sum((omega(step) for omega in net.penalties), loss.new_zeros(()))
        return Terms(total=loss + penalty, loss=loss, penalty=penalty)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return the error of the full softmax."""
        return self.objective.error(x)

    def _sample(self, x: SparseRows, generator: Generator) -> tuple[Tensor, Tensor, float]:
        """Return the batch's words, in order, other words drawn, and the log weight of these."""
        words = x.indices.unique().to(x.indices)
        others = torch.ones(x.n_features, dtype=torch.bool, device=words.device)
        others[words.long()] = False
        others = others.nonzero()[:, 0]
        n_drawn = min(self._n_drawn, len(others))
        if n_drawn < len(others):
            # with replacement: few draws out of many words rarely repeat
            at = torch.randint(len(others), (n_drawn,), generator=generator, device=words.device)
            others_drawn = others[at]
        else:
            others_drawn = others
        weight = len(others) / max(n_drawn, 1)
        return words, others_drawn.to(words), float(torch.tensor(weight).clamp_min(1e-30).log())
