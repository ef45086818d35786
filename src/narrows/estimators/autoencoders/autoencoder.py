"""The general autoencoder, of any combination of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.activations import activation_named
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["Autoencoder"]


@documented
class Autoencoder(AbstractAutoencoder):
    """Learn a short code h = f(x) from which r = g(h) reconstructs x.

    Minimizes J(x) = L(x, g(f(x~))) + sum of Omega over minibatches. ``transform`` and
    ``reconstruct`` read the *clean* input.

    Parameters
    ----------
    n_components : ...
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
        Reconstruction loss, summed over features and averaged over samples. "squared_error" is in
        squared units of the scaled features per sample, the others in nats per sample. "auto"
        takes multinomial for proportions, squared error with outputs clamped to [0, 1] for values
        in this range, and squared error otherwise.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25" or ``Masking(0.25)``; None is
        "identity".
    penalties : sequence of penalties, default=()
        Terms Omega, such as ("l1:0.001",) or (``L1(1e-3)``,). With ``Auxiliary()``, ``fit(X, y)``
        also trains the code to predict y.
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
        Mean training objective per epoch, in ``loss_unit_``.
    validation_history_ : list of float
        Mean held-out error per epoch, in ``loss_unit_``.
    n_epochs_ : int
        Number of epochs that were run.
    loss_unit_ : str
        Unit of the loss.
    model_ : Model
        The net, with its scaling, schema and linear baseline.
    classes_ : ndarray
        Classes of y, if a penalty is a classification task.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names, if X had them.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import Autoencoder
    >>> X = load_digits().data
    >>> ae = Autoencoder(n_components=8, hidden=(64,), scale="unit", max_epochs=5, random_state=0)
    >>> ae.fit(X).transform(X).shape
    (1797, 8)
    >>> ae.inverse_transform(ae.transform(X)).shape
    (1797, 64)
    """

    _widest = 32

    tied: bool

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        code_activation: str = "linear",
        tied: bool = False,
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
        activation_named(self.code_activation)
        parameters = {
            **self._shape(always_path=self.tied),
            "code_activation": self.code_activation,
            **self._slots(encoder=self.encoder, decoder=self.decoder),
        }
        variant = "tied" if self.tied else "plain"
        return Choice(variant, parameters, augmentation=self.augmentation)
