"""The convolutional autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.data.source import Source, with_image_shape
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.image_shape import check_order, shape_of_rows
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.parameters import keep, widths_of
from narrows.estimators.shared_texts import documented
from narrows.model.model import Model

__all__ = ["ConvolutionalAutoencoder"]


@documented
class ConvolutionalAutoencoder(AbstractAutoencoder):
    """Learn a code of images with convolutional feature maps.

    Each stage of the encoder halves the height and width of its maps with 4 x 4 convolutions of
    stride 2; the decoder mirrors the encoder, for images of any size. The autoencoder is plain by
    default, denoising with a ``corruption``, variational with a ``beta``.

    Parameters
    ----------
    n_components : int or "auto", default=64
        Width of the code.
    channels : sequence of int, default=(32, 64, 128)
        Number of feature maps after each stage.
    blocks : int, default=0
        Residual blocks of two 3 x 3 convolutions in each stage; more make images sharper and
        training slower.
    hidden : sequence of int, default=()
        Widths of the dense layers between the last maps and the code; the decoder mirrors them.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation of maps and dense layers; the output is linear.
    code_activation : str, default="linear"
        Activation of the code, from the same list.
    beta : float, "auto" or None, default=None
        If given, the code is variational with this weight of the KL divergence, as in
        ``VariationalAutoencoder``.
    image_shape : tuple of int or None, default=None
        Height, width and, for color, channels of a row. None takes the shape from the data (a
        folder of images, IDX, arrays of more than two axes; channels last). Otherwise it takes a
        square, of one or three channels, if the number of features permits; else a signal of
        height 1, whose neighboring columns belong together, with a warning. For tables, where
        neighboring columns are unrelated, use ``Autoencoder``.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``; with a ``beta`` as in
        ``VariationalAutoencoder``.
    corruption : str, spec, corruption or None, default="identity"
        Corruption x -> x~ in training, such as "masking:0.25"; None for none.
    penalties : sequence of penalties, default=()
        Terms Omega, such as ("l1:0.001",).
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
    image_shape_ : tuple of int
        Height, width and channels of a row.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid; for color images with channels first,
        (n, 3, height, width).

    Warns
    -----
    ImageShapeWarning
        If rows are read as signals, or (n, 1, height, width) as lines of many channels, without
        ``image_shape``.

    References
    ----------
    Masci, Meier, Ciresan, Schmidhuber (2011), "Stacked convolutional auto-encoders for
    hierarchical feature extraction", ICANN.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import ConvolutionalAutoencoder
    >>> X = load_digits().images  # (1797, 8, 8)
    >>> ae = ConvolutionalAutoencoder(8, channels=(8, 16), max_epochs=2, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (1797, 8)
    """

    _widest = 64

    channels: Any
    blocks: int
    beta: float | str | None
    image_shape: Any
    image_shape_: tuple[int, int, int]

    def __init__(
        self,
        n_components: int | str = 64,
        *,
        channels: Sequence[int] = (32, 64, 128),
        blocks: int = 0,
        hidden: Sequence[int] = (),
        activation: str = "silu",
        code_activation: str = "linear",
        beta: float | str | None = None,
        image_shape: Sequence[int] | None = None,
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
            **self._shape(always_path=True),
            "image_shape": list(getattr(self, "image_shape_", ())),
            "channels": widths_of(self.channels, "channels"),
            "blocks": int(self.blocks),
            "code_activation": self.code_activation,
            "beta": self.beta if self.beta in (None, "auto") else float(self.beta),
            **self._slots(decoder=self.decoder),
        }
        return Choice(
            "convolutional",
            parameters,
            likelihood=self.beta is not None,
            cannot_copy=bool(self.beta),
            bounded=self.beta in (None, "auto"),
            augmentation=self.augmentation,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        widths_of(self.channels, "channels")
        if not len(self.channels):
            raise UsageError("channels: must have at least one stage, such as (32, 64), got none.")
        check_number("blocks", self.blocks, low=0, integer=True)
        activation_named(self.code_activation)
        if self.beta is not None:
            if self.beta != "auto":
                check_number("beta", self.beta, low=0)
            if self.code_activation != "linear":
                raise UsageError(
                    f"code_activation: a variational code is linear, got "
                    f"{self.code_activation!r}; leave it, or beta, out."
                )

    def _source(self, X: Any, *, reset: bool, min_samples: int) -> Source:
        source = super()._source(X, reset=reset, min_samples=min_samples)
        if reset:
            self.image_shape_ = shape_of_rows(source, self.image_shape)
        check_order(source, self.image_shape)
        return with_image_shape(source, self.image_shape_)

    def _restore(self, model: Model, spec: dict[str, Any]) -> None:
        super()._restore(model, spec)
        encoder: Any = model.objective.encoder
        self.image_shape_ = encoder.image_shape
