"""The nets of an anomaly detector: fit them to folds, score rows with them, write and read them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from torch import Generator, Tensor

from narrows.applications.anomalies.anomaly_score import (
    AnomalyScore,
    anomaly_scores,
    fit_anomaly_score,
    occlusions,
    trimmed_rows,
)
from narrows.applications.anomalies.contributions import as_contributions
from narrows.applications.anomalies.row_score import RowScore, fit_row_score
from narrows.artefact import Artefact
from narrows.data.source import Source
from narrows.data.splitting import Grouping
from narrows.errors import CopyingWarning, InvalidData, UsageError
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.files import autoencoder_in
from narrows.estimators.inputs import fit_source
from narrows.model.training_rows import contains_calibration
from narrows.text import Documents
from narrows.training.progress import Progress
from narrows.training.stages import Stages

__all__ = ["Members", "comparable", "fit_members", "member_to_fit", "rows_of_folds"]

_BATCH, _STEPS = 128, 100
_MAX_WIDTH = 32
_MAX_MEMBERS = 100
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Members:
    """The nets of a detector, their anomaly scores, and the scores of the training rows.

    ``calibration`` (n_samples,), float64, is in ascending order: the score of each training row by
    the member that was not trained on it. ``row_score`` is None in older files.
    """

    nets: list[AbstractAutoencoder]
    scores: list[AnomalyScore]
    calibration: np.ndarray
    row_score: RowScore | None

    def score_each(self, source: Source) -> np.ndarray:
        """Return S of every row by each member, (n_members, n_samples), float64."""
        each = []
        for i, (net, score) in enumerate(zip(self.nets, self.scores, strict=True)):
            scores = np.concatenate(list(anomaly_scores(net.model_, score, source)))
            if self.row_score is not None:
                scores = scores + self.row_score.of(i, source)
            each.append(scores)
        return np.stack(each)

    def contain(self, source: Source, each: np.ndarray) -> bool:
        """Return whether these are the training rows, judged by their number and their scores
        ``each``, (n_members, n_samples)."""
        if source.n_rows != len(self.calibration):
            return False
        return contains_calibration(comparable(each.ravel()), self.calibration)

    def contributions(self, source: Source) -> np.ndarray:
        """Return the share of each feature in a row's S, (n_samples, n_features), float32."""
        drops = 0.0
        for i, (net, score) in enumerate(zip(self.nets, self.scores, strict=True)):
            drops = drops + np.concatenate(list(occlusions(net.model_, score, source)))
            if self.row_score is not None:
                drops = drops + self.row_score.terms(i, source)
        return as_contributions(np.asarray(drops))

    def reconstruct(self, source: Source) -> np.ndarray:
        """Return g(f(x)), the mean over the nets, (n_samples, n_features), in input units."""
        source = copy(source)
        source.units_checked = True  # one check, by the first net, is enough
        return np.mean([net.reconstruct(source) for net in self.nets], axis=0)

    def parts(self) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """Return the specs of all nets, and all tensors, for a model file."""
        specs, tensors = [], {"calibration.surprises": torch.from_numpy(self.calibration)}
        for i, (net, score) in enumerate(zip(self.nets, self.scores, strict=True)):
            artefact = net.to_artefact()
            specs.append(artefact.spec)
            tensors |= {f"member.{i}.{k}": v for k, v in artefact.tensors.items()}
            tensors |= {f"surprise.{i}.{k}": v for k, v in score.tensors().items()}
        if self.row_score is not None:
            tensors |= {f"row_score.{k}": v for k, v in self.row_score.tensors().items()}
        return specs, tensors

    @classmethod
    def from_parts(cls, specs: Any, tensors: Mapping[str, Tensor]) -> Self:
        """Return the members of a model file.

        Raises
        ------
        ModelFileError, ValueError, KeyError, TypeError
            If its parts do not fit each other.
        """
        tensors = dict(tensors)
        if not isinstance(specs, list) or not 1 <= len(specs) <= _MAX_MEMBERS:
            raise ValueError("members are not a list of 1 to 100")
        nets, scores = [], []
        for i, spec in enumerate(specs):
            if not isinstance(spec, dict) or "head" in spec or "members" in spec:
                raise ValueError(f"member {i} is not an autoencoder")
            net = autoencoder_in(Artefact("model", spec, _pop_prefixed(tensors, f"member.{i}.")))
            nets.append(net)
            scores.append(
                AnomalyScore.from_tensors(_pop_prefixed(tensors, f"surprise.{i}."), net.model_)
            )
        widths = {net.n_features_in_ for net in nets}
        if len(widths) != 1:
            raise ValueError(f"members of {sorted(widths)} features")
        calibration = tensors.pop("calibration.surprises")
        if calibration.ndim != 1 or not len(calibration) or calibration.dtype != torch.float64:
            raise ValueError(
                f"calibration of {calibration.dtype} and shape {tuple(calibration.shape)}"
            )
        if bool((calibration.diff() < 0).any()):
            raise ValueError("the calibration is not in ascending order")
        stored = _pop_prefixed(tensors, "row_score.")
        if tensors:
            raise ValueError(f"{next(iter(tensors))!r} is not a tensor of a detector")
        row_score = None
        if stored:
            row_score = RowScore.from_tensors(stored, n_members=len(nets), n_features=widths.pop())
        return cls(nets, scores, calibration.numpy(), row_score)


def rows_of_folds(estimator: Any, X: Any) -> Any:
    """Validate X, and return a source in memory, whose rows can be selected.

    Raises
    ------
    InvalidData
        If X holds texts; or as in ``fit_source``.
    UsageError
        If X is streamed from a file.
    """
    if isinstance(X, Documents):
        raise InvalidData(
            f"{X.origin}: holds texts, but a detector is fitted to numbers: fit a document model "
            "(narrows fit --variant document) and give its codes, narrows encode MODEL "
            f"{X.origin} -o codes.npy and narrows detector codes.npy -o FILE; in Python "
            "fit(model.transform(X))."
        )
    source = fit_source(estimator, X, min_samples=4)
    if not source.holds_targets:
        raise UsageError(
            f"X: {source.origin} is streamed; folds need rows in memory: give fewer rows, or "
            "fit a single autoencoder, which scores rows too (narrows fit and narrows "
            "anomalies; in Python fit and p_values of an autoencoder)."
        )
    return source


def member_to_fit(given: Any, source: Source, *, device: str) -> AbstractAutoencoder:
    """Return the unfitted net to clone for every fold: a copy of ``given``, or the default net.

    The default net has a code as wide as the rows, up to 32.

    Raises
    ------
    UsageError
        If ``given`` is neither an autoencoder nor None.
    """
    if given is None:
        epochs = int(np.clip(_STEPS * _BATCH // source.n_rows, 10, _STEPS))
        return Autoencoder(
            min(_MAX_WIDTH, source.n_features),
            hidden=(64,),
            scale="standard",
            linear_start=False,  # members differ more from random starts
            max_epochs=epochs,
            batch_size=_BATCH,
            learning_rate=2e-3,
            validation_fraction=0.0,
            patience=None,
            device=device,
        )
    if not isinstance(given, AbstractAutoencoder):
        raise UsageError(f"autoencoder: must be an autoencoder or None, got {given!r}.")
    unfitted: Any = clone(given)
    return unfitted if device == "auto" else unfitted.set_params(device=device)


def _fitted_member(
    template: AbstractAutoencoder,
    source: Any,
    *,
    grouping: Grouping,
    trim: float,
    seed: int,
    may_copy: bool,
    stages: Stages,
    name: str,
) -> tuple[AbstractAutoencoder, AnomalyScore]:
    """Fit a clone of the template to a source, and its anomaly score without the share ``trim`` of
    rows with the highest scores; return both.

    ``may_copy`` suppresses the warning about a wide code. ``name`` names the checkpoint. If the net
    holds out rows, it holds out whole groups of ``grouping``.
    """
    net: Any = clone(template)
    net.set_params(random_state=seed % 2**31)
    grouped = {"groups": grouping.groups} if grouping and net.validation_fraction else {}
    with warnings.catch_warnings():
        if may_copy:
            warnings.simplefilter("ignore", CopyingWarning)
        net.fit(source, **stages.fit_arguments(name), **grouped)
    if trim:
        source = source.subset(trimmed_rows(net.model_, source, trim=trim, seed=seed))
    return net, fit_anomaly_score(net.model_, source, seed=seed)


def fit_members(
    template: AbstractAutoencoder,
    source: Any,
    *,
    stages: Stages,
    grouping: Grouping,
    n_folds: int,
    trim: float,
    row_weight: float,
    may_copy: bool,
    verbose: int,
) -> Members:
    """Fit one net per fold, and score each row by the member that was not trained on it.

    Raises
    ------
    InvalidData
        If there are too few groups.
    """
    fold = _folds(source.n_rows, grouping, n_folds, stages.seed)
    if grouping and template.validation_fraction:
        n_groups = int(grouping.of(source.n_rows).max()) + 1
        least = 4 if n_folds == 2 else 3
        if n_groups < least:
            name = "groups" if grouping.groups is not None else "block_length"
            raise InvalidData(
                f"{name}: there are {n_groups} groups, but {least} are needed: each net leaves "
                "out a fold of groups, and another group by its validation_fraction; give more "
                "groups, or an autoencoder with validation_fraction=0."
            )
    selections = [grouping.around(fold == i) for i in range(int(fold.max()) + 1)]
    row_score = None
    if row_weight:
        row_score = fit_row_score(source, [selection.training for selection in selections])
    members, scores, of_nets, parts = [], [], [], []
    for i, selection in enumerate(selections):
        rows, others = (part.nonzero()[:, 0] for part in (selection.held_out, selection.training))
        member, score = _fitted_member(
            template,
            source.subset(others),
            grouping=grouping.subset(others),
            trim=trim,
            seed=stages.seed + i,
            may_copy=may_copy or i > 0,  # one warning is enough
            stages=stages,
            name=f"net-{i + 1}",
        )
        members.append(member)
        scores.append(score)
        held_out = source.subset(rows)
        of_nets.extend(anomaly_scores(member.model_, score, held_out))
        if row_score is not None:
            parts.append(row_score.parts(i, held_out))
        if verbose:
            Progress.say(f"net {i + 1} of {len(selections)} is fitted")
    calibration = comparable(np.concatenate(of_nets))
    if row_score is not None:
        found = np.concatenate(parts)
        row_score = row_score.weighted(calibration, found, row_weight=row_weight)
        calibration = comparable(calibration + found @ row_score.weights.numpy())
    return Members(members, scores, np.sort(calibration), row_score)


def _folds(n_rows: int, grouping: Grouping, n_folds: int, seed: int) -> torch.Tensor:
    """Return the fold of every row, int64 (n_rows,); a group is in one fold."""
    n = n_rows // 2
    group_of = grouping.of(n_rows)
    n_groups = int(group_of.max()) + 1
    if grouping:
        n = n_groups
        if n < 2:
            raise InvalidData("groups: all rows are in one group; folds need at least two.")
    order = torch.randperm(n_groups, generator=Generator().manual_seed(seed))
    return (order % min(n_folds, n))[group_of]


def comparable(values: np.ndarray) -> np.ndarray:
    """Return finite scores: NaN and infinity, from overflow, become the largest float64."""
    return np.nan_to_num(values, nan=_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)


def _pop_prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Remove the tensors with a prefix from a dictionary, and return them without the prefix."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}
