"""What several commands share: arguments, opening data and models, printing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from narrows.data.source import Source
    from narrows.estimators import AbstractAutoencoder
    from narrows.model import Model
    from narrows.text import Documents

__all__ = [
    "SEED",
    "check_image_shape",
    "code_of",
    "data_argument",
    "json_option",
    "label_file",
    "model_argument",
    "open_data",
    "open_estimator",
    "open_model",
    "output_option",
    "print_json",
    "refuse_detector",
    "shape_option",
]

PATH = click.Path(path_type=Path)

model_argument = click.argument("model", type=PATH)
data_argument = click.argument("data")
output_option = click.option(
    "-o", "--output", type=PATH, required=True, help="Where to write: .npy or .csv."
)
SEED = click.IntRange(0, 2**63 - 1)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _shape(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        shape = tuple(int(part) for part in value.split(","))
    except ValueError:
        shape = ()
    if len(shape) not in (2, 3) or min(shape) < 1 or (*shape, 3)[2] != 3:
        raise click.BadParameter(f"expected HEIGHT,WIDTH or HEIGHT,WIDTH,3, got {value!r}.")
    return shape


shape_option = click.option(
    "--image-shape",
    callback=_shape,
    metavar="H,W",
    help="Shape of a row as an image, where the file does not say.",
)


def check_image_shape(model: Model, image_shape: tuple[int, ...] | None) -> None:
    """Refuse an --image-shape that does not hold the model's rows, whether they are drawn or not.

    Raises
    ------
    InvalidData
    """
    if image_shape is not None:
        from narrows.applications.figures import image_shape_of

        image_shape_of(model, image_shape)


def open_data(name: str) -> Source | Documents:
    """Open a file or folder, or a named data set: ``mnist`` its training images, ``mnist:test``.

    What holds texts, and not numbers, is opened as Documents; ``docs.csv:text=body,id=key`` names
    the columns, or the keys, of text, id and label. In ``table.csv:label=kind,drop=a,drop=b`` the
    columns named are no features; ``test.svmlight:features=123`` says how many columns there are,
    where the last ones do not occur.
    """
    from narrows.data import read
    from narrows.datasets import DATASETS, fetch
    from narrows.errors import UsageError
    from narrows.text import looks_like_documents, read_documents

    dataset, _, half = name.partition(":")
    if dataset in DATASETS and half in ("", "train", "test") and not Path(name).exists():
        files = fetch(dataset)
        return read(files[f"{'t10k' if half == 'test' else 'train'}-images-idx3-ubyte.gz"])
    path, _, columns = name.rpartition(":")
    if "=" in columns and not Path(name).exists():
        named, dropped = _columns(columns)
        if "features" in named:
            return read(path, n_features=_n_features(named["features"]))
        beside = {*dropped, *([named["label"]] if "label" in named else [])}
        texts = "text" in named or "id" in named or looks_like_documents(path, beside=beside)
        if texts and dropped:
            raise UsageError(f"{name!r}: drop is for tables of numbers; {path} holds texts.")
        if texts:
            return read_documents(path, **named)
        return _table(path, f"{name},", label=named.get("label"), drop=dropped)
    return read_documents(name) if looks_like_documents(name) else _table(name, f"{name}:")


def _table(path: str, named: str, **columns: Any) -> Source:
    """Read numbers; where a column holds none, say how to name it behind ``named``."""
    from narrows.data import read
    from narrows.errors import InvalidData

    try:
        return read(path, **columns)
    except InvalidData as error:
        if "expected a number" not in str(error) and "not numbers" not in str(error):
            raise
        raise InvalidData(
            f"{error} If it holds texts, name their column: {path}:text=COLUMN; a column that is "
            f"no feature is left out by {named}drop=COLUMN."
        ) from None


def label_file(labels: Path) -> tuple[Path, str | None]:
    """Return the file of labels and the column that is named in it, as in ``y.csv:label=grade``.

    Raises
    ------
    UsageError
        If something else is named.
    """
    from narrows.errors import UsageError

    path, _, columns = str(labels).rpartition(":")
    if labels.exists() or not path:
        return labels, None
    if "=" not in columns:
        if not Path(path).is_file():
            return labels, None
        raise UsageError(f"{labels}: to name a column of labels, write {path}:label={columns}.")
    named, dropped = _columns(columns)
    if [*named] != ["label"] or dropped:
        raise UsageError(f"{labels}: of labels only their column is named: {path}:label=COLUMN.")
    return Path(path), named["label"]


def _n_features(number: str) -> int:
    from narrows.errors import UsageError

    if not (number.isascii() and number.isdigit() and len(number) < 20):
        raise UsageError(f"'features={number}': expected features=NUMBER, a whole one.")
    return int(number)


def _columns(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read ``text=body,id=key,label=topic,drop=a,drop=b``; what is dropped comes second."""
    from narrows.errors import UsageError

    named: dict[str, str] = {}
    dropped: list[str] = []
    for part in text.split(","):
        what, _, column = part.partition("=")
        if what not in ("text", "id", "label", "features", "drop") or not column or what in named:
            raise UsageError(
                f"{text!r}: expected text=NAME, id=NAME, label=NAME once each, or drop=NAME, got "
                f"{part!r}."
            )
        if what == "drop":
            dropped.append(column)
        else:
            named[what] = column
    return named, tuple(dropped)


def open_estimator(path: Path) -> Any:
    """Return what a model file holds: an autoencoder, a head on one, or a detector."""
    from narrows.errors import ModelFileError
    from narrows.estimators import load

    try:
        return load(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file.") from None


def open_model(path: Path) -> AbstractAutoencoder:
    """Return the autoencoder of a model file, with or without a head.

    Raises
    ------
    UsageError
        If the file holds a detector.
    """
    return code_of(path, open_estimator(path))


def code_of(path: Path, estimator: Any) -> AbstractAutoencoder:
    """Return the autoencoder of what a file holds; UsageError where it is a detector."""
    refuse_detector(path, estimator)
    return getattr(estimator, "autoencoder_", estimator)  # the code under a head


def refuse_detector(path: Path, estimator: Any) -> None:
    """Refuse a detector where a command needs one net."""
    from narrows.errors import UsageError
    from narrows.estimators import DETECTORS

    if isinstance(estimator, DETECTORS):
        raise UsageError(
            f"{path}: holds an {type(estimator).__name__}, whose {len(estimator.members_)} nets "
            f"only score rows together; use narrows anomalies {path} DATA, or narrows fit for a "
            "model with one code."
        )


def print_json(values: dict[str, Any]) -> None:
    click.echo(json.dumps(_finite(values), allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    """Return JSON values with null for what is not finite, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
