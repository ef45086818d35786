"""Open the data that a command names, and return the names of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from narrows.cli._outputs import one_line

if TYPE_CHECKING:
    from narrows.data.source import Source
    from narrows.text import Documents

__all__ = ["HEADERS", "data_path", "label_file", "names_in_figure", "open_data", "row_names"]


def data_path(name: str) -> Path:
    """Return the file or folder in a name, without the options that follow it."""
    from narrows.data.readers.naming import path_of

    return Path(path_of(name))


def open_data(
    name: str, like: Any = None, *, resize: tuple[int, int] | None = None
) -> Source | Documents:
    """Open a file, a folder or a named data set; texts as Documents, anything else as a Source.

    An image is one row. Options follow the name:

    - ``mnist``, ``mnist:test``: the training and the test images of a data set;
    - ``docs.csv:text=body,id=key,label=topic``: the columns, or JSON keys, of documents;
    - ``table.csv:label=kind,id=name,drop=a,drop=b``: columns that are not features;
    - ``test.svmlight:features=123,first=1``: the number of columns, and the first index;
    - ``folder:kind=images``, ``folder:kind=texts``: which files of a mixed folder to read;
    - ``x.npz:member=name``: which array of an archive to read.

    Images are resized to ``resize``, else to the size in ``folder:resize=64x64``, else to that of
    the images that ``like``, an estimator, was fitted to.
    """
    from narrows.data import read
    from narrows.data.datasets import DATASETS, fetch
    from narrows.data.readers.folders import IMAGE_SUFFIXES, folder_kind
    from narrows.data.readers.naming import merge_named, parse_name
    from narrows.errors import InvalidData, UsageError, did_you_mean
    from narrows.text import looks_like_documents

    dataset, _, half = name.partition(":")
    if dataset in DATASETS and half in ("", "train", "test") and not Path(name).exists():
        files = fetch(dataset)
        return read(files[f"{'t10k' if half == 'test' else 'train'}-images-idx3-ubyte.gz"])
    path, options = parse_name(name)
    if not Path(path).exists():
        hint = did_you_mean(path.partition(":")[0], DATASETS)
        raise InvalidData(f"{path}: no such file, folder or data set.{hint}")
    if resize is not None:
        path, options = merge_named(name, {"resize": resize})
    images = Path(path).is_dir() or Path(path).suffix.lower() in IMAGE_SUFFIXES
    fitted = getattr(like, "resize_", None)
    if images and fitted is not None:
        options.setdefault("resize", fitted)
    if Path(path).is_dir():
        kind = options.get("kind") or folder_kind(Path(path))
        options["kind"] = kind
        if kind == "texts" and fitted is not None:
            options.pop("resize", None)
        return _texts(path, name, options) if kind == "texts" else read(path, **options)
    if options.keys() & {"n_features", "zero_based"}:
        if options.keys() - {"n_features", "zero_based"}:
            raise UsageError(f"{name!r}: features and first cannot be combined with other options.")
        return read(path, **options)
    dropped = options.get("drop", ())
    texts = "text" in options or looks_like_documents(
        path,
        exclude={*dropped, *(options[key] for key in ("label", "id") if key in options)},
        needs_text_column="id" not in options,
    )
    if "text" in options and dropped:
        raise UsageError(
            f"{name!r}: drop is for tables of numbers; of texts, only the named columns are "
            "read, so omit drop."
        )
    if texts and not dropped:
        return _texts(path, name, options)
    return _table(path, f"{name}{',' if options else ':'}", **options)


def _texts(path: str | Path, name: str, options: dict[str, Any]) -> Documents:
    """Read texts; refuse options that do not apply to them."""
    from narrows.errors import UsageError
    from narrows.text import read_documents

    other = next(iter(options.keys() - {"text", "id", "label", "kind"}), None)
    if other is not None:
        key = {"n_features": "features", "zero_based": "first"}.get(other, other)
        raise UsageError(
            f"{name!r}: {key}= is for numbers and images, and {path} holds texts; omit it."
        )
    return read_documents(path, **options)


def _table(path: str | Path, named: str, **columns: Any) -> Source:
    """Read numbers; an error about a column of texts says what to write after ``named``."""
    from narrows.data import read
    from narrows.errors import InvalidData

    try:
        return read(path, **columns)
    except InvalidData as error:
        if "expected a number" not in str(error) and "not numbers" not in str(error):
            raise
        more = "" if columns.get("label") else ", label=COLUMN if it holds labels"
        more += "" if columns.get("id") else ", id=COLUMN if it names the rows"
        raise InvalidData(
            f"{error} If a column is not a feature, name it after the file: {named}drop=COLUMN to "
            f"leave it out{more}; for several write drop=A,drop=B. If a column holds texts to "
            f"learn from, name it: {path}:text=COLUMN."
        ) from None


def label_file(labels: Path) -> tuple[Path, str | None]:
    """Return a file of labels and, from ``y.csv:label=grade``, the name of the column to read.

    Raises
    ------
    UsageError
        If another option follows the file.
    """
    from narrows.data.readers.naming import parse_name
    from narrows.errors import UsageError

    path, options = parse_name(str(labels))
    if not options:
        file, _, column = path.rpartition(":")
        if labels.exists() or not Path(file).is_file():
            return labels, None
        raise UsageError(f"{labels}: to name a column of labels, write {file}:label={column}.")
    if [*options] != ["label"]:
        raise UsageError(f"{labels}: for labels, name only their column: {path}:label=COLUMN.")
    return Path(path), options["label"]


HEADERS = ("file", "id")
"""Headers of the first column of a written .csv or .tsv if the rows have names."""

_IN_FIGURE = 256


def row_names(opened: Any, *outputs: object) -> tuple[str, Sequence[str]] | None:
    """Return a header, "file" or "id", and the names of the rows; None if they have no names.

    Texts and images of a folder are named by their paths in it; documents, and rows of a table
    with ``id=COLUMN``, by their ids. If ``outputs`` are given and each is None or a .npy file,
    which has no place for names, the names are not read.
    """
    from narrows.data.readers.folders import IMAGE_SUFFIXES
    from narrows.data.readers.kinds import kind_of
    from narrows.text import Documents

    if outputs and all(o is None or isinstance(o, Path) and kind_of(o) == ".npy" for o in outputs):
        return None
    names = (
        [document.id for document in opened]
        if isinstance(opened, Documents)
        else getattr(opened, "ids", None)
    )
    if names is None:
        return None
    held = [str(name) for name in names] if hasattr(names, "tolist") else names
    origin = Path(opened.origin)
    are_files = origin.is_dir() or origin.suffix.lower() in IMAGE_SUFFIXES
    return HEADERS[not are_files], held


def names_in_figure(named: tuple[str, Sequence[str]] | None, rows: Iterable[int]) -> list[str]:
    """Return names for rows in a figure, by their numbers; "row 17" if they have none.

    Files are named without their suffix.
    """
    if named is None:
        return [f"row {row}" for row in rows]
    header, names = named
    shown = (names[row] for row in rows)
    if header == "file":
        shown = (str(PurePosixPath(name).with_suffix("")) for name in shown)
    return [one_line(name, _IN_FIGURE) for name in shown]
