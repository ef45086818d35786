"""A training of several parts: a folder of checkpoints for each, and one seed for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from narrows.artefact import Artefact
from narrows.training.checkpoints import Checkpoints
from narrows.training.run import FREE, Described, check_identity

__all__ = ["Stages", "digest_of", "open_stages"]


@dataclass(frozen=True)
class Stages:
    """What the parts of one training share.

    Attributes
    ----------
    checkpoints : Checkpoints or None
        Of the whole training: they hold its identity; the parts have folders beside them.
    identity : dict
        JSON values that must be equal at a resumption, the seed among them.
    seed : int
        That of the interrupted training where nobody named one.
    """

    checkpoints: Checkpoints | None
    identity: dict[str, Any]
    seed: int
    resume: bool
    stop_requested: Callable[[], bool]

    def of_fit(self, name: str) -> dict[str, Any]:
        """Return the arguments of ``fit`` for an estimator that is the part of this name."""
        folder = None if self.checkpoints is None else self.checkpoints.folder / name
        return {
            "checkpoint": folder,
            "resume": self.resume and folder is not None,
            "stop_requested": self.stop_requested,
        }

    @contextmanager
    def of_loop(
        self,
        name: str,
        identity: Callable[[], Mapping[str, Any]],
        described: Described | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the arguments of ``train`` for the part of this name.

        ``identity`` returns what must be equal for this part, beside what all parts share.
        """
        if self.checkpoints is None:
            yield {"stop_requested": self.stop_requested}
            return
        with closing(self.checkpoints.beside(name)) as place:
            yield {
                "checkpoints": place,
                "identity": {**self.identity, **identity()},
                "saved": place.newest() if self.resume else None,
                "stop_requested": self.stop_requested,
                "described": described,
            }


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
    """Open the checkpoints of a training of several parts, None for none.

    Raises
    ------
    OutputBusy
        If another training holds the folder.
    ModelFileError, DataChanged
        If the training to resume was of other arguments, or other data.
    """
    asked = stop_requested or (lambda: False)
    if folder is None:
        yield Stages(None, {}, seed, False, asked)
        return
    with closing(Checkpoints(Path(folder))) as checkpoints:
        saved = checkpoints.newest() if resume else None
        if saved is not None and seed_is_drawn:
            # nobody named a seed: the training that goes on keeps the one that it drew
            seed = saved.spec["identity"].get("seed", seed)
        ours = {**identity, "seed": seed}
        if saved is not None:
            check_identity(saved.spec["identity"], ours, free=FREE)  # a part may say more of these
        else:
            checkpoints.begin_anew()
            try:
                checkpoints.save(Artefact("checkpoint", {"identity": ours, "parts": True}))
            except Exception:
                checkpoints.clear_if_empty()
                raise
        try:
            yield Stages(checkpoints, ours, seed, saved is not None, asked)
        except Exception:
            if not any(path.parent != checkpoints.folder for path in checkpoints.every_file()):
                checkpoints.clear()  # nothing was trained that could be resumed
            raise


def digest_of(values: Tensor | None) -> str | None:
    """Return a SHA-256 of targets, for the identity of a training; None of None."""
    if values is None:
        return None
    return hashlib.sha256(values.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
