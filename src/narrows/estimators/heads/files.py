"""The model file of a head: its autoencoder's, with the head's tensors and arguments beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from sklearn.frozen import FrozenEstimator
from torch import Generator

from narrows.applications.heads.prediction import check_head_answers, layer_widths
from narrows.artefact import Artefact
from narrows.estimators.autoencoders.files import autoencoder_in
from narrows.estimators.columns import keep_names
from narrows.estimators.parameters import json_parameters, known_arguments
from narrows.model.model import tensor_layout
from narrows.model.parts import check_magnitudes
from narrows.training.run import Epoch, TrainingRecord

if TYPE_CHECKING:
    from narrows.estimators.heads.base import CodeHead

__all__ = ["head_artefact", "restore_head"]

_PREFIX = "head."


def head_artefact(estimator: CodeHead) -> Artefact:
    """Return the file's content."""
    autoencoder = estimator.autoencoder_
    artefact = autoencoder.to_artefact()
    names = getattr(estimator, "feature_names_in_", None)
    arguments = estimator.get_params(deep=False)
    arguments.pop("autoencoder")
    artefact.spec["head"] = {
        "estimator": type(estimator).__name__,
        "arguments": json_parameters(arguments),
        "layer": estimator.layer_,
        "widths": estimator._widths(),
        "activation": estimator.head_.activation,
        "names": None if names is None else names.tolist(),
        # a pickle of before does not say
        "max_epochs": getattr(estimator, "max_epochs_", estimator.n_epochs_),
        "history": estimator.history_,
        "validation_history": estimator.validation_history_,
        **estimator._target_spec(),
    }
    artefact.tensors |= {_PREFIX + k: v for k, v in estimator.head_.state_dict().items()}
    return artefact


def restore_head(cls: type[CodeHead], artefact: Artefact) -> Any:
    """Return the fitted head of a file.

    Its parameter ``autoencoder`` is then the file's own, frozen: fitted again, it starts there.
    """
    autoencoder = autoencoder_in(artefact)
    spec, tensors = artefact.spec["head"], artefact.tensors
    estimator = cls(FrozenEstimator(autoencoder), **known_arguments(spec["arguments"]))
    net = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
    layer, widths = spec["layer"], spec["widths"]
    of_layers = layer_widths(autoencoder.model_)
    if type(layer) is not int or not 0 <= layer < len(of_layers):
        raise ValueError(f"layer {layer!r} of {len(of_layers)}")
    stored = cls._widths_in(net)
    if not stored or sorted(stored) != sorted(widths):
        raise ValueError("the head's weights are not those of its widths")
    estimator.layer_ = layer
    with torch.device("meta"):
        head = estimator._new_head(
            autoencoder.model_,
            widths,
            spec.get("activation", estimator.activation),
            generator=Generator(),
        )
    if tensor_layout(head.state_dict()) != tensor_layout(net):
        raise ValueError("the head's weights are not those of its widths")
    check_magnitudes(net)
    head.load_state_dict(net, assign=True)
    estimator.head_, estimator.autoencoder_ = head, autoencoder
    estimator.n_features_in_ = autoencoder.n_features_in_
    keep_names(estimator, spec["names"])
    history = [float(objective) for objective in spec["history"]]
    epochs = [Epoch(objective, objective, 0.0, None, 0.0) for objective in history]
    max_epochs = int(spec.get("max_epochs", len(history)))  # older files do not say
    estimator._adopt(TrainingRecord(epochs=epochs), max_epochs=max_epochs)
    estimator.validation_history_ = [float(error) for error in spec["validation_history"]]
    estimator._restore_targets(spec, widths[-1])
    estimator._check_parameters()
    check_head_answers(autoencoder.model_, head, layer)
    return estimator
