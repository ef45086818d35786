"""Greedy layer-wise pretraining: each layer of a deep net learns the one below, alone, in turn.

Hinton, Salakhutdinov (2006), Science 313 (Boltzmann machines); Bengio, Lamblin, Popovici,
Larochelle (2007), "Greedy layer-wise training of deep networks", NIPS; Vincent, Larochelle, Lajoie,
Bengio, Manzagol (2010), "Stacked denoising autoencoders", JMLR 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from narrows.boltzmann import RestrictedBoltzmannMachine
from narrows.corruptions import CORRUPTIONS
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.encoders import DenseEncoder
from narrows.encoders.dense import rows_of_length
from narrows.errors import UsageError, unknown_name
from narrows.losses import Bernoulli
from narrows.objective import Objective
from narrows.slots import Rows, piece_from_spec
from narrows.training.checkpoints import Checkpoints
from narrows.training.layer import layer_autoencoder
from narrows.training.loop import train
from narrows.training.precision import product_context, resolve_precision
from narrows.training.run import Epoch
from narrows.training.trainer import Trainer

__all__ = ["METHODS", "LayerwisePretraining", "pretrain"]

METHODS = ("denoising", "rbm")


@dataclass(frozen=True)
class LayerwisePretraining:
    """How each layer is trained before the whole is: JSON values.

    ``learning_rate`` None takes 1e-3 (Adam) for denoising layers; for Boltzmann machines, which
    are trained by momentum, 0.1 where both sides are logistic, 1e-2 for words, and 1e-3 where one
    side is linear.
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


def pretrain(
    objective: Objective,
    scaling: Scaling,
    source: Source,
    settings: LayerwisePretraining,
    *,
    parameters: Mapping[str, Any],
    mean: Tensor,
    device: torch.device,
    precision: str,
    seed: int,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
    on_epoch: Callable[[int, int, Epoch], None] = lambda layer, number, epoch: None,
) -> list[list[Epoch]]:
    """Train the layers of a dense net from the bottom up, in place; return every layer's epochs.

    A layer reads what the trained ones below it make of the clean rows. Its encoder becomes the
    net's layer, its decoder, the same weights transposed, the start of the net's mirrored layer.
    Each layer has checkpoints of its own, in folders beside the net's.

    Parameters
    ----------
    parameters : mapping
        The variant's: activations and loss.
    mean : Tensor
        Of the scaled rows, (n_features,).

    Raises
    ------
    UsageError
        If Boltzmann machines are asked for and the units are none of theirs.
    InvalidData
        If Bernoulli units would read values outside [0, 1].
    """
    history: list[list[Epoch]] = []
    encoder = _dense(objective)
    for k in range(len(encoder.weights)):
        width, units = encoder.weights[k].shape
        make = _boltzmann if settings.method == "rbm" else _denoising
        generator = Generator().manual_seed(seed + k)
        layer = make(objective, settings, parameters, k, width, units, generator)
        if k == 0:
            layer.start_at(mean)
            if isinstance(layer, RestrictedBoltzmannMachine) and layer.visible == "bernoulli":
                for raw in source.in_order(16384):
                    Bernoulli().check(scaling.forward(raw))
        products = resolve_precision(precision, device, layer)
        trainer = Trainer(
            layer,
            _Below(scaling, encoder, k, products, device, settings.method == "rbm"),
            learning_rate=_rate(settings, layer),
            precision=products,
            device=device,
            seed=seed + k,
            weight_decay=settings.weight_decay if settings.method == "rbm" else 0.0,
            momentum=settings.momentum if settings.method == "rbm" else None,
        )
        place = None if checkpoints is None else checkpoints.beside(f"layer-{k + 1}")
        with nullcontext() if place is None else closing(place):
            record = train(
                trainer,
                source,
                max_epochs=settings.max_epochs,
                batch_size=min(settings.batch_size, source.n_rows),
                checkpoints=place,
                identity={**(identity or {}), "pretraining": asdict(settings), "layer": k + 1},
                saved=place.newest() if place is not None and resume else None,
                stop_requested=stop_requested,
                on_epoch=lambda number, epoch, k=k: on_epoch(k + 1, number, epoch),
            )
        _put(layer, objective, k)
        history.append(record.epochs)
    return history


@dataclass(frozen=True)
class _Below:
    """Scaling, then the layers under the one in training: what that one reads.

    A Boltzmann machine reads rows of the length that the net brings them to.
    """

    scaling: Scaling
    encoder: DenseEncoder
    depth: int
    precision: str
    device: torch.device
    lengthen: bool

    @torch.no_grad()
    def forward(self, raw: Rows) -> Rows:
        x = self.scaling.forward(raw)
        if self.depth == 0:
            length = self.encoder.row_length
            return rows_of_length(x, length) if self.lengthen and length is not None else x
        with product_context(self.precision, self.device):
            return self.encoder.layers(x, self.depth)[-1].float()


def _dense(objective: Objective) -> DenseEncoder:
    encoder = objective.encoder
    assert isinstance(encoder, DenseEncoder)
    return encoder


def _activation(parameters: Mapping[str, Any], k: int, depth: int) -> str:
    return parameters["code_activation" if k == depth - 1 else "activation"]


def _denoising(
    objective: Objective,
    settings: LayerwisePretraining,
    parameters: Mapping[str, Any],
    k: int,
    width: int,
    units: int,
    generator: Generator,
) -> Objective:
    return layer_autoencoder(
        width,
        units,
        activation=_activation(parameters, k, len(objective.encoder.weights)),
        below=None if k == 0 else parameters["activation"],
        loss=objective.loss,
        corruption=piece_from_spec(CORRUPTIONS, settings.corruption, slot="corruption"),
        row_length=None if k else _dense(objective).row_length,
        generator=generator,
    )


def _boltzmann(
    objective: Objective,
    settings: LayerwisePretraining,
    parameters: Mapping[str, Any],
    k: int,
    width: int,
    units: int,
    generator: Generator,
) -> RestrictedBoltzmannMachine:
    kinds = {"sigmoid": "bernoulli", "linear": "gaussian"}
    activation = _activation(parameters, k, len(objective.encoder.weights))
    if activation not in kinds or (k and parameters["activation"] != "sigmoid"):
        raise UsageError(
            "pretrain: 'rbm' needs activation='sigmoid' and a code_activation of 'sigmoid' or "
            f"'linear', got {parameters['activation']!r} and {parameters['code_activation']!r}."
        )
    name, link = parameters["loss"]["name"], parameters["loss"].get("link")
    binary = k > 0 or name == "bernoulli" or link == "logistic"
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


def _rate(settings: LayerwisePretraining, layer: nn.Module) -> float:
    if settings.learning_rate is not None:
        return settings.learning_rate
    if not isinstance(layer, RestrictedBoltzmannMachine):
        return 1e-3
    if layer.visible == "multinomial":
        return 1e-2
    return 1e-3 if "gaussian" in (layer.visible, layer.hidden) else 0.1


@torch.no_grad()
def _put(layer: Objective | RestrictedBoltzmannMachine, net: Objective, k: int) -> None:
    """Unroll: copy a trained layer to its place in the encoder and, mirrored, in the decoder."""
    if isinstance(layer, RestrictedBoltzmannMachine):
        weight, up, down = layer.weight, layer.hidden_bias, layer.visible_bias
    else:
        weight, up = layer.encoder.weights[0], layer.encoder.biases[0]
        down = layer.decoder.biases[0]
    mirrored = len(net.encoder.weights) - 1 - k
    net.encoder.weights[k].copy_(weight)
    net.encoder.biases[k].copy_(up)
    net.decoder.biases[mirrored].copy_(down)
    if hasattr(net.decoder, "weights"):  # tied decoders have none of their own
        net.decoder.weights[mirrored].copy_(weight.t())
