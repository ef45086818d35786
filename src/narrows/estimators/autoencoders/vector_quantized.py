"""The vector-quantized autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from narrows.core.checks import check_number
from narrows.encoders import QuantizedEncoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented
from narrows.model import coding
from narrows.model.coding import all_rows

__all__ = ["VectorQuantizedAutoencoder"]


@documented
class VectorQuantizedAutoencoder(AbstractAutoencoder):
    """Learn a discrete code: each of its groups is one of a few learned vectors.

    ``transform`` returns the chosen vectors, concatenated; ``choices`` returns their indices,
    n_groups integers per row, which contain everything that the decoder reads.

    Parameters
    ----------
    n_components : int, default=32
        Width of the code, all groups together.
    n_groups : int or None, default=None
        Number of groups of the code, a divisor of ``n_components``. None takes a group for every
        component, each of them one of ``n_entries`` numbers; fewer groups make fewer bits.
    n_entries : int, default=64
        Vectors to choose from in each group: a row's code has n_groups log2(n_entries) bits.
    commitment : float, default=0.25
        Weight of the penalty that keeps the encoder's output near the chosen vectors.
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none. "auto" takes
        two: 16 units per feature, rounded to a power of two from 64 to 512, and half as many.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers; the output is linear.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25"; None for none.
    penalties : ...
    augmentation : ...
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
    entries_ : ndarray of shape (n_groups, n_entries, n_components / n_groups)
        The learned vectors.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import VectorQuantizedAutoencoder
    >>> X = load_digits().data
    >>> ae = VectorQuantizedAutoencoder(16, n_groups=4, max_epochs=5, random_state=0).fit(X)
    >>> ae.choices(X).shape
    (1797, 4)
    """

    n_groups: int | None
    n_entries: int
    commitment: float

    def __init__(
        self,
        n_components: int = 32,
        *,
        n_groups: int | None = None,
        n_entries: int = 64,
        commitment: float = 0.25,
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        loss: Any = "auto",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
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
            "n_groups": int(self.n_groups or self.n_components),
            "n_entries": int(self.n_entries),
            "commitment": float(self.commitment),
            **self._slots(decoder=self.decoder),
        }
        # a code of so few bits cannot hold a copy of the row, whatever its width
        return Choice(
            "vector_quantized", parameters, cannot_copy=True, augmentation=self.augmentation
        )

    @property
    def entries_(self) -> np.ndarray:
        return self._encoder().entries.detach().cpu().numpy().copy()

    def choices(self, X: Any) -> np.ndarray:
        """Return the index of the vector chosen in each group, (n_samples, n_groups), int64."""
        codes = torch.from_numpy(all_rows(coding.codes(*self._validated_query(X))))
        encoder = self._encoder()
        return encoder.choices(codes.to(encoder.entries.device)).cpu().numpy()

    def _encoder(self) -> QuantizedEncoder:
        encoder = self.model_.objective.encoder
        assert isinstance(encoder, QuantizedEncoder)
        return encoder

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_groups is not None:
            check_number("n_groups", self.n_groups, low=1, integer=True)
        check_number("n_entries", self.n_entries, low=2, integer=True)
        check_number("commitment", self.commitment, low=0)
