"""The stacked autoencoder, pretrained layer by layer, then fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.errors import unknown_name
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import corruption_spec, keep
from narrows.estimators.shared_texts import documented
from narrows.training.layerwise import METHODS, LayerwisePretraining

__all__ = ["StackedAutoencoder"]


@documented
class StackedAutoencoder(AbstractAutoencoder):
    """Pretrain a deep net layer by layer, each on the outputs of the one below, then fine-tune it.

    Fine-tuning minimizes J of the whole net on clean rows, and starts from the pretrained weights.
    With ``fine_tune=False`` the result is the pretrained layers, as features for a classifier
    (Vincent et al. 2010). ``partial_fit`` trains the whole net, without pretraining.

    Parameters
    ----------
    n_components : ...
    pretrain : {"denoising", "rbm"}, default="denoising"
        "denoising": each layer is an autoencoder that reconstructs the output of the layer below
        from a corrupted copy. "rbm": each layer is a restricted Boltzmann machine with Bernoulli
        units, or Gaussian units for a linear code and for rows outside [0, 1]; needs sigmoid units.
    corruption : str, spec, corruption or None, default="masking:0.25"
        Corruption of each layer's input, for "denoising"; fine-tuning reads clean rows.
    pretrain_epochs : int, default=10
        Passes over the data to pretrain each layer.
    pretrain_learning_rate : float or None, default=None
        Peak learning rate of a layer's training. None takes 0.001 for "denoising" (Adam) and for
        layers with Gaussian units, and 0.1 for other Boltzmann machines (momentum 0.9).
    cd_steps : int, default=1
        Gibbs steps per gradient step, the k of CD-k, for "rbm".
    persistent : bool, default=False
        Whether the Gibbs chains of "rbm" persist between steps (PCD), or start at the rows.
    fine_tune : bool, default=True
        Whether to train the whole net after its layers, for ``max_epochs`` epochs.
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. () for none. "auto" takes
        two: 16 units per feature, rounded to a power of two from 64 to 512, and half as many.
    activation : {"auto", "silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="auto"
        Activation between dense layers; the output is linear. "auto" takes silu for "denoising",
        and sigmoid for "rbm", which allows no other.
    code_activation : str, default="linear"
        Activation of the code, from the same list.
    tied : bool, default=True
        Whether the decoder's weights stay the encoder's, transposed, in fine-tuning.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``.
    penalties : ...
    augmentation : ...
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
    pretraining_history_ : list of list of float
        Mean objective per epoch of each layer, from the bottom: in the unit of its loss for a
        denoising layer, a difference of free energies in nats for a Boltzmann machine.
    history_ : list of float of length n_epochs_
        Mean objective per epoch of fine-tuning, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313. Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising
    autoencoders: learning useful representations in a deep network with a local denoising
    criterion", JMLR 11.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import StackedAutoencoder
    >>> X = load_digits().data / 16
    >>> ae = StackedAutoencoder(
    ...     8, hidden=(64, 32), pretrain="rbm", pretrain_epochs=2, max_epochs=2, random_state=0
    ... ).fit(X)
    >>> [len(layer) for layer in ae.pretraining_history_]
    [2, 2, 2]
    """

    _widest = 32

    pretrain: str
    pretrain_epochs: int
    pretrain_learning_rate: float | None
    cd_steps: int
    persistent: bool
    fine_tune: bool
    tied: bool

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        pretrain: str = "denoising",
        corruption: Any = "masking:0.25",
        pretrain_epochs: int = 10,
        pretrain_learning_rate: float | None = None,
        cd_steps: int = 1,
        persistent: bool = False,
        fine_tune: bool = True,
        hidden: Sequence[int] | str = "auto",
        activation: str = "auto",
        code_activation: str = "linear",
        tied: bool = True,
        loss: Any = "auto",
        penalties: Any = (),
        augmentation: Any = None,
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
        activation = self.activation
        if activation == "auto":
            activation = "sigmoid" if self.pretrain == "rbm" else "silu"
        rate = self.pretrain_learning_rate
        pretraining = LayerwisePretraining(
            method=self.pretrain,
            max_epochs=int(self.pretrain_epochs),
            learning_rate=None if rate is None else float(rate),
            corruption=corruption_spec(self.corruption),
            cd_steps=int(self.cd_steps),
            persistent=bool(self.persistent),
        )
        parameters = {
            **self._shape(activation, always_path=self.tied),
            "code_activation": self.code_activation,
            "tied": bool(self.tied),
            "penalties": self._penalty_specs(),
        }
        return Choice(
            "stacked",
            parameters,
            pretraining=pretraining,
            fine_tune=bool(self.fine_tune),
            augmentation=self.augmentation,
        )

    @property
    def pretraining_history_(self) -> list[list[float]]:
        layers = self.model_.record.get("pretraining", ())
        return [[epoch["objective"] for epoch in layer] for layer in layers]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("pretrain_epochs", self.pretrain_epochs, low=1, integer=True)
        check_number("cd_steps", self.cd_steps, low=1, integer=True)
        if self.pretrain_learning_rate is not None:
            check_number(
                "pretrain_learning_rate", self.pretrain_learning_rate, low=0, low_open=True
            )
        if self.pretrain not in METHODS:
            raise unknown_name("pretrain", self.pretrain, METHODS)
