"""The overcomplete dictionary: every row as a sum of k atoms."""

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
    """Learn a dictionary of many atoms of length 1, of which k make up any row.

    As used on the embeddings of large nets, to find what they are made of: one layer each way, a
    top-k code, the encoder started at the decoder's transpose, atoms kept at length 1 with the
    gradient along them removed, and a loss that revives dead atoms. ``components_`` are the atoms.

    Parameters
    ----------
    n_components : int, default=512
        Number of atoms; commonly several times n_features.
    k : int, default=32
        Atoms in a row's code.
    revive : float, default=0.03125
        Weight of the reviving loss; 0 turns it off.
    dead_after : int, default=10000
        Training rows without use after which an atom counts as dead.
    loss : {"squared_error", "auto"} or a loss, default="squared_error"
        As in ``Autoencoder``; the reviving loss is in squared units.
    corruption : str, spec, corruption or None, default="identity"
        x -> x~ in training, such as "masking:0.25".
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
        Mean training objective per epoch, in ``loss_unit_``; the other attributes are those of
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, by the slot that owns the value.

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
        return Choice("dictionary", parameters, cannot_copy=True)

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
