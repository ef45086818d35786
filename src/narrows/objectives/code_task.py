"""Predict y from the code, alone or together with the reconstruction.

    J(x, y) = T( y, c( f(x~) ) ) + weight * [ L( x, g( f( x~ ) ) ) + sum of Omega ]

Bengio, Lamblin, Popovici, Larochelle (2007), "Greedy layer-wise training of deep networks", NIPS
(fine-tuning f by T); Le, Patterson, White (2018), "Supervised autoencoders", NeurIPS (both).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from narrows._types import PerSample, Scalar
from narrows.core.objective import Objective
from narrows.core.slots import Corruption
from narrows.core.sparse import Rows, dense_rows
from narrows.core.targets import target_errors
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import fill_missing
from narrows.decoders import DenseDecoder
from narrows.encoders import DenseEncoder

__all__ = [
    "READS",
    "CodeTask",
    "FeatureTask",
    "Head",
    "HeadTask",
    "features_of",
    "layers_of",
    "mean_and_std",
]

READS = ("code", "rows", "both")
"""What a head can read: the activations of a layer, the scaled rows, or the two side by side."""


def mean_and_std(features: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each feature, (n_features,) each.

    The std of a constant feature is 1, so that one can divide by it. ``weights`` (batch,) say how
    much each row of ``features`` (batch, n_features) counts.
    """
    if weights is None:
        std, mean = torch.std_mean(features, dim=0, correction=0)
    else:
        share = (weights.double() / weights.double().sum()).to(features.device)[:, None]
        center = (share * features.double()).sum(dim=0)
        squares = (share * (features.double() - center).square()).sum(dim=0)
        mean, std = center.float(), squares.sqrt().float()
    constant = std <= 1e-6 * mean.abs().clamp_min(1e-6)
    return mean, torch.where(constant, 1.0, std)


class Head(nn.Module):
    """c: maps features to logits or values, (batch, n_outputs).

    ``reads`` says what the features are, one of ``READS``. ``shift`` and ``scale`` (n_features,)
    are subtracted from them and divide them.
    """

    reads = "code"  # absent in older pickles
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        n_features: int,
        widths: list[int],
        *,
        activation: str,
        generator: Generator,
        reads: str = "code",
    ) -> None:
        super().__init__()
        self.activation, self.reads = activation, reads
        self.net = DenseDecoder([n_features, *widths], activation=activation, generator=generator)
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    @property
    def widths(self) -> list[int]:
        """Widths of the layers, the outputs last: with them ``Head`` recreates it."""
        return [weight.shape[1] for weight in self.net.weights]

    @staticmethod
    def widths_in(tensors: Mapping[str, Tensor]) -> list[int]:
        """Return those widths, in any order, from a head's tensors."""
        return [v.shape[-1] for k, v in tensors.items() if k.startswith("net.weights.") and v.ndim]

    def forward(
        self, features: Tensor, *, noise: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        h = (features.float() - self.shift) / self.scale
        return self.net(h if noise is None else noise(h)).float()


@dataclass(frozen=True)
class _Dropout:
    """Inverted dropout with an explicit generator.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), "Dropout", JMLR 15.
    """

    rate: float
    generator: Generator

    def __call__(self, h: Tensor) -> Tensor:
        kept = torch.empty_like(h).bernoulli_(1 - self.rate, generator=self.generator)
        return h * kept / (1 - self.rate)


class FeatureTask(Trainable):
    """T(y, c(features)): the loss of a head that predicts y from features.

    ``dropout`` is the share of features that are set to 0 in a step.
    """

    def __init__(self, head: Head, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.head, self.dropout = head, dropout

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        assert isinstance(x, Tensor) and y is not None
        noise = _Dropout(self.dropout, generator) if self.dropout else None
        loss = self.loss(x, y, noise=noise, weights=weights)
        return Terms(total=loss, loss=loss, penalty=loss.new_zeros(()))

    @abstractmethod
    def loss(
        self,
        features: Tensor,
        y: Tensor,
        *,
        noise: Callable[[Tensor], Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Scalar:
        """Return T of a batch; rows with unknown y (-1, NaN) do not count.

        ``weights`` (batch,), with mean 1 over the training rows, multiply each row's T.
        """


class HeadTask(FeatureTask):
    """Cross-entropy of the softmax in nats, or squared error of standardized y, summed over the
    targets."""

    def __init__(self, head: Head, *, classification: bool, dropout: float = 0.0) -> None:
        super().__init__(head, dropout=dropout)
        self.classification = classification

    def loss(
        self,
        features: Tensor,
        y: Tensor,
        *,
        noise: Callable[[Tensor], Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Scalar:
        predictions = self.head(features, noise=noise)
        losses, known = target_errors(predictions, y, classification=self.classification)
        if weights is not None:
            losses = losses * weights
        return losses.sum() / known.sum().clamp_min(1)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        assert isinstance(x, Tensor) and y is not None
        return target_errors(self.head(x), y, classification=self.classification)[0]


class CodeTask(Trainable):
    """Train an encoder together with the head that reads one of its layers.

    Parameters
    ----------
    objective : Objective
        The autoencoder whose encoder is f.
    head_task : FeatureTask
        T and c. Its dropout applies to the units of every layer, or, if the encoder is not dense,
        to the features alone.
    layer : int
        Index of the encoder's layer that c reads, from 0.
    corruption : Corruption
        x -> x~ for the task; the reconstruction has the autoencoder's own.
    reconstruction_weight : float
        Weight of the autoencoder's J, in which rows of unknown y count too; 0 leaves it out.
    """

    def __init__(
        self,
        objective: Objective,
        head_task: FeatureTask,
        *,
        layer: int,
        corruption: Corruption,
        reconstruction_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.objective, self.head_task, self.layer = objective, head_task, layer
        self.corruption, self.reconstruction_weight = corruption, reconstruction_weight

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        assert y is not None
        known, _ = fill_missing(x, self.objective.corruption)
        rows = self.corruption(known, generator=generator).rows
        loss = self.head_task.loss(self._noisy_features(rows, generator), y, weights=weights)
        penalty = loss.new_zeros(())
        if self.reconstruction_weight:
            reconstruction = self.objective(x, y, generator=generator).total
            penalty = self.reconstruction_weight * reconstruction
        return Terms(total=loss + penalty, loss=loss, penalty=penalty)

    def features(self, x: Rows) -> Tensor:
        """Return what c reads of clean rows, (batch, n_features)."""
        return features_of(self.objective, x, self.layer, self.head_task.head.reads)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        return self.head_task.error(self.features(x), y)

    def _noisy_features(self, x: Rows, generator: Generator) -> Tensor:
        encoder, rate = self.objective.encoder, self.head_task.dropout
        if not rate:
            return self.features(x)
        drop = _Dropout(rate, generator)
        reads = self.head_task.head.reads
        if isinstance(encoder, DenseEncoder) and reads != "rows":
            activations = encoder.layers(x, self.layer + 1, noise=drop)[-1]
            if reads == "code":
                return activations
            return torch.cat([activations, drop(dense_rows(x))], dim=1)
        return drop(self.features(x))


def features_of(objective: Objective, x: Rows, layer: int, reads: str) -> Tensor:
    """Return what a head reads of clean rows, (batch, n_features).

    That is the activations of a layer, counted from 0, the rows, or both side by side. Missing
    values are filled in as by ``Objective.encode``.
    """
    if reads == "code":
        return layers_of(objective, x, layer + 1)[layer]
    x, _ = fill_missing(x, objective.corruption)
    rows = dense_rows(x).float()
    if reads == "rows":
        return rows
    return torch.cat([layers_of(objective, x, layer + 1)[layer].float(), rows], dim=1)


def layers_of(objective: Objective, x: Rows, depth: int | None = None) -> list[Tensor]:
    """Return the activations of every encoder layer of clean rows, the code last.

    Missing values are filled in as by ``Objective.encode``. A dense encoder stops after ``depth``
    layers, if given.
    """
    x, _ = fill_missing(x, objective.corruption)
    if isinstance(objective.encoder, DenseEncoder):
        return objective.encoder.layers(x, depth)
    return objective.encoder.layers(x)
