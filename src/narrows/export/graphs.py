"""Wrap the parts of a fitted model as modules with one input and one output, for export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from narrows.core.sparse import dense_rows
from narrows.data.scaling import Scaling
from narrows.errors import UsageError, unknown_name
from narrows.model.coding import in_input_units
from narrows.model.model import Model
from narrows.objectives.code_task import Head, features_of
from narrows.objectives.segmentation import SegmentationHead, pyramid

__all__ = ["PARTS", "ExportedHead", "Graph", "graph_of"]


@dataclass(frozen=True)
class ExportedHead:
    """A head, the encoder layer that it reads, and the form of its predictions.

    ``prediction`` is one of ``PREDICTIONS``. "probabilities": of ``classes``, (batch, n_classes).
    "value": the outputs times ``deviation`` plus ``mean``, float64, (batch, n_targets), or (batch,)
    if the two are plain numbers. "vector": of length 1; two rows at a squared distance d are the
    same with probability sigma(intercept - slope d), by the ``odds``. "pixels": probabilities
    (batch, n_pixels, n_classes).
    """

    head: Head | SegmentationHead
    layer: int
    prediction: str = "probabilities"
    odds: dict[str, float] | None = None
    classes: list[Any] | None = None
    mean: float | list[float] = 0.0
    deviation: float | list[float] = 1.0
    target_names: list[str] | None = None


class Graph(nn.Module, ABC):
    """A module with one named input and one named output, batch first, scaling included."""

    reads, gives = "x", "code"
    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.objective = model.objective
        self.width = model.schema.n_features
        self.kind = model.scaling.kind
        # buffers, so that the numbers of the scaling are kept with the weights of the graph
        self.register_buffer("shift", model.scaling.shift)
        self.register_buffer("scale", model.scaling.scale)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the input: float64 if rows are scaled in float64, else float32."""
        return torch.float64 if self.reads == "x" and self.scaling.double else torch.float32

    @property
    def scaling(self) -> Scaling:
        return Scaling(self.kind, self.shift, self.scale)

    @abstractmethod
    def forward(self, rows: Tensor) -> Tensor: ...


class EncoderGraph(Graph):
    """x in input units -> h = f(x); for a variational encoder the mean."""

    def forward(self, rows: Tensor) -> Tensor:
        return self.objective.encode(self.scaling.forward(rows)).h


class DecoderGraph(Graph):
    """h -> expected x in input units, or in shares if rows are scaled to shares."""

    reads, gives = "code", "x"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.width = model.n_components

    def forward(self, rows: Tensor) -> Tensor:
        return self.scaling.inverse(self.objective.decode(rows))


class ReconstructionGraph(Graph):
    """x -> g(f(x)), both in input units; shares are multiplied by the total of the row."""

    gives = "reconstruction"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.model = (model,)  # a tuple, so that its net is not registered twice

    def forward(self, rows: Tensor) -> Tensor:
        mean = self.objective.reconstruct(self.scaling.forward(rows))
        return in_input_units(self.model[0], mean, rows)


PREDICTIONS = {
    "probabilities": "probabilities",
    "value": "y",
    "vector": "vector",
    "pixels": "probabilities",
}
"""The forms of predictions, with the name of the output in the file."""


class HeadGraph(Graph):
    """x -> the prediction of a head."""

    def __init__(self, model: Model, exported: ExportedHead) -> None:
        super().__init__(model)
        self.head, self.layer = exported.head, exported.layer
        self.prediction, self.gives = exported.prediction, PREDICTIONS[exported.prediction]
        # tensors, since the exporter rounds Python floats to float32
        self.register_buffer("mean", torch.tensor(exported.mean, dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(exported.deviation, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        x = dense_rows(self.scaling.forward(rows))
        if self.prediction == "pixels":
            logits = self.head(pyramid(self.objective, x))
            return torch.softmax(logits, dim=1).permute(0, 2, 3, 1).flatten(1, 2)
        assert isinstance(self.head, Head)
        outputs = self.head(features_of(self.objective, x, self.layer, self.head.reads))
        if self.prediction == "probabilities":
            return torch.softmax(outputs, dim=1)
        if self.prediction == "vector":
            return outputs / outputs.norm(dim=1, keepdim=True).clamp_min(1e-12)
        values = outputs.double() if self.mean.ndim else outputs[:, 0].double()
        return values * self.deviation + self.mean


PARTS: Mapping[str, Callable[[Model], Graph]] = {
    "encoder": EncoderGraph,
    "decoder": DecoderGraph,
    "reconstruct": ReconstructionGraph,
}
"""The parts of an autoencoder that can be exported; a head on its code is "head"."""


def graph_of(model: Model, part: str, head: ExportedHead | None = None) -> Graph:
    """Return a part of a model as a module.

    Raises
    ------
    UsageError
        If the part does not exist, or the model has no head.
    """
    if part == "head":
        if head is None:
            raise UsageError(
                "part: 'head' needs a head on a code, such as a classifier, but this is an "
                f"autoencoder; choose from {', '.join(PARTS)}."
            )
        return HeadGraph(model, head)
    if part not in PARTS:
        raise unknown_name("part", part, [*PARTS, "head"])
    return PARTS[part](model)
