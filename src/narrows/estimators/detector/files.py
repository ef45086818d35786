"""The model file of an anomaly detector: its members' files side by side, each with its S."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from narrows.applications.anomalies.anomaly_score import AnomalyScore
from narrows.artefact import Artefact
from narrows.estimators.autoencoders.files import autoencoder_in
from narrows.estimators.parameters import json_parameters, known_arguments

if TYPE_CHECKING:
    from narrows.estimators.detector.detector import AnomalyDetector

__all__ = ["detector_artefact", "restore_detector"]

_MOST_MEMBERS = 100


def detector_artefact(estimator: AnomalyDetector) -> Artefact:
    """Return the file's content."""
    arguments = estimator.get_params(deep=False)
    given = arguments.pop("autoencoder")
    names = getattr(estimator, "feature_names_in_", None)
    tensors = {"calibration.surprises": torch.from_numpy(estimator.calibration_)}
    members = []
    for i, member in enumerate(estimator.members_):
        artefact = member.to_artefact()
        members.append(artefact.spec)
        tensors |= {f"member.{i}.{k}": v for k, v in artefact.tensors.items()}
        held = estimator.anomaly_scores_[i].tensors()
        tensors |= {f"surprise.{i}.{k}": v for k, v in held.items()}
    spec = {
        "estimator": type(estimator).__name__,
        "arguments": json_parameters(arguments),
        "autoencoder_given": given is not None,
        "names": None if names is None else names.tolist(),
        # JSON has no infinity: a threshold that no row reaches
        "offset": estimator.offset_ if np.isfinite(estimator.offset_) else None,
        "members": members,
    }
    return Artefact("model", spec, tensors)


def restore_detector(cls: type[AnomalyDetector], artefact: Artefact) -> AnomalyDetector:
    """Return the fitted detector of a file.

    Raises
    ------
    ModelFileError, ValueError, KeyError, TypeError
        Where its parts do not fit each other.
    """
    spec, tensors = artefact.spec, dict(artefact.tensors)
    if not isinstance(spec["members"], list) or not 1 <= len(spec["members"]) <= _MOST_MEMBERS:
        raise ValueError("members are no list of 1 to 100")
    members, anomaly_scores = [], []
    for i, of_member in enumerate(spec["members"]):
        if not isinstance(of_member, dict) or "head" in of_member or "members" in of_member:
            raise ValueError(f"member {i} is no autoencoder")
        member = autoencoder_in(Artefact("model", of_member, _taken(tensors, f"member.{i}.")))
        members.append(member)
        anomaly_scores.append(
            AnomalyScore.from_tensors(_taken(tensors, f"surprise.{i}."), member.model_)
        )
    widths = {member.n_features_in_ for member in members}
    if len(widths) != 1:
        raise ValueError(f"members of {sorted(widths)} features")
    held_out = tensors.pop("calibration.surprises")
    if held_out.ndim != 1 or not len(held_out) or held_out.dtype != torch.float64:
        raise ValueError(f"calibration by {held_out.dtype} of shape {tuple(held_out.shape)}")
    if bool((held_out.diff() < 0).any()):
        raise ValueError("calibration that is not in ascending order")
    if tensors:
        raise ValueError(f"{next(iter(tensors))!r} is no tensor of a detector")
    # fitted again, a detector of its own kind of autoencoder makes that again
    given: Any = clone(members[0]) if spec["autoencoder_given"] else None
    estimator = cls(given, **known_arguments(spec["arguments"]))
    estimator.members_, estimator.anomaly_scores_ = members, anomaly_scores
    estimator.calibration_ = held_out.numpy()
    if spec["offset"] is not None and type(spec["offset"]) not in (int, float):
        raise ValueError(f"offset {spec['offset']!r}")
    estimator.offset_ = -np.inf if spec["offset"] is None else float(spec["offset"])
    estimator._check_parameters()
    estimator.n_features_in_ = widths.pop()
    if spec["names"] is not None:
        estimator.feature_names_in_ = np.array(spec["names"], dtype=object)
        if estimator.feature_names_in_.shape != (estimator.n_features_in_,):
            raise ValueError("the names are not one for each feature")
    return estimator


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the tensors of a prefix out of a dictionary."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}
