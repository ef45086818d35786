"""KL to the prior: penalize the information that codes hold about rows, in nats."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_over_rows
from narrows.errors import UsageError

__all__ = ["KLToPrior"]


@dataclass(frozen=True)
class KLToPrior:
    """Omega = weight * mean over the batch of sum_j KL(q(h_j | x) || N(0, 1)).

    KL = (mean^2 + variance - 1 - log variance) / 2. Unit: nats, times ``weight``. With a loss in
    nats and weight 1, J is an upper bound of - log p(x); a weight above 1 (beta) favors codes whose
    components vary independently. The encoder must return a posterior, as ``GaussianEncoder`` does.

    Raises
    ------
    UsageError
        If ``weight`` is negative; in use, if the code has no posterior.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes", ICLR; Higgins et al. (2017),
    "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR.

    Examples
    --------
    >>> import torch
    >>> from narrows import KLToPrior
    >>> from narrows.core.slots import Code, Forward, GaussianPosterior
    >>> mean = torch.tensor([[1.0, 0.0]])
    >>> code = Code(mean, posterior=GaussianPosterior(mean, log_variance=torch.zeros(1, 2)))
    >>> KLToPrior()(Forward(mean, mean, code, mean, encoder=None, decoder=None))
    tensor(0.5000)
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_number("KLToPrior: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        posterior = step.code.posterior
        if posterior is None:
            encoder = getattr(step.encoder, "module", step.encoder)
            raise UsageError(
                f"KLToPrior: needs a posterior, which {type(encoder).__name__} does not return; "
                "use VariationalAutoencoder, and with an encoder of your own return "
                "Code(h, posterior=GaussianPosterior(mean, log_variance))."
            )
        return self.weight * mean_over_rows(posterior.kl_per_component().sum(dim=1), step.weights)
