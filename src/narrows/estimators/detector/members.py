"""The nets of an anomaly detector: fitted to folds, asked together, written and read together."""

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
from narrows.applications.coding.training_rows import contains_calibration
from narrows.artefact import Artefact
from narrows.data.source import Source
from narrows.data.splitting import Grouping
from narrows.errors import CopyingWarning, InvalidData, UsageError
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.files import autoencoder_in
from narrows.estimators.inputs import fit_source
from narrows.text import Documents
from narrows.training.progress import Progress
from narrows.training.stages import Stages

__all__ = ["Members", "comparable", "fit_members", "member_to_fit", "rows_of_folds"]

_BATCH, _STEPS = 128, 500
_WIDEST = 32
_MOST_MEMBERS = 100
_MOST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Members:
    """The nets of a detector, the anomaly score of each, and the scores of held-out rows.

    ``calibration`` (n_samples,), float64, is in ascending order: each row's score by the net that
    was not fitted to it.
    """

    nets: list[AbstractAutoencoder]
    scores: list[AnomalyScore]
    calibration: np.ndarray

    def score_each(self, source: Source) -> np.ndarray:
        """Return S of every row by every net, (n_members, n_samples), float64."""
        return np.stack(
            [
                np.concatenate(list(anomaly_scores(net.model_, score, source)))
                for net, score in zip(self.nets, self.scores, strict=True)
            ]
        )

    def contain(self, source: Source, each: np.ndarray) -> bool:
        """Return whether these are the rows of the fit, by their number and their scores ``each``,
        (n_members, n_samples)."""
        if source.n_rows != len(self.calibration):
            return False
        return contains_calibration(comparable(each.ravel()), self.calibration)

    def contributions(self, source: Source) -> np.ndarray:
        """Return which share each feature has in a row's S, (n_samples, n_features), float32."""
        drops = 0.0
        for net, score in zip(self.nets, self.scores, strict=True):
            drops = drops + np.concatenate(list(occlusions(net.model_, score, source)))
        return as_contributions(np.asarray(drops))

    def reconstruct(self, source: Source) -> np.ndarray:
        """Return g(f(x)), the mean over the nets, (n_samples, n_features), in input units."""
        source = copy(source)
        source.units_checked = True  # by the first net's range: once is enough
        return np.mean([net.reconstruct(source) for net in self.nets], axis=0)

    def parts(self) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """Return the spec of every net, and all tensors, for a model file."""
        specs, tensors = [], {"calibration.surprises": torch.from_numpy(self.calibration)}
        for i, (net, score) in enumerate(zip(self.nets, self.scores, strict=True)):
            artefact = net.to_artefact()
            specs.append(artefact.spec)
            tensors |= {f"member.{i}.{k}": v for k, v in artefact.tensors.items()}
            tensors |= {f"surprise.{i}.{k}": v for k, v in score.tensors().items()}
        return specs, tensors

    @classmethod
    def from_parts(cls, specs: Any, tensors: Mapping[str, Tensor]) -> Self:
        """Return the members of a model file.

        Raises
        ------
        ModelFileError, ValueError, KeyError, TypeError
            Where its parts do not fit each other.
        """
        tensors = dict(tensors)
        if not isinstance(specs, list) or not 1 <= len(specs) <= _MOST_MEMBERS:
            raise ValueError("members are no list of 1 to 100")
        nets, scores = [], []
        for i, spec in enumerate(specs):
            if not isinstance(spec, dict) or "head" in spec or "members" in spec:
                raise ValueError(f"member {i} is no autoencoder")
            net = autoencoder_in(Artefact("model", spec, _taken(tensors, f"member.{i}.")))
            nets.append(net)
            scores.append(AnomalyScore.from_tensors(_taken(tensors, f"surprise.{i}."), net.model_))
        widths = {net.n_features_in_ for net in nets}
        if len(widths) != 1:
            raise ValueError(f"members of {sorted(widths)} features")
        held_out = tensors.pop("calibration.surprises")
        if held_out.ndim != 1 or not len(held_out) or held_out.dtype != torch.float64:
            raise ValueError(f"calibration by {held_out.dtype} of shape {tuple(held_out.shape)}")
        if bool((held_out.diff() < 0).any()):
            raise ValueError("calibration that is not in ascending order")
        if tensors:
            raise ValueError(f"{next(iter(tensors))!r} is no tensor of a detector")
        return cls(nets, scores, held_out.numpy())


def rows_of_folds(estimator: Any, X: Any) -> Any:
    """Validate X, and return a source of which any rows can be taken.

    Raises
    ------
    InvalidData
        Texts, of which only codes are numbers; what ``fit_source`` refuses.
    UsageError
        Rows that stream from a file.
    """
    if isinstance(X, Documents):
        raise InvalidData(
            f"{X.origin}: holds texts, and a detector is fitted to numbers: fit a document model "
            "(narrows fit --variant document) and give its codes, narrows encode MODEL "
            f"{X.origin} -o codes.npy and narrows detector codes.npy -o FILE; in Python "
            "fit(model.transform(X))."
        )
    source = fit_source(estimator, X, min_samples=4)
    if not source.holds_targets:
        raise UsageError(
            f"X: {source.origin} is streamed; folds need rows in memory: give fewer rows, or "
            "fit one net to all of them, which scores rows too (narrows fit and narrows "
            "anomalies; in Python fit and p_values of an autoencoder)."
        )
    return source


def member_to_fit(given: Any, source: Source, *, device: str) -> AbstractAutoencoder:
    """Return the unfitted net to clone for every fold: a copy of the one that was given.

    None is a net whose code is as wide as the rows, up to 32.

    Raises
    ------
    UsageError
        If what was given is no autoencoder.
    """
    if given is None:
        epochs = int(np.clip(_STEPS * _BATCH // source.n_rows, 10, _STEPS))
        return Autoencoder(
            min(_WIDEST, source.n_features),
            hidden=(64,),
            scale="standard",
            max_epochs=epochs,
            batch_size=_BATCH,
            validation_fraction=0.0,
            patience=None,
            device=device,
        )
    if not isinstance(given, AbstractAutoencoder):
        raise UsageError(f"autoencoder: must be an autoencoder or None, got {given!r}.")
    fresh: Any = clone(given)
    return fresh if device == "auto" else fresh.set_params(device=device)


def _fitted_member(
    made: AbstractAutoencoder,
    source: Any,
    *,
    grouping: Grouping,
    trim: float,
    seed: int,
    may_copy: bool,
    stages: Stages,
    name: str,
) -> tuple[AbstractAutoencoder, AnomalyScore]:
    """Fit a clone and its S to a source, then both again without the share ``trim`` of odd rows.

    ``may_copy`` leaves out the warning of a wide code. ``name`` names the checkpoints of both fits.
    If the net holds rows out, it holds out whole groups of ``grouping``.
    """

    def of_fit(name: str, grouping: Grouping) -> dict[str, Any]:
        grouped = grouping and fresh.validation_fraction
        return stages.of_fit(name) | ({"groups": grouping.groups} if grouped else {})

    fresh: Any = clone(made)
    fresh.set_params(random_state=seed % 2**31)
    with warnings.catch_warnings():
        if may_copy:
            warnings.simplefilter("ignore", CopyingWarning)
        fresh.fit(source, **of_fit(name, grouping))
        if trim:
            warnings.simplefilter("ignore", CopyingWarning)  # the first fit has said it
            kept = trimmed_rows(fresh.model_, source, trim=trim, seed=seed)
            source = source.subset(kept)
            fresh.fit(source, **of_fit(f"{name}-trimmed", grouping.subset(kept)))
    return fresh, fit_anomaly_score(fresh.model_, source, seed=seed)


def fit_members(
    made: AbstractAutoencoder,
    source: Any,
    *,
    stages: Stages,
    grouping: Grouping,
    n_folds: int,
    trim: float,
    may_copy: bool,
    verbose: int,
) -> Members:
    """Fit a net to every fold, and score each row by the net that did not see it.

    Raises
    ------
    InvalidData
        If there are too few groups.
    """
    fold = _folds(source.n_rows, grouping, n_folds, stages.seed)
    if grouping and made.validation_fraction:
        n_groups = int(grouping.of(source.n_rows).max()) + 1
        least = 4 if n_folds == 2 else 3
        if n_groups < least:
            name = "groups" if grouping.groups is not None else "block_length"
            raise InvalidData(
                f"{name}: there are {n_groups} groups, and {least} are needed: one is held "
                "out of each fold's net, which holds another out by its validation_fraction; "
                "give more, or an autoencoder with validation_fraction=0."
            )
    n_folds = int(fold.max()) + 1
    members, scores, held_out = [], [], []
    for i in range(n_folds):
        selection = grouping.around(fold == i)
        rows, others = (part.nonzero()[:, 0] for part in (selection.held_out, selection.training))
        member, score = _fitted_member(
            made,
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
        held_out.extend(anomaly_scores(member.model_, score, source.subset(rows)))
        if verbose:
            Progress.say(f"net {i + 1} of {n_folds} is fitted")
    return Members(members, scores, np.sort(comparable(np.concatenate(held_out))))


def _folds(n_rows: int, grouping: Grouping, n_folds: int, seed: int) -> torch.Tensor:
    """Return the fold of every row, int64 (n_rows,): a group is in one fold."""
    n = n_rows // 2
    group_of = grouping.of(n_rows)
    n_groups = int(group_of.max()) + 1
    if grouping:
        n = n_groups
        if n < 2:
            raise InvalidData("groups: all rows are of one group; folds need two at least.")
    order = torch.randperm(n_groups, generator=Generator().manual_seed(seed))
    return (order % min(n_folds, n))[group_of]


def comparable(values: np.ndarray) -> np.ndarray:
    """Return scores that can be compared: those that overflowed are the largest."""
    return np.nan_to_num(values, nan=_MOST, posinf=_MOST, neginf=-_MOST)


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the tensors of a prefix out of a dictionary."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}
