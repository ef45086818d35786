"""Refuse to resume a checkpoint of another training: other arguments, data or columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from narrows.artefact import Artefact
from narrows.errors import DataChanged, ModelFileError

__all__ = ["MAY_CHANGE", "check_identity", "max_epochs_if_finished"]

MAY_CHANGE = ("max_epochs", "patience")
"""Arguments that may differ when a finished training is resumed."""


def max_epochs_if_finished(saved: Artefact) -> int | None:
    """Return ``max_epochs`` of a checkpoint's training, None if it had not ended."""
    spec = saved.spec
    most = int(spec.get("max_epochs", spec["identity"].get("max_epochs", 0)))
    return most if spec["stopped_early"] or spec["epoch"] >= most > 0 else None


def check_identity(
    saved: Mapping[str, Any], current: Mapping[str, Any], *, free: Sequence[str] = ()
) -> None:
    """Refuse a checkpoint of another training; the keys in ``free`` may differ.

    Names of columns may be missing on either side.

    Raises
    ------
    DataChanged
        If the data or the names of their columns differ.
    ModelFileError
        If something else differs; the message names it with both values.
    """
    for key in sorted({*saved, *current} - {*free}):
        if saved.get(key) != current.get(key):
            if key == "data":
                raise DataChanged(
                    "resume: the data differ from the checkpoint's; start over with resume=False."
                )
            if key == "names":
                _check_names(saved.get(key), current.get(key))
                continue
            was, now = _difference(key, saved.get(key), current.get(key))
            way_out = ""
            if key in MAY_CHANGE:
                way_out = ", or finish that training first and then go on with more epochs"
            raise ModelFileError(
                f"resume: {was} in the checkpoint and {now} now; start over with resume=False"
                f"{way_out}."
            )


def _check_names(was: Sequence[str] | None, now: Sequence[str] | None) -> None:
    """Refuse other names of columns than a checkpoint's; None matches any."""
    if was is None or now is None:
        return
    i = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    raise DataChanged(
        f"resume: column {i} was called {was[i]!r} in the checkpoint, and is {now[i]!r} now; give "
        "the columns their names, or start over with resume=False."
    )


def _difference(key: str, was: Any, now: Any) -> tuple[str, str]:
    """Describe both values of a key; of mappings, those of the first key that differs."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        inner = next(k for k in sorted({*was, *now}) if was.get(k) != now.get(k))
        return _difference(inner, was.get(inner), now.get(inner))
    return f"{key} is {was!r}", f"{now!r}"
