"""Greedy layer-wise pretraining: train the layers of a deep net one by one, from the bottom up.

Hinton, Salakhutdinov (2006), Science 313 (Boltzmann machines); Bengio, Lamblin, Popovici,
Larochelle (2007), "Greedy layer-wise training of deep networks", NIPS; Vincent, Larochelle, Lajoie,
Bengio, Manzagol (2010), "Stacked denoising autoencoders", JMLR 11.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch
from torch import Generator, Tensor

from narrows.core.objective import Objective
from narrows.core.sparse import Rows
from narrows.core.weights import fill_missing
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.encoders import DenseEncoder
from narrows.encoders.dense import rows_of_length
from narrows.losses import Bernoulli
from narrows.model.model import Model
from narrows.objectives.boltzmann import RestrictedBoltzmannMachine
from narrows.objectives.code_task import layers_of
from narrows.training.layerwise import LayerwisePretraining, layer_rate, new_layer
from narrows.training.loop import train
from narrows.training.precision import product_context
from narrows.training.record import Epoch
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch

__all__ = ["pretrain"]


def pretrain(
    model: Model,
    source: Source,
    settings: LayerwisePretraining,
    *,
    mean: Tensor,
    precision: str,
    seed: int,
    watch: Watch,
) -> list[list[Epoch]]:
    """Train the layers of a dense net from the bottom up, in place; return every layer's epochs.

    A layer reads the activations of the trained layers below it, for clean rows. Its encoder
    becomes the net's layer; its decoder, the same weights transposed, becomes the net's mirrored
    layer. Each layer has its own checkpoints, in a folder beside the net's.

    Parameters
    ----------
    model : Model
        A dense net on the device that trains it.
    mean : Tensor
        Mean of the scaled rows, (n_features,).

    Raises
    ------
    UsageError
        If the method is "rbm" and the activations do not suit a Boltzmann machine.
    InvalidData
        If Bernoulli units would read values outside [0, 1].
    """
    history: list[list[Epoch]] = []
    objective, scaling, device = model.objective, model.scaling, model.device
    encoder = objective.encoder
    assert isinstance(encoder, DenseEncoder)
    for k in range(len(encoder.weights)):
        generator = Generator().manual_seed(seed + k)
        layer = new_layer(settings, objective, k, parameters=model.parameters, generator=generator)
        if k == 0:
            layer.start_at(mean)
            if isinstance(layer, RestrictedBoltzmannMachine) and layer.visible == "bernoulli":
                for raw in source.in_order(16384):
                    Bernoulli().check(scaling.forward(raw))
        below = _Below(scaling, objective, k, device, settings.method == "rbm")
        below.trainer = trainer = Trainer(
            layer,
            below,
            learning_rate=layer_rate(settings, layer),
            precision=precision,
            device=device,
            seed=seed + k,
            weight_decay=settings.weight_decay if settings.method == "rbm" else 0.0,
            momentum=settings.momentum if settings.method == "rbm" else None,
        )
        identity = {**watch.identity, "pretraining": asdict(settings), "layer": k + 1}
        with watch.part(f"layer-{k + 1}", f"pretraining, layer {k + 1}") as part:
            record = train(
                trainer,
                source,
                max_epochs=settings.max_epochs,
                batch_size=min(settings.batch_size, source.n_rows),
                watch=replace(part, identity=identity),
            )
        _unroll(layer, objective, k)
        history.append(record.epochs)
    return history


@dataclass
class _Below:
    """Scale rows, fill in missing values, and apply the layers already trained.

    With ``scale_rows``, for Boltzmann machines, rows are scaled to the length that the net's
    encoder scales them to. Products are in the precision of the layer that is being trained.
    """

    scaling: Scaling
    net: Objective
    depth: int
    device: torch.device
    scale_rows: bool
    trainer: Trainer | None = None

    @torch.no_grad()
    def forward(self, raw: Rows) -> Rows:
        x, _ = fill_missing(self.scaling.forward(raw), self.net.corruption)
        if self.depth == 0:
            assert isinstance(self.net.encoder, DenseEncoder)
            length = self.net.encoder.row_length
            return rows_of_length(x, length) if self.scale_rows and length is not None else x
        assert self.trainer is not None
        with product_context(self.trainer.precision, self.device):
            return layers_of(self.net, x, self.depth)[-1].float()


@torch.no_grad()
def _unroll(layer: Objective | RestrictedBoltzmannMachine, net: Objective, k: int) -> None:
    """Copy a trained layer to layer k of the encoder and to its mirrored layer of the decoder."""
    if isinstance(layer, RestrictedBoltzmannMachine):
        weight, up, down = layer.weight, layer.hidden_bias, layer.visible_bias
    else:
        weight, up = layer.encoder.weights[0], layer.encoder.biases[0]
        down = layer.decoder.biases[0]
    mirrored = len(net.encoder.weights) - 1 - k
    net.encoder.weights[k].copy_(weight)
    net.encoder.biases[k].copy_(up)
    net.decoder.biases[mirrored].copy_(down)
    if hasattr(net.decoder, "weights"):  # tied decoders have no weights of their own
        net.decoder.weights[mirrored].copy_(weight.t())
