"""Load fitted estimators from model files and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from narrows.artefact import Artefact, read_artefact
from narrows.catalog import DETECTORS, HEADS, HOMES, VARIANTS
from narrows.core.custom_specs import with_pieces
from narrows.core.isolation import isolate
from narrows.errors import ModelFileError, UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.model.older_files import upgraded
from narrows.training.checkpoint_content import model_in

__all__ = ["autoencoder_in", "class_named", "load", "load_autoencoder", "model_file"]

_AUTOENCODERS = frozenset(variant.estimator for variant in VARIANTS.values())


@contextmanager
def model_file(path: str | Path, pieces: Iterable[Any] = ()) -> Iterator[Artefact]:
    """Yield the content of a model file or checkpoint; errors in the block name the file.

    ``pieces`` are the user's own pieces that the file names.

    Raises
    ------
    ModelFileError
        If the file is damaged or foreign, or the estimator cannot be rebuilt in the block.
    FileNotFoundError
        If the file does not exist.
    """
    artefact = read_artefact(path, kind="model", also="checkpoint")
    try:
        if artefact.kind == "checkpoint":
            artefact = model_in(artefact)
        spec = with_pieces(upgraded(artefact.spec), pieces)
        yield Artefact(artefact.kind, spec, artefact.tensors)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (
        UsageError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError
    ) as error:  # fmt: skip
        raise ModelFileError(f"{path}: the estimator cannot be rebuilt: {error}.") from None


def class_named(name: Any, known: Iterable[str]) -> Any:
    """Return the estimator class of a name in a file.

    Raises
    ------
    ModelFileError
        If the name is not among the ``known`` ones.
    """
    if not isinstance(name, str) or name not in known:
        raise ModelFileError(f"unknown estimator {name!r}.")
    return getattr(import_module(HOMES[name]), name)


def autoencoder_in(artefact: Artefact) -> AbstractAutoencoder:
    """Return the fitted autoencoder of a model file's content."""
    cls = class_named(artefact.spec.get("estimator"), _AUTOENCODERS)
    return cls.from_artefact(artefact)


def load_autoencoder(path: str | Path) -> AbstractAutoencoder:
    """Return the fitted autoencoder that ``save`` wrote.

    Raises
    ------
    ModelFileError
        As in ``narrows.load``; or if the file holds a head or a detector.
    FileNotFoundError
        If the file does not exist.
    """
    with model_file(path) as artefact:
        for part, what in (("head", "a head"), ("members", "a detector")):
            if part in artefact.spec:
                raise ModelFileError(f"holds {what}; an autoencoder is needed.")
        return autoencoder_in(artefact)


_HEADS = frozenset(head.estimator for head in HEADS.values())


@isolate
def load(path: str | Path, *, pieces: Iterable[Any] = ()) -> Any:
    """Return the fitted estimator that ``save`` wrote.

    Parameters
    ----------
    path : path
        Path of a model file, or of a checkpoint.
    pieces : sequence of classes, functions or instances, optional
        Your own pieces that the file names: penalties, corruptions, losses, encoders, decoders.
        Give an instance for a class that needs constructor arguments; its weights are replaced by
        those in the file.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or from a later version, or names a piece that is not in
        ``pieces``. Loading never runs code from the file, nor imports what it names.
    FileNotFoundError
        If the file does not exist.
    """
    with model_file(path, pieces) as artefact:
        spec = artefact.spec
        if "members" in spec:
            return class_named(spec.get("estimator"), DETECTORS).from_artefact(artefact)
        if "head" in spec:
            return class_named(spec["head"].get("estimator"), _HEADS).from_artefact(artefact)
        return autoencoder_in(artefact)
