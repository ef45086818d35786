"""Open model files: an autoencoder, a head of the right kind, or a detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narrows.estimators.autoencoders.base import AbstractAutoencoder

__all__ = [
    "autoencoder_of",
    "open_estimator",
    "open_head",
    "open_model",
    "refuse_detector",
    "seed_given",
]

_COMMANDS = {"CodeMatcher": "match MODEL A B", "CodeSegmenter": "segment MODEL DATA"}
_PREDICT = "predict MODEL DATA"
_TASKS = {"match": "match", "segment": "segment", "predict": "classify"}


def open_estimator(path: Path) -> Any:
    """Return what a model file holds: an autoencoder, a head on one, or a detector.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged.
    """
    from narrows.errors import ModelFileError
    from narrows.estimators.files import load

    try:
        return load(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file.") from None


def open_model(path: Path) -> AbstractAutoencoder:
    """Return the autoencoder in a model file: the model itself, or the one under a head.

    Raises
    ------
    UsageError
        If the file holds a detector.
    """
    estimator = open_estimator(path)
    refuse_detector(path, estimator)
    return autoencoder_of(estimator)


def autoencoder_of(estimator: Any) -> Any:
    """Return the autoencoder of a head; any other estimator as it is."""
    return getattr(estimator, "autoencoder_", estimator)


def refuse_detector(path: Path, estimator: Any) -> None:
    """Refuse a detector where a command needs one net.

    Raises
    ------
    UsageError
        If the file at ``path`` holds one.
    """
    from narrows.errors import UsageError
    from narrows.estimators.all_estimators import DETECTORS

    if isinstance(estimator, DETECTORS):
        raise UsageError(
            f"{path}: holds an {type(estimator).__name__}, whose {len(estimator.members_)} nets "
            f"only score rows together; use narrows anomalies {path} DATA, or narrows fit for a "
            "model with one code."
        )


def open_head(path: Path, command: str) -> Any:
    """Return the head in a file if ``command``, "predict", "match" or "segment", reads its kind.

    Raises
    ------
    UsageError
        If the file holds something else; the message names the command for it.
    """
    from narrows.errors import UsageError
    from narrows.estimators.heads.base import CodeHead

    estimator = open_estimator(path)
    refuse_detector(path, estimator)
    name = type(estimator).__name__
    if not isinstance(estimator, CodeHead):
        article = "an" if name[0] in "AEIOU" else "a"
        raise UsageError(
            f"{path}: holds {article} {name} without a head; fit one: narrows head "
            f"{path} DATA --labels FILE --task {_TASKS[command]} -o HEAD."
        )
    use = _COMMANDS.get(name, _PREDICT)
    if not use.startswith(command):
        raise UsageError(f"{path}: holds a {name}; use narrows {use}.")
    return estimator


def seed_given(estimator: Any) -> int | None:
    """Return the integer seed that repeats the fit; None if random_state is not an integer."""
    seed = estimator.random_state
    return seed if isinstance(seed, int) else None
