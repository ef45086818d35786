"""One layer to pretrain: a shallow tied autoencoder on what the layers below it say."""

from __future__ import annotations

from torch import Generator, nn

from narrows._types import Codes, Outputs
from narrows.activations import activation_named
from narrows.decoders import TiedDecoder
from narrows.encoders import DenseEncoder
from narrows.losses import Bernoulli, SquaredError
from narrows.objective import Objective
from narrows.slots import Corruption, Decoder, Loss

__all__ = ["layer_autoencoder"]


def layer_autoencoder(
    n_features: int,
    n_components: int,
    *,
    activation: str,
    below: str | None,
    loss: Loss,
    corruption: Corruption,
    row_length: float | None = None,
    generator: Generator,
) -> Objective:
    """Return x -> a(x~ W + b) -> link(h W^T + c), for a layer of a net that will be unrolled.

    Parameters
    ----------
    activation : str
        Of this layer, on its code.
    below : str or None
        Activation of the layer whose output this one reads and rebuilds, so that the rebuilt
        values are what that layer can say: sigmoid units by Bernoulli cross-entropy (Vincent et
        al. 2010), others by squared error. None for the lowest layer, which has the net's loss.
    row_length : float or None
        Of the lowest layer, that of the net.
    """
    encoder = DenseEncoder(
        [n_features, n_components],
        activation="linear",
        code_activation=activation,
        row_length=row_length,
        generator=generator,
    )
    decoder: Decoder = TiedDecoder(encoder, activation="linear")
    if below == "sigmoid":
        loss = Bernoulli()
    elif below is not None:
        decoder, loss = _Activated(decoder, below), SquaredError()
    return Objective(corruption=corruption, encoder=encoder, decoder=decoder, loss=loss)


class _Activated(Decoder):
    """g followed by the activation that the unrolled net has there."""

    def __init__(self, decoder: Decoder, activation: str) -> None:
        super().__init__()
        self.decoder = decoder
        self._activate = activation_named(activation)

    @property
    def biases(self) -> nn.ParameterList:  # pyright: ignore[reportIncompatibleVariableOverride] -- see below
        # an attribute would register them a second time, and no file holds a tensor twice
        return self.decoder.biases

    def forward(self, h: Codes) -> Outputs:
        return self._activate(self.decoder(h))
