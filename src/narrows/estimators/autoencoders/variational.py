"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Generator

from narrows.applications.coding.likelihood import log_likelihoods
from narrows.core.checks import check_number
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep, seed_from
from narrows.estimators.shared_texts import documented
from narrows.model.coding import all_rows

__all__ = ["VariationalAutoencoder"]


@documented
class VariationalAutoencoder(AbstractAutoencoder):
    """Learn a code with prior N(0, I), from which the decoder can generate new rows.

    Minimizes E_q L(x, g(h)) + beta * KL(q(h | x) || N(0, I)), where q(h | x) is normal with
    the mean and variance that the encoder outputs. With a loss in nats and beta = 1 this is an
    upper bound on - log p(x); ``log_likelihood`` gives a tighter one. ``transform`` returns the
    mean of q.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Width of the code. "auto" takes the number of principal components that stand out from
        noise, by parallel analysis, up to 16; for images and sparse rows 16, or half of the number
        of features if that is less. Components whose KL costs more than it gains stay unused.
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none. "auto" takes
        two: 16 units per feature, rounded to a power of two from 64 to 512, and half as many.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers; the output is linear.
    beta : float or "auto", default="auto"
        Weight of the KL divergence: larger values favor independent components, smaller ones better
        reconstructions. With squared error beta = 2 v stands for a normal p(x | h) of variance v in
        every scaled feature, and the objective is that bound times beta. "auto" is half of the
        variance per feature that PCA of the same width leaves over, a quarter of it for v, as the
        net leaves less; with losses in nats it is 1, for which the objective is a bound on
        - log p(x).
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``, except that "auto" takes "bernoulli" for values
        that are all 0 or 1. Scaled to proportions, a document counts as a single word against the
        KL of its code: for counts give ``scale="none"``, or lower ``beta``.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25"; None for none.
    penalties : ...
    augmentation : ...
    encoder : ...
    decoder : ...
    scale : ...
    linear_start : ...
    max_epochs : ...
    batch_size : ...
    learning_rate : ...
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.
    validation_history_ : list of float
        Mean held-out objective per epoch, with one sampled code per row, in ``loss_unit_``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    Kingma, Welling (2014), "Auto-encoding variational Bayes", ICLR. Higgins et al. (2017),
    "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import VariationalAutoencoder
    >>> X = load_digits().data / 16
    >>> ae = VariationalAutoencoder(4, hidden=(64,), max_epochs=5, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (1797, 4)
    """

    _widest = 16

    beta: float | str

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        beta: float | str = "auto",
        loss: Any = "auto",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        scale: str = "auto",
        linear_start: bool = True,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        validation_fraction: float | str = "auto",
        patience: int | str | None = "auto",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        parameters = {
            **self._shape(),
            "beta": self.beta if self.beta == "auto" else float(self.beta),
            **self._slots(encoder=self.encoder, decoder=self.decoder),
        }
        return Choice(
            "variational",
            parameters,
            likelihood=True,
            cannot_copy=self.beta != 0,
            bounded=self.beta == "auto",
            augmentation=self.augmentation,
        )

    def log_likelihood(
        self, X: Any, n_samples: int = 100, *, random_state: Any = None
    ) -> np.ndarray:
        """Return a lower bound on log p(x) for every row, (n_rows,), float64, in nats.

        The bound is estimated by importance sampling: the log of the mean of
        p(x | h) p(h) / q(h | x) over codes h drawn from q(h | x). It refers to the scaled rows.
        "multinomial" needs counts and ``scale="none"``; "squared_error" gives the density of a
        normal with variance beta / 2 in every scaled feature. "bernoulli" gives a probability if
        all values of X are 0 or 1. Otherwise, as for gray images, it gives the density of a
        continuous Bernoulli over [0, 1]^n_features, whose log may be positive: compare it only with
        other densities of the same scaled features, never with probabilities of binary data.

        Parameters
        ----------
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_rows, n_features)
        n_samples : int, default=100
            Codes per row, from 1 to 1,000,000; each costs one pass through the decoder, and more
            give a tighter bound. With 1 the expected value is minus the objective at ``beta=1``.
        random_state : int, RandomState or None, default=None
            An int makes the result reproducible.

        Raises
        ------
        InvalidData (a ValueError)
            If the loss is not a likelihood of these rows.

        References
        ----------
        Burda, Grosse, Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
        Loaiza-Ganem, Cunningham (2019), "The continuous Bernoulli: fixing a pervasive error in
        variational autoencoders", NeurIPS.
        """
        model, source = self._validated_query(X)
        generator = Generator(model.device).manual_seed(seed_from(random_state))
        return all_rows(log_likelihoods(model, source, n_samples=n_samples, generator=generator))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.beta != "auto":
            check_number("beta", self.beta, low=0)
