"""Store a model in a checkpoint, and read it back."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from narrows.artefact import Artefact
from narrows.errors import ModelFileError

__all__ = ["model_in", "model_part"]


def model_part(model: Artefact, objective: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the spec and tensors of a model, to store beside the weights in training.

    Tensors of the model that are also weights of the objective are stored only once, as these.
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
    """Return the model that training would have returned had it ended at the checkpoint.

    Its weights are the best so far on held-out rows, or the last if none are held out.

    Raises
    ------
    ModelFileError
        If the checkpoint belongs to a part of the training that is not a model by itself.
    """
    stored = checkpoint.spec.get("model")
    if stored is None:
        if "parts" in checkpoint.spec:
            raise ModelFileError(
                "describes a training of several parts; name a checkpoint in one of the folders "
                "beside it."
            )
        raise ModelFileError(
            "is a checkpoint of a part of a training, such as a layer, which is not a model yet; "
            "the command that wrote it continues from it with --resume (in Python fit(..., "
            "checkpoint=FOLDER, resume=True))."
        )
    tensors = {
        name.removeprefix("model."): value
        for name, value in checkpoint.tensors.items()
        if name.startswith("model.")
    }
    best = any(name.startswith("best.") for name in checkpoint.tensors)
    for name, own in stored["weights"].items():
        tensors[name] = checkpoint.tensors[f"{'best' if best else 'net'}.{own}"]
    return Artefact("model", stored["spec"], tensors)
