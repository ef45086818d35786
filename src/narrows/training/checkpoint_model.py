"""A checkpoint as a model: what it holds of one, and the model as it stood then."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from narrows.artefact import Artefact
from narrows.errors import ModelFileError

__all__ = ["model_in", "model_part"]


def model_part(model: Artefact, objective: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what a checkpoint holds of a model beside the weights in training.

    A tensor of the model that is a weight of the objective is named by it, and not stored again.
    """
    weights = {v.data_ptr(): (k, v.shape) for k, v in objective.state_dict().items() if v.numel()}
    names, others = {}, {}
    for name, tensor in model.tensors.items():
        own, shape = weights.get(tensor.data_ptr(), ("", None))
        if shape == tensor.shape:
            names[name] = own
        else:
            others[f"model.{name}"] = tensor
    return {"spec": model.spec, "weights": names}, others


def model_in(checkpoint: Artefact) -> Artefact:
    """Return the model that a checkpoint's training would have ended with at that moment.

    With the weights that did best on held-out rows so far, where rows are held out, or the last.

    Raises
    ------
    ModelFileError
        If it is of a part of a training that is no model yet.
    """
    held = checkpoint.spec.get("model")
    if held is None:
        if "parts" in checkpoint.spec:
            raise ModelFileError(
                "says what a training in several parts is of; their checkpoints stand in the "
                "folders beside it."
            )
        raise ModelFileError(
            "is a checkpoint of a part of a training, such as a layer, which is no model yet; the "
            "command that wrote it goes on from it with --resume (in Python fit(..., "
            "checkpoint=FOLDER, resume=True))."
        )
    tensors = {
        name.removeprefix("model."): value
        for name, value in checkpoint.tensors.items()
        if name.startswith("model.")
    }
    best = any(name.startswith("best.") for name in checkpoint.tensors)
    for name, own in held["weights"].items():
        tensors[name] = checkpoint.tensors[f"{'best' if best else 'net'}.{own}"]
    return Artefact("model", held["spec"], tensors)
