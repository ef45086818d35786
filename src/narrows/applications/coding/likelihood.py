"""Estimate log p(x) of rows under a variational model, in nats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Generator

from narrows.core.checks import check_number
from narrows.core.slots import Loss
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.losses import Bernoulli, ContinuousBernoulli, SquaredError
from narrows.model.coding import scaled_batches
from narrows.model.model import Model

__all__ = ["Likelihood", "log_likelihoods", "measure_likelihood"]

MAX_DRAWS = 1_000_000


def log_likelihoods(
    model: Model, source: Source, *, n_samples: int, generator: Generator
) -> Iterator[np.ndarray]:
    """Yield a lower bound of log p(x) of every row, in blocks, float64, in nats.

    log (1 / K) sum_k p(x | h_k) p(h_k) / q(h_k | x), with h_k drawn from q(h | x) and K =
    ``n_samples``. For one draw its mean is the bound that training maximizes; it grows with K
    towards log p(x). ``generator`` is on the device of the model. Cost: K passes of the decoder;
    memory does not grow with K.

    x are the scaled rows: p is a probability for bits or counts, a density for real values. With
    the Bernoulli loss it is a probability if all values of the source are 0 or 1; otherwise it is
    the density of the continuous Bernoulli over [0, 1]^n, for all rows, at the same logits.

    Raises
    ------
    UsageError
        If the model is not variational, or ``n_samples`` is not from 1 to 1,000,000.
    InvalidData
        If the loss gives no likelihood for these rows.

    References
    ----------
    Burda, Grosse, Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    """
    loss = _checked_loss(model, source, n_samples)
    return _log_likelihoods(model, source, loss, int(n_samples), generator)


@torch.no_grad()
def _checked_loss(model: Model, source: Source, n_samples: int) -> Loss | ContinuousBernoulli:
    """Return the loss that gives the likelihood of the rows; raise as ``log_likelihoods`` does.

    Cost: for Bernoulli a pass over the rows, up to the first value that is not 0 or 1.
    """
    if not model.objective.encoder.stochastic:
        raise UsageError(
            f"log_likelihood: needs a variational model, got the variant {model.variant!r}."
        )
    check_number("n_samples", n_samples, low=1, high=MAX_DRAWS, integer=True)
    loss = model.objective.loss
    if isinstance(loss, Bernoulli):
        for _, x in scaled_batches(model, source):
            if not loss.is_binary(x):
                return ContinuousBernoulli()
    return loss


@torch.no_grad()
def _log_likelihoods(
    model: Model,
    source: Source,
    loss: Loss | ContinuousBernoulli,
    n_samples: int,
    generator: Generator,
) -> Iterator[np.ndarray]:
    net, beta = model.objective, _two_variances(model)
    for _, x in scaled_batches(model, source):
        loss.check(x)
        # an error of variance beta / 2 is one of variance 1 / 2 after division by sqrt(beta)
        normalizer = loss.log_normalizer(x).double() + 0.5 * x.shape[1] * math.log(beta)
        posterior = net.encode(x).posterior
        assert posterior is not None
        total = torch.full_like(normalizer, -math.inf)
        for _ in range(n_samples):
            e = torch.empty_like(posterior.mean).normal_(generator=generator)
            h = posterior.at(e)
            # log p(h) - log q(h | x): the constants of the two normals cancel
            prior_to_q = 0.5 * (e.square() + posterior.log_variance - h.square()).sum(dim=1)
            error = loss.per_sample(net.output(h), x)
            total = torch.logaddexp(total, prior_to_q.double() - error.double() / beta)
        yield (total - math.log(n_samples) - normalizer).cpu().numpy()


def _two_variances(model: Model) -> float:
    """Return twice the variance of p(x | h) in a scaled feature: beta for squared error, else 1."""
    if not isinstance(model.objective.loss, SquaredError):
        return 1.0
    return float(model.parameters.get("beta") or 1.0)


@dataclass(frozen=True)
class Likelihood:
    """Upper bound of the mean of - log p(x) over the rows, and its standard error, in ``unit``."""

    negative_log_likelihood: float
    standard_error: float
    samples: int
    unit: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def line(self) -> str:
        return (
            f"negative log-likelihood: at most {self.negative_log_likelihood:.6g} {self.unit} "
            f"(+- {self.standard_error:.2g}; {self.samples} codes per row)"
        )


def measure_likelihood(
    model: Model, source: Source, *, n_samples: int, generator: Generator
) -> Likelihood:
    """Return the mean of - ``log_likelihoods`` and its standard error over the rows."""
    loss = _checked_loss(model, source, n_samples)
    blocks = _log_likelihoods(model, source, loss, int(n_samples), generator)
    values = -np.concatenate(list(blocks))
    unit = "nats per sample"
    if isinstance(loss, ContinuousBernoulli):
        n = model.schema.n_features
        unit += f", of a density over [0, 1]^{n} of the scaled features (continuous Bernoulli)"
    elif loss.unit != unit:
        unit += ", of a density of the scaled features"
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else math.nan
    return Likelihood(float(values.mean()), error, int(n_samples), unit)
