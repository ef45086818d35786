"""Settings of layer-wise pretraining, and the objective of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Generator, nn

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.objective import Objective
from narrows.core.pieces import name_of, piece_from_spec
from narrows.core.slots import Corruption, Decoder, Loss
from narrows.corruptions import CORRUPTIONS
from narrows.decoders import TiedDecoder
from narrows.encoders import DenseEncoder
from narrows.errors import UsageError, unknown_name
from narrows.losses import Bernoulli, SquaredError
from narrows.objectives.boltzmann import RestrictedBoltzmannMachine

__all__ = ["LayerwisePretraining", "METHODS", "layer_autoencoder", "layer_rate", "new_layer"]

METHODS = ("denoising", "rbm")


@dataclass(frozen=True)
class LayerwisePretraining:
    """How each layer is trained before the whole net, as JSON values.

    ``learning_rate`` None is 1e-3 (Adam) for denoising layers. For Boltzmann machines, trained with
    momentum, it is 0.1 if both sides are logistic, 1e-2 for words, and 1e-3 if one side is linear.
    """

    method: str = "denoising"
    max_epochs: int = 10
    batch_size: int = 128
    learning_rate: float | None = None
    corruption: str | Mapping[str, Any] = "masking:0.25"
    cd_steps: int = 1
    persistent: bool = False
    momentum: float = 0.9
    weight_decay: float = 2e-4

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("pretrain", self.method, METHODS)


def new_layer(
    settings: LayerwisePretraining,
    net: Objective,
    k: int,
    *,
    parameters: Mapping[str, Any],
    generator: Generator,
) -> Objective | RestrictedBoltzmannMachine:
    """Return the objective that pretrains layer k of a dense net, with that layer's widths.

    Parameters
    ----------
    k : int
        Index of the layer, from 0 for the one that reads the rows.
    parameters : mapping
        The variant's parameters, for activations and loss.
    generator : Generator
        Draws the layer's initial weights, and a Boltzmann machine's initial chains.

    Raises
    ------
    UsageError
        If the method is "rbm" and the activations do not suit a Boltzmann machine.
    """
    encoder = net.encoder
    assert isinstance(encoder, DenseEncoder)
    last = k == len(encoder.weights) - 1
    activation = parameters["code_activation" if last else "activation"]
    width, units = encoder.weights[k].shape
    if settings.method == "rbm":
        return _boltzmann(settings, parameters, activation, k, width, units, generator)
    return layer_autoencoder(
        width,
        units,
        activation=activation,
        below=None if k == 0 else parameters["activation"],
        loss=net.loss,
        corruption=piece_from_spec(CORRUPTIONS, settings.corruption, slot="corruption"),
        row_length=None if k else encoder.row_length,
        generator=generator,
    )


def _boltzmann(
    settings: LayerwisePretraining,
    parameters: Mapping[str, Any],
    activation: str,
    k: int,
    width: int,
    units: int,
    generator: Generator,
) -> RestrictedBoltzmannMachine:
    kinds = {"sigmoid": "bernoulli", "linear": "gaussian"}
    if activation not in kinds or (k and parameters["activation"] != "sigmoid"):
        raise UsageError(
            "pretrain: 'rbm' needs activation='sigmoid' and a code_activation of 'sigmoid' or "
            f"'linear', got {parameters['activation']!r} and {parameters['code_activation']!r}."
        )
    loss = parameters["loss"]
    name, link = name_of(loss), loss.get("link") if isinstance(loss, Mapping) else None
    binary = k > 0 or name == "bernoulli" or link in ("logistic", "clamp")
    visible = "multinomial" if name == "multinomial" and not k else "gaussian"
    return RestrictedBoltzmannMachine(
        width,
        units,
        visible="bernoulli" if binary else visible,
        hidden=kinds[activation],
        steps=settings.cd_steps,
        persistent=settings.persistent,
        n_chains=settings.batch_size,
        generator=generator,
    )


def layer_rate(settings: LayerwisePretraining, layer: nn.Module) -> float:
    """Return the learning rate of the settings, or the default for this kind of layer."""
    if settings.learning_rate is not None:
        return settings.learning_rate
    if not isinstance(layer, RestrictedBoltzmannMachine):
        return 1e-3
    if layer.visible == "multinomial":
        return 1e-2
    return 1e-3 if "gaussian" in (layer.visible, layer.hidden) else 0.1


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
    """Return the autoencoder x -> a(x~ W + b) -> link(h W^T + c), for one layer of a net.

    Parameters
    ----------
    activation : str
        Activation of this layer.
    below : str or None
        Activation of the layer below, whose outputs this one reads and reconstructs. The loss is
        the Bernoulli cross-entropy for sigmoid units (Vincent et al. 2010), and the squared error
        of activated outputs for others. None for the lowest layer, which has the net's loss.
    row_length : float or None
        As in ``DenseEncoder``, for the lowest layer.
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
    """g followed by the activation of the layer below."""

    def __init__(self, decoder: Decoder, activation: str) -> None:
        super().__init__()
        self.decoder = decoder
        self._activate = activation_named(activation)

    @property
    def biases(self) -> nn.ParameterList:  # pyright: ignore[reportIncompatibleVariableOverride] -- see below
        # an attribute would register them twice, and a file cannot store a tensor twice
        return self.decoder.biases

    def forward(self, h: Codes) -> Outputs:
        return self._activate(self.decoder(h))
