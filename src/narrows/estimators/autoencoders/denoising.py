"""The denoising autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.activations import activation_named
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["DenoisingAutoencoder"]


@documented
class DenoisingAutoencoder(AbstractAutoencoder):
    """Learn a code of corrupted rows from which the clean rows can be reconstructed.

    Minimizes J(x) = L(x, g(f(x~))). The code may be wider than the row, because copying x~ does not
    minimize J. ``denoise`` reconstructs corrupted rows, and fills in missing values if the
    corruption is ``Missing``.

    Parameters
    ----------
    n_components : int or "auto", default=32
        Width of the code.
    corruption : str, spec, corruption or None, default="masking:0.25"
        Corruption x -> x~ in training: "masking:0.25", "gaussian:0.3", "salt_and_pepper:0.25",
        "missing:0.25" (X may then contain NaN), or an instance, such as
        ``Masking(0.25, alpha=1, beta=0.5)`` with the emphasis of Vincent et al. (2010).
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none. "auto" takes
        two: 16 units per feature, rounded to a power of two from 64 to 512, and half as many.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers; the output is linear.
    code_activation : str, default="linear"
        Activation of the code, from the same list.
    tied : bool, default=False
        Whether the decoder uses the encoder's weights, transposed.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``.
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
    Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders:
    learning useful representations in a deep network with a local denoising criterion", JMLR 11.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> ae = DenoisingAutoencoder(64, hidden=(), max_epochs=5, random_state=0).fit(X)
    >>> ae.denoise(X).shape
    (1797, 64)
    """

    _widest = 32

    tied: bool

    def __init__(
        self,
        n_components: int | str = 32,
        *,
        corruption: Any = "masking:0.25",
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        code_activation: str = "linear",
        tied: bool = False,
        loss: Any = "auto",
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
        activation_named(self.code_activation)
        parameters = {
            **self._shape(),
            "tied": bool(self.tied),
            "code_activation": self.code_activation,
            **self._slots(encoder=self.encoder, decoder=self.decoder),
        }
        return Choice("denoising", parameters, augmentation=self.augmentation)
