"""Write and read numbered checkpoints, of which the last two are kept."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import closing
from pathlib import Path

from narrows.artefact import Artefact, read_artefact, write_artefact
from narrows.artefact.durable import TEMPORARY
from narrows.errors import LaterFormat, ModelFileError, OutputBusy, ResourceError

__all__ = ["Checkpoints"]

_KEPT = 2


class Checkpoints:
    """A folder of checkpoints that one training at a time may write to.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    every : float
        Seconds between two checkpoints.

    Raises
    ------
    OutputBusy
        If another training holds the folder.
    """

    def __init__(self, folder: Path, *, every: float = 60.0) -> None:
        self.folder = folder
        self.every = every
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ResourceError(f"{folder}: cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OutputBusy(
                f"{folder}: another training is writing there; wait, or choose another output."
            ) from None
        self._last = time.monotonic()
        self._replaced: list[Path] = []

    def discard_on_next_save(self) -> None:
        """Delete the present checkpoints once the next one is saved, here or in a subfolder.

        Until then they can be resumed; afterwards no checkpoint of another training is left.
        """
        self._replaced = self.all_files()

    def all_files(self) -> list[Path]:
        """Return the paths of all checkpoints here, including those of parts."""
        return [*self.folder.rglob("checkpoint-*.safetensors")]

    def subfolder(self, name: str) -> Checkpoints:
        """Return the checkpoints of a part of the training, in a subfolder."""
        part = Checkpoints(self.folder / name, every=self.every)
        part._replaced = self._replaced  # a shared list, which the first save empties
        return part

    def due(self) -> bool:
        """Return whether ``every`` seconds have passed since the last checkpoint."""
        return time.monotonic() - self._last >= self.every

    def save(self, artefact: Artefact) -> None:
        """Write a checkpoint, and remove all but the last two."""
        numbers = self._numbers()
        number = numbers[-1] + 1 if numbers else 1
        write_artefact(self._path(number), artefact)
        for old in [*map(self._path, numbers[: 1 - _KEPT]), *self._replaced]:
            old.unlink(missing_ok=True)
        self._replaced.clear()
        self._last = time.monotonic()

    def newest(self) -> Artefact | None:
        """Return the newest intact checkpoint, None if there are no checkpoints.

        Raises
        ------
        ModelFileError
            If there are checkpoints, but none can be read; LaterFormat, if a later version wrote
            the newest intact one.
        """
        first: ModelFileError | None = None
        for number in reversed(self._numbers()):
            try:
                return read_artefact(self._path(number), kind="checkpoint")
            except FileNotFoundError:
                continue
            except LaterFormat:
                raise
            except ModelFileError as error:
                first = first or error
        if first is not None:
            raise ModelFileError(
                f"resume: no checkpoint can be read, and they are left as they are; {first} Start "
                "over with --restart, in Python with resume=False."
            )
        return None

    def clear_if_empty(self) -> None:
        """Remove the folder if training failed before its first checkpoint."""
        if not self.all_files():
            self.clear()

    def clear(self) -> None:
        """Remove the checkpoints and the folder, after their training is finished."""
        for path in self.folder.glob("checkpoint-*.safetensors"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob(TEMPORARY):
            path.unlink(missing_ok=True)
        for part in [path for path in self.folder.iterdir() if path.is_dir()]:
            with closing(Checkpoints(part)) as checkpoints:
                checkpoints.clear()
        (self.folder / "lock").unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def close(self) -> None:
        """Let other trainings write to the folder."""
        os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self.folder / f"checkpoint-{number:06d}.safetensors"

    def _numbers(self) -> list[int]:
        names = (p.stem for p in self.folder.glob("checkpoint-*.safetensors"))
        ends = (name.removeprefix("checkpoint-") for name in names)
        return sorted(int(end) for end in ends if end.isascii() and end.isdigit())
