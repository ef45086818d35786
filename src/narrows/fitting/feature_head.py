"""Prepare a classifier or regressor: choose what it reads by folds, and start it at a probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.core.targets import known_rows
from narrows.core.weights import normalize_weights
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.fitting.head import (
    HeadSettings,
    PreparedHead,
    features_of_rows,
    new_head,
    prepare_feature_head,
)
from narrows.fitting.probe import LabeledRows, LinearMap, Probe, evenly
from narrows.model.features import feature_widths, layer_number
from narrows.model.model import Model
from narrows.objectives.code_task import Head, HeadTask, mean_and_std
from narrows.training.early_stopping import clearly_lower

__all__ = ["FeatureHead", "PartScale", "prepare_head"]

_MOST_VARIANCE = 1000


@dataclass(frozen=True)
class FeatureHead:
    """What a classifier or regressor is, once y has been read.

    ``reads`` is "auto" or what the head reads; ``widths`` are those of its layers, the outputs
    last. If ``solved``, the probe is the head; if it ``starts`` there, a linear head and the
    encoder are trained from the probe on. ``weigh`` returns the weights of rows, from targets and
    the weights that rows have already. ``relabel`` returns the targets to learn from instead of the
    known ones, from the activations of the layer, the targets, and the labeled rows as the probe
    reads them, with their numbers.
    """

    layer: int
    reads: str
    widths: list[int]
    activation: str
    dropout: float
    corruption: dict[str, Any]
    classification: bool
    solved: bool
    starts: bool
    probe: Probe
    weigh: Callable[[Tensor, Tensor | None], Tensor | None] = lambda targets, weights: weights
    relabel: Callable[[Tensor, Tensor, LabeledRows], Tensor] | None = None

    @property
    def options(self) -> list[str]:
        """What the head may read, the default first.

        The probes of the choice are linear, so that hidden layers read the code if not told
        otherwise.
        """
        if self.reads != "auto":
            return [self.reads]
        return ["code"] if len(self.widths) > 1 else ["rows", "both", "code"]


@dataclass(frozen=True)
class PartScale:
    """z = (features - shift) / scale, with one scale for all features of a part.

    Each part has the same share of the total variance, which is the number of columns of the rows,
    or 1,000 if there are more. Within a part features keep their spread: those of a linear code
    that vary most count most. Divided by its own deviation, each number of a code would count as
    much as the first: of ten labels a class, 6% more are then wrong.
    """

    shift: Tensor
    scale: Tensor

    @classmethod
    def of(
        cls,
        features: Tensor,
        widths: list[int],
        *,
        total: int,
        weights: Tensor | None = None,
        standard: bool = False,
    ) -> PartScale:
        """Return the scale for parts of these widths; ``weights`` say how much a row counts.

        With ``standard`` the columns of the last part have a variance of 1 already, measured on
        more rows than these.
        """
        rows = features.double().cpu()
        share = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
        if weights is not None:
            share = weights.double() / weights.double().sum()
        mean = share @ rows
        variance = share @ (rows - mean).square()
        if standard:
            variance[-widths[-1] :] = 1
        wanted = min(total, _MOST_VARIANCE) / len(widths)
        scales = []
        for own, center in zip(variance.split(widths), mean.split(widths), strict=True):
            constant = float(own.sum()) <= 1e-12 * max(float(center.square().sum()), 1e-12)
            size = 1.0 if constant else (float(own.sum()) / wanted) ** 0.5
            scales.append(torch.full((len(own),), size))
        return cls(mean.float(), torch.cat(scales))

    def __call__(self, features: Tensor) -> np.ndarray:
        """Return z of features (n_samples, n_features), float64."""
        return ((features.cpu().double() - self.shift) / self.scale.double()).numpy()


def prepare_head(
    kind: FeatureHead,
    model: Model,
    source: Source,
    settings: HeadSettings,
    seed: int,
    training: Tensor,
) -> PreparedHead:
    """Return the head of a task, and what is needed to train it unless it is solved already.

    ``training`` is the mask of the training rows; held-out rows take no part in any choice.
    """
    assert source.targets is not None
    if source.sparse and kind.reads in ("rows", "both"):
        raise UsageError(
            f"features: {kind.reads!r} needs dense rows, and X is sparse; give X.toarray(), or "
            "'code'."
        )
    options = ["code"] if source.sparse else kind.options
    layer = layer_number(model, kind.layer)
    widths = feature_widths(model, layer, "both")
    widest = options[0] if len(options) == 1 else "both"
    if kind.relabel is not None and widest == "rows":
        widest = "both"
    read = features_of_rows(model, source, layer, widest, device=settings.device)

    def part(reads: str) -> Tensor:
        if reads == widest:
            return read
        return read[:, : widths[0]] if reads == "code" else read[:, widths[0] :]

    def scale(reads: str) -> PartScale:
        rows = part(reads)[training.to(read.device)]
        own = feature_widths(model, layer, reads)
        standard = reads != "code" and model.scaling.kind == "standard"
        counts = _counts(source, training)
        return PartScale.of(rows, own, total=widths[1], weights=counts, standard=standard)

    def labeled(reads: str, targets: Tensor, *, sampled: bool = False) -> LabeledRows:
        rows = (known_rows(targets) & training).nonzero()[:, 0]
        rows = rows[evenly(len(rows), sum(widths))] if sampled else rows
        weights = kind.weigh(
            targets[rows], None if source.weights is None else source.weights[rows]
        )
        z = scales[reads](part(reads)[rows.to(read.device)])
        return LabeledRows.of(z, targets[rows].numpy(), weights, rows.numpy())

    scales = {reads: scale(reads) for reads in options}
    reads = options[0]
    if len(options) > 1:
        samples = {reads: labeled(reads, source.targets, sampled=True) for reads in options}
        reads = _choice(samples, kind.probe)
    if kind.relabel is not None:
        known = labeled(reads, source.targets)
        source.targets = kind.relabel(part("code"), source.targets, known)
    start = None
    if kind.solved or (kind.starts and len(kind.widths) == 1 and not settings.frozen):
        start = kind.probe.solve(labeled(reads, source.targets))
    scaled = scales[reads]
    if reads == "rows" and kind.reads == "auto" and not settings.frozen:
        # the encoder trains as well, and has no say at the start
        reads, start, scaled = "both", _with_code(start, scaled, scales["both"]), scales["both"]
    head = new_head(model, source, settings, seed, layer, kind.widths, kind.activation, reads)
    if settings.frozen and not kind.solved:
        # steps of descent need features of one size
        rows = part(reads)[training.to(read.device)]
        scaled = PartScale(*mean_and_std(rows, _counts(source, training)))
    _start(head, scaled, start)
    task = HeadTask(head, classification=kind.classification, dropout=kind.dropout)
    prepared = prepare_feature_head(
        model, source, settings, task, layer, part(reads), kind.corruption
    )
    return replace(prepared, solved=kind.solved, started=start is not None)


def _counts(source: Source, training: Tensor) -> Tensor | None:
    """Return how much each training row counts in the scale: 1 on average, and if y is unknown."""
    if source.weights is None or source.targets is None:
        return None
    known = known_rows(source.targets)[training]
    weights = normalize_weights(source.weights[training], known)
    return torch.where(known, weights, 1.0)


def _choice(options: dict[str, LabeledRows], probe: Probe) -> str:
    """Return the first option, or the best one if folds say clearly that it is better."""
    default = next(iter(options))
    errors = {reads: probe.held_out_errors(labeled) for reads, labeled in options.items()}
    known = {reads: of_rows for reads, of_rows in errors.items() if of_rows is not None}
    if len(known) < len(options):  # no folds
        return default
    best = min(known, key=lambda reads: known[reads].mean)
    return best if clearly_lower(known[best], known[default]) else default


def _with_code(rows: LinearMap | None, scale: PartScale, both: PartScale) -> LinearMap | None:
    """Return a map of code and rows that is the map of the rows alone."""
    if rows is None:
        return None
    n = len(rows.weights)
    ratio = (both.scale[-n:] / scale.scale).double().numpy()
    nothing = np.zeros((len(both.scale) - n, rows.weights.shape[1]))
    return LinearMap(np.concatenate([nothing, rows.weights * ratio[:, None]]), rows.biases)


@torch.no_grad()
def _start(head: Head, scale: PartScale, start: LinearMap | None) -> None:
    """Set the scale of a head's features, and its map if there is a start."""
    head.shift.copy_(scale.shift)
    head.scale.copy_(scale.scale)
    if start is not None:
        head.net.weights[0].copy_(torch.from_numpy(start.weights))
        head.net.biases[0].copy_(torch.from_numpy(start.biases))
