"""The vector-quantized autoencoder."""

from __future__ import annotations

import math
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

__all__ = ["VectorQuantizedAutoencoder"]


@documented
class VectorQuantizedAutoencoder(AbstractAutoencoder):
    """Learn a code of discrete choices: each part of it is one of a few learned vectors.

    ``transform`` gives the chosen vectors side by side, ``choices`` their numbers: n_groups
    integers a row, which hold all that the decoder gets.

    Parameters
    ----------
    n_components : int, default=32
        Width of the code, all parts together.
    n_groups : int or None, default=None
        Parts of the code; a divisor of ``n_components``. None takes the greatest that divides 8
        too: 8 for a code of 32 numbers, 2 for one of 10.
    n_entries : int, default=64
        Vectors to choose from in each part: a row's code is n_groups log2(n_entries) bits.
    commitment : float, default=0.25
        Weight of the penalty that keeps what the net says near the vectors chosen for it.
    hidden : sequence of int, default=(512, 256)
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Between dense layers; the output is linear.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        As in ``Autoencoder``.
    corruption : str, spec, corruption or None, default="identity"
        x -> x~ in training, such as "masking:0.25".
    penalties : ...
    augmentation : ...
    decoder : ...
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
    entries_ : ndarray of shape (n_groups, n_entries, n_components / n_groups)
        The learned vectors.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``; the other attributes are those of
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, by the slot that owns the value.

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
        hidden: Sequence[int] = (512, 256),
        activation: str = "silu",
        loss: Any = "auto",
        corruption: Any = "identity",
        penalties: Any = (),
        augmentation: Any = None,
        decoder: Any = None,
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
            **self._shape(),
            "n_groups": int(self.n_groups or math.gcd(self.n_components, 8)),
            "n_entries": int(self.n_entries),
            "commitment": float(self.commitment),
            **self._slots(),
        }
        # a code of bits has no room for a copy, whatever its width
        return Choice("vector_quantized", parameters, cannot_copy=True)

    @property
    def entries_(self) -> np.ndarray:
        return self._encoder().entries.detach().cpu().numpy().copy()

    def choices(self, X: Any) -> np.ndarray:
        """Return the number of the vector chosen in each part, (n_samples, n_groups), int64."""
        codes = torch.from_numpy(np.concatenate(list(coding.codes(*self._validated_query(X)))))
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
