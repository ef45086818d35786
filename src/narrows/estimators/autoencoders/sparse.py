"""The sparse autoencoder: an L1 or KL penalty, or a top-k code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.checks import check_number
from narrows.errors import UsageError, unknown_name
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["SparseAutoencoder"]

_WEIGHT = 0.01


@documented
class SparseAutoencoder(AbstractAutoencoder):
    """Learn a code with few active units per row.

    Parameters
    ----------
    n_components : int, default=128
        Width of the code; it may be larger than n_features.
    sparsity : {"l1", "kl", "top_k"}, default="l1"
        "l1": relu units, and a penalty of ``weight`` times the sum of the code. "kl": sigmoid
        units, and a penalty of ``weight`` times KL(``target`` || mean activation of the unit).
        "top_k": the ``k`` largest units are kept, the others set to 0.
    weight : float or "auto", default="auto"
        Weight of the penalty, in units of the loss. "auto" is 0.01, and keeps the linear
        start unless an epoch reconstructs held-out rows better.
    target : float, default=0.05
        Desired mean activation of each unit, for "kl".
    k : int, default=8
        Number of units to keep, for "top_k".
    hidden : sequence of int, default=()
        Widths of the encoder's hidden layers; the decoder mirrors them.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers; the output is linear.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``.
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

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    Ranzato, Poultney, Chopra, LeCun (2007), "Efficient learning of sparse representations with
    an energy-based model", NIPS. Lee, Ekanadham, Ng (2008), "Sparse deep belief net model for
    visual area V2", NIPS. Makhzani, Frey (2014), "k-sparse autoencoders", ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> ae = SparseAutoencoder(100, sparsity="top_k", k=5, max_epochs=5, random_state=0).fit(X)
    >>> int((ae.transform(X) != 0).sum(axis=1).max())
    5
    """

    sparsity: str
    weight: float
    target: float
    k: int

    def __init__(
        self,
        n_components: int = 128,
        *,
        sparsity: str = "l1",
        weight: float | str = "auto",
        target: float = 0.05,
        k: int = 8,
        hidden: Sequence[int] = (),
        activation: str = "silu",
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
        parameters = {**self._shape(), **self._slots(encoder=self.encoder, decoder=self.decoder)}
        if self.sparsity == "top_k":
            if self.encoder is not None:
                raise UsageError(
                    "encoder: with sparsity='top_k' the encoder itself keeps the k largest units; "
                    "use 'l1' or 'kl' with an encoder of your own."
                )
            parameters["k"] = min(int(self.k), int(self.n_components))
            return Choice("top_k", parameters, cannot_copy=True, augmentation=self.augmentation)
        automatic = self.weight == "auto"
        parameters["sparsity"] = self.sparsity
        parameters["weight"] = _WEIGHT if automatic else float(self.weight)
        parameters["target"] = float(self.target)
        return Choice(
            "sparse",
            parameters,
            cannot_copy=True,
            bounded=automatic,
            augmentation=self.augmentation,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.sparsity not in ("l1", "kl", "top_k"):
            raise unknown_name("sparsity", self.sparsity, ("l1", "kl", "top_k"))
        check_number("k", self.k, low=1, integer=True)
