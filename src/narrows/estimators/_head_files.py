"""The model file of a head: its autoencoder's, with the head's tensors and arguments beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import Generator, Tensor

from narrows.artefact import Artefact
from narrows.code_task import Head
from narrows.errors import ModelFileError
from narrows.estimators._arguments import json_parameters, known_arguments
from narrows.training.loop import Epoch, TrainingRecord

if TYPE_CHECKING:
    from narrows.estimators._base import AbstractAutoencoder
    from narrows.estimators._code_head import CodeHead

__all__ = ["head_artefact", "restore_head"]

_PREFIX = "head."


def head_artefact(estimator: CodeHead) -> Artefact:
    """Return the file's content."""
    autoencoder = estimator.autoencoder_
    artefact = autoencoder.model_.to_artefact(autoencoder._artefact_extra())
    arguments = estimator.get_params(deep=False)
    arguments.pop("autoencoder")
    artefact.spec["head"] = {
        "estimator": type(estimator).__name__,
        "arguments": json_parameters(arguments),
        "layer": estimator.layer_,
        "widths": [weight.shape[1] for weight in estimator.head_.net.weights],
        "history": estimator.history_,
        "validation_history": estimator.validation_history_,
        **estimator._target_spec(),
    }
    artefact.tensors |= {_PREFIX + k: v for k, v in estimator.head_.state_dict().items()}
    return artefact


def restore_head(
    autoencoder: AbstractAutoencoder,
    spec: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    classes: Mapping[str, type],
) -> Any:
    """Return the fitted head of a file whose autoencoder has been rebuilt.

    Its parameter ``autoencoder`` is then the file's own, frozen: fitted again, it starts there.
    """
    cls = classes.get(spec["estimator"])
    if cls is None:
        raise ModelFileError(f"unknown estimator {spec['estimator']!r}.")
    estimator = cls(FrozenEstimator(autoencoder), **known_arguments(spec["arguments"]))
    net = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
    weights = autoencoder.model_.objective.encoder.weights
    layer = int(spec["layer"])
    if not 0 <= layer < len(weights):
        raise ValueError(f"layer {layer} of {len(weights)}")
    widths = [int(width) for width in spec["widths"]]
    with torch.device("meta"):
        head = Head(
            weights[layer].shape[1], widths, activation=estimator.activation, generator=Generator()
        )
    if {k: v.shape for k, v in head.state_dict().items()} != {k: v.shape for k, v in net.items()}:
        raise ValueError("the head's weights are not those of its widths")
    head.load_state_dict(net, assign=True)
    estimator.head_, estimator.layer_, estimator.autoencoder_ = head, layer, autoencoder
    estimator.n_features_in_ = autoencoder.n_features_in_
    if hasattr(autoencoder, "feature_names_in_"):
        estimator.feature_names_in_ = np.array(autoencoder.feature_names_in_, dtype=object)
    epochs = [Epoch(objective, objective, 0.0, None, 0.0) for objective in spec["history"]]
    estimator._adopt(TrainingRecord(epochs=epochs))
    estimator.validation_history_ = list(spec["validation_history"])
    estimator._restore_targets(spec, widths[-1])
    return estimator
