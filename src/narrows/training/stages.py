"""Train in several stages, with a folder of checkpoints for each and one seed for all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from narrows.artefact import Artefact
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.identity import MAY_CHANGE, check_identity
from narrows.training.record import TrainingRecord
from narrows.training.watch import Watch, never

__all__ = ["Stages", "digest_of", "open_stages"]


@dataclass(frozen=True)
class Stages:
    """The checkpoints, callbacks and seed that the parts of one training share.

    Attributes
    ----------
    watch : Watch
        Watch of the whole training. Its checkpoints hold only the identity; the parts have
        folders beside them.
    seed : int
        The caller's seed, or the interrupted training's if the caller gave none.
    """

    watch: Watch
    seed: int

    @property
    def checkpoints(self) -> Checkpoints | None:
        return self.watch.checkpoints

    def fit_arguments(self, name: str) -> dict[str, Any]:
        """Return the checkpoint arguments of ``fit`` for the estimator that is part ``name``."""
        folder = None if self.checkpoints is None else self.checkpoints.folder / name
        return {
            "checkpoint": folder,
            "resume": self.watch.resume,
            "stop_requested": self.watch.stop_requested,
        }

    @contextmanager
    def loop_watch(
        self,
        name: str,
        identity: Callable[[], Mapping[str, Any]],
        snapshot: Callable[[TrainingRecord], Artefact] | None = None,
    ) -> Iterator[Watch]:
        """Yield the watch of ``train`` for part ``name``.

        ``identity`` returns what must be equal to resume this part, in addition to the shared
        identity; it is only called if there are checkpoints.
        """
        with self.watch.part(name, name) as part:
            own = {} if self.checkpoints is None else identity()
            yield replace(part, identity={**part.identity, **own}, snapshot=snapshot)


@contextmanager
def open_stages(
    folder: str | Path | None,
    identity: Mapping[str, Any],
    *,
    seed: int,
    seed_is_drawn: bool,
    resume: bool,
    stop_requested: Callable[[], bool] | None,
) -> Iterator[Stages]:
    """Open the checkpoints of a training of several parts; none are written without a folder.

    Raises
    ------
    OutputBusy
        If another training holds the folder.
    ModelFileError, DataChanged
        If the training to resume had other arguments or other data.
    """
    watch = Watch(stop_requested=stop_requested or never)
    if folder is None:
        yield Stages(watch, seed)
        return
    with closing(Checkpoints(Path(folder))) as checkpoints:
        saved = checkpoints.newest() if resume else None
        if saved is not None and seed_is_drawn:
            # the resumed training keeps the seed that it drew
            seed = saved.spec["identity"].get("seed", seed)
        current = {**identity, "seed": seed}
        if saved is not None:
            check_identity(
                saved.spec["identity"], current, free=MAY_CHANGE
            )  # the parts check these
        else:
            checkpoints.discard_on_next_save()
            try:
                checkpoints.save(Artefact("checkpoint", {"identity": current, "parts": True}))
            except Exception:
                checkpoints.clear_if_empty()
                raise
        watch = replace(watch, checkpoints=checkpoints, resume=saved is not None, identity=current)
        try:
            yield Stages(watch, seed)
        except Exception:
            if not any(path.parent != checkpoints.folder for path in checkpoints.all_files()):
                checkpoints.clear()  # nothing was trained that could be resumed
            raise


def digest_of(values: Tensor | None) -> str | None:
    """Return the SHA-256 of targets, for the identity of a training; None if there are none."""
    if values is None:
        return None
    return hashlib.sha256(values.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
