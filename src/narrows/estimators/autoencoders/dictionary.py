"""The dictionary autoencoder: each row is a sum of k atoms."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from narrows.core.checks import check_number
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["DictionaryAutoencoder"]


@documented
class DictionaryAutoencoder(AbstractAutoencoder):
    """Learn an overcomplete dictionary of unit-norm atoms; each row is a sum of k of them.

    Used to interpret the embeddings of large nets. The encoder and the decoder have one layer each,
    and the code is top-k. The encoder starts as the transpose of the decoder; atoms keep length 1,
    with the gradient along them removed; an extra loss revives dead atoms. ``components_`` are the
    atoms.

    Parameters
    ----------
    n_components : int, default=512
        Number of atoms, usually several times n_features.
    k : int, default=32
        Number of atoms in a row's code.
    revive : float, default=0.03125
        Weight of the loss that revives dead atoms; 0 turns it off.
    dead_after : int, default=10000
        Number of consecutive training rows that do not use an atom before it counts as dead.
    loss : {"squared_error", "auto"} or a loss, default="squared_error"
        Reconstruction loss, as in ``Autoencoder``; the loss of dead atoms is in squared units.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25"; None for none.
    penalties : ...
    augmentation : ...
    scale : ...
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
    Gao, Dupre la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu (2024), "Scaling and
    evaluating sparse autoencoders". Bricken et al. (2023), "Towards monosemanticity".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import DictionaryAutoencoder
    >>> X = load_digits().data
    >>> ae = DictionaryAutoencoder(256, k=8, max_epochs=5, random_state=0).fit(X)
    >>> ae.components_.shape
    (256, 64)
    """

    k: int
    revive: float
    dead_after: int

    def __init__(
        self,
        n_components: int = 512,
        *,
        k: int = 32,
        revive: float = 1 / 32,
        dead_after: int = 10_000,
        loss: Any = "squared_error",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
        scale: str = "auto",
        max_epochs: int = 50,
        batch_size: int | str = "auto",
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.1,
        patience: int | None = 10,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        parameters = {
            "n_components": int(self.n_components),
            "k": min(int(self.k), int(self.n_components)),
            "revive": float(self.revive),
            "dead_after": int(self.dead_after),
            **self._slots(),
        }
        return Choice("dictionary", parameters, cannot_copy=True, augmentation=self.augmentation)

    @property
    def components_(self) -> Any:
        """The atoms, (n_components, n_features), of length 1 in scaled units."""
        check_is_fitted(self, "model_")
        return self.model_.objective.decoder.weights[0].detach().cpu().numpy().copy()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("k", self.k, low=1, integer=True)
        check_number("revive", self.revive, low=0)
        check_number("dead_after", self.dead_after, low=1, integer=True)
