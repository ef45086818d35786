"""The contractive autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.checks import check_number
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["ContractiveAutoencoder"]

_WEIGHT = 0.1
"""Without a linear start."""


@documented
class ContractiveAutoencoder(AbstractAutoencoder):
    """Learn a code that barely changes when the input does, except along the data.

    Minimizes L(x, g(f(x))) + weight * ||J(x)||_F^2 with J(x) = d f(x) / d x, a sigmoid code and a
    tied decoder. The loss preserves the directions in which the data vary; the penalty makes the
    code insensitive to all others, so that it may be wider than the data. ``gamma`` > 0 (CAE+H)
    also penalizes changes of the Jacobian near each row.

    Parameters
    ----------
    n_components : int or "auto", default=32
        Width of the code, with values in (0, 1).
    weight : float or "auto", default="auto"
        Weight of the penalty, in loss units per squared code unit per squared unit of the scaled
        features. "auto" makes it a tenth of the squared error at the linear start, and keeps this
        start unless an epoch reconstructs held-out rows better; without a linear start, or with
        other losses, it is 0.1.
    gamma : float, default=0.0
        Weight of the term E ||J(x) - J(x + e)||_F^2 with normal e; needs dense X if > 0.
    sigma : float, default=0.1
        Standard deviation of e, in units of the scaled features.
    method : {"auto", "closed", "exact", "stochastic"}, default="auto"
        How the Jacobian is computed. "auto" takes the closed form for a single layer, the exact
        Jacobian for deep nets with codes up to 32 wide, and otherwise an unbiased estimate, whose
        cost does not grow with the width of the code.
    hidden : sequence of int, default=()
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="sigmoid"
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
    Rifai, Vincent, Muller, Glorot, Bengio (2011), "Contractive auto-encoders: explicit invariance
    during feature extraction", ICML; Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin, Glorot
    (2011), "Higher order contractive auto-encoder", ECML PKDD.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import ContractiveAutoencoder
    >>> X = load_digits().data
    >>> ae = ContractiveAutoencoder(100, scale="unit", max_epochs=2, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (1797, 100)
    """

    _widest = 32

    weight: float | str
    linear_start: bool
    gamma: float
    sigma: float
    method: str

    def __init__(
        self,
        n_components: int | str = 32,
        *,
        weight: float | str = "auto",
        gamma: float = 0.0,
        sigma: float = 0.1,
        method: str = "auto",
        hidden: Sequence[int] = (),
        activation: str = "sigmoid",
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
        automatic = self.weight == "auto"
        weight = _WEIGHT if automatic and not self.linear_start else self.weight
        parameters = {
            **self._shape(always_path=True),
            "weight": weight if weight == "auto" else float(weight),
            "gamma": float(self.gamma),
            "sigma": float(self.sigma),
            "method": self.method,
            **self._slots(encoder=self.encoder, decoder=self.decoder),
        }
        return Choice(
            "contractive",
            parameters,
            cannot_copy=bool(self.weight or self.gamma),
            bounded=automatic,
            augmentation=self.augmentation,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.weight != "auto":
            check_number("weight", self.weight, low=0)
        check_number("gamma", self.gamma, low=0)
        check_number("sigma", self.sigma, low=0, low_open=True)
