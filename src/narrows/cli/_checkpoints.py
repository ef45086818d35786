"""The checkpoints that narrows fit finds beside its output, and takes away when it is done."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import click

__all__ = ["check_left", "clear"]


def check_left(folder: Path, *, resume: bool, restart: bool) -> None:
    """Refuse to train over what an interrupted training left, unless told to."""
    from narrows.errors import UsageError

    if resume and restart:
        raise UsageError("--resume goes on and --restart begins anew: give one of them.")
    left = any(folder.rglob("checkpoint-*.safetensors"))
    if left and not (resume or restart):
        raise UsageError(
            f"{folder} holds an unfinished training: add --resume to go on with it, or --restart "
            "to begin anew."
        )
    if resume and not left:
        click.echo(f"No checkpoint in {folder}: training begins anew.", err=True)


def clear(folder: Path) -> None:
    """Take the checkpoints away, unless another training has begun there meanwhile."""
    from narrows.errors import OutputBusy
    from narrows.training.checkpoints import Checkpoints

    with suppress(OutputBusy), closing(Checkpoints(folder)) as checkpoints:
        checkpoints.clear()
