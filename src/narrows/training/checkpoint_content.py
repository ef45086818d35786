"""What a checkpoint holds: counters and record, the trainer's tensors, the best weights, and the
model so far.

A model file is written only at the end. A checkpoint opens as a model too: ``model_in`` takes it
out."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from narrows.artefact import Artefact
from narrows.errors import ModelFileError
from narrows.training.identity import MAY_CHANGE, check_identity, max_epochs_if_finished
from narrows.training.record import Epoch
from narrows.training.run import Run

__all__ = ["model_in", "restore_run", "save_run"]


def save_run(run: Run) -> None:
    """Save a checkpoint of a training, if it has a folder for them."""
    checkpoints, snapshot = run.watch.checkpoints, run.watch.snapshot
    if checkpoints is None:
        return
    run.check_finite()
    best, values = run.stopping.state()
    spec = {
        "identity": dict(run.watch.identity),
        "epoch": run.epoch,
        "position": run.position,
        "seconds": time.perf_counter() - run.started if run.position else 0.0,
        "max_epochs": run.max_epochs,
        "precision": run.trainer.precision,
        "epochs": [asdict(epoch) for epoch in run.record.epochs],
        "stopped_early": run.record.stopped_early,
        "stopping": values,
    }
    tensors = {**run.trainer.state(), **best, "random.sampler": run.sampler_state}
    if snapshot is not None:
        spec["model"], others = _model_part(snapshot(run.record), run.trainer.objective)
        tensors |= others
    checkpoints.save(Artefact("checkpoint", spec, tensors))


def restore_run(run: Run, saved: Artefact) -> None:
    """Restore the state of a run from a checkpoint; a finished run may then train further.

    Raises
    ------
    DataChanged, ModelFileError
        If the checkpoint has other data or other parameters.
    """
    ended = max_epochs_if_finished(saved) is not None
    check_identity(saved.spec["identity"], run.watch.identity, free=MAY_CHANGE if ended else ())
    run.epoch, run.position = saved.spec["epoch"], saved.spec["position"]
    if run.epoch > run.max_epochs:
        raise ModelFileError(
            f"resume: the checkpoint has trained for {run.epoch} epochs, and max_epochs is "
            f"{run.max_epochs} now; raise max_epochs, or start over with resume=False."
        )
    # "auto" could be measured differently on another machine, or because of noise
    run.trainer.precision = saved.spec.get("precision", run.trainer.precision)
    run.record.precision = run.trainer.precision
    run.seconds_before = saved.spec["seconds"]
    run.record.epochs = [Epoch(**epoch) for epoch in saved.spec["epochs"]]
    run.record.stopped_early = saved.spec["stopped_early"]
    run.stopping.restore(saved.tensors, saved.spec["stopping"])
    if ended:
        if run.max_epochs > saved.spec.get("max_epochs", run.max_epochs):
            run.stopping.restart_patience(run.epoch)
        run.record.stopped_early = run.stopping.waited_enough(run.epoch)
    run.trainer.restore(saved.tensors)
    run.sampler_state = saved.tensors["random.sampler"]
    run.trainer.sampler.set_state(run.sampler_state)


def _model_part(model: Artefact, objective: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
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
    kept = "best" if best else "net"
    if checkpoint.spec["stopping"].get("keeps_start") and checkpoint.spec["stopping"]["best_epoch"]:
        kept = "start"
    for name, own in stored["weights"].items():
        tensors[name] = checkpoint.tensors[f"{kept}.{own}"]
    return Artefact("model", stored["spec"], tensors)
