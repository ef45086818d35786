"""Opening data by the names that commands are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narrows.data.source import Source
    from narrows.text import Documents

__all__ = ["data_path", "label_file", "open_data"]


def data_path(name: str) -> Path:
    """Return the file or folder in a name, without its options."""
    from narrows.data.readers.naming import path_of

    return Path(path_of(name))


def open_data(
    name: str, like: Any = None, *, resize: tuple[int, int] | None = None
) -> Source | Documents:
    """Open a file or folder, or a named data set: ``mnist`` its training images, ``mnist:test``.

    What holds texts, and not numbers, is opened as Documents; ``docs.csv:text=body,id=key`` names
    the columns, or the keys, of text, id and label. In ``table.csv:label=kind,drop=a,drop=b`` the
    columns named are no features; ``test.svmlight:features=123,first=1`` says how many columns
    there are, where the last ones do not occur, and from what their indices count. In a table of
    numbers ``id=`` names the column with the rows' names. ``folder:kind=images`` or ``kind=texts``
    says which files of a folder are meant, where it holds both, or others; ``x.npz:member=name``
    which array of an archive. An image is one row.

    Images are brought to the size ``resize``, or that which ``folder:resize=64x64`` says, or else
    that to which the images of the fit of ``like``, an estimator, were brought.
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
    path, said = parse_name(name)
    if not Path(path).exists():
        hint = did_you_mean(path.partition(":")[0], DATASETS)
        raise InvalidData(f"{path}: no such file or folder, and no data set.{hint}")
    if resize is not None:
        path, said = merge_named(name, {"resize": resize})
    images = Path(path).is_dir() or Path(path).suffix.lower() in IMAGE_SUFFIXES
    fitted = getattr(like, "resize_", None)
    if images and fitted is not None:
        said.setdefault("resize", fitted)
    if Path(path).is_dir():
        kind = said.get("kind") or folder_kind(Path(path))
        said["kind"] = kind
        if kind == "texts" and fitted is not None:
            said.pop("resize", None)
        return _texts(path, name, said) if kind == "texts" else read(path, **said)
    if said.keys() & {"n_features", "zero_based"}:
        if said.keys() - {"n_features", "zero_based"}:
            raise UsageError(f"{name!r}: {path} names no columns beside features and first.")
        return read(path, **said)
    dropped = said.get("drop", ())
    texts = "text" in said or looks_like_documents(
        path,
        exclude={*dropped, *(said[key] for key in ("label", "id") if key in said)},
        needs_text_column="id" not in said,
    )
    if "text" in said and dropped:
        raise UsageError(
            f"{name!r}: drop is for tables of numbers; of texts only the columns named are "
            "read, so leave drop out."
        )
    if texts and not dropped:
        return _texts(path, name, said)
    return _table(path, f"{name}{',' if said else ':'}", **said)


def _texts(path: str | Path, name: str, said: dict[str, Any]) -> Documents:
    """Read texts; what their readers know nothing of is refused."""
    from narrows.errors import UsageError
    from narrows.text import read_documents

    other = next(iter(said.keys() - {"text", "id", "label", "kind"}), None)
    if other is not None:
        key = {"n_features": "features", "zero_based": "first"}.get(other, other)
        raise UsageError(
            f"{name!r}: {key}= is for numbers and images, and {path} holds texts; leave it out."
        )
    return read_documents(path, **said)


def _table(path: str | Path, named: str, **columns: Any) -> Source:
    """Read numbers; where a column holds none, say how to name it behind ``named``."""
    from narrows.data import read
    from narrows.errors import InvalidData

    try:
        return read(path, **columns)
    except InvalidData as error:
        if "expected a number" not in str(error) and "not numbers" not in str(error):
            raise
        says = "" if columns.get("label") else ", label=COLUMN if it says what a row is"
        says += "" if columns.get("id") else ", id=COLUMN if it names the rows"
        raise InvalidData(
            f"{error} A column that is no feature is named behind the file: {named}drop=COLUMN to "
            f"leave it out{says}; of several write drop=A,drop=B. If it holds texts, name their "
            f"column: {path}:text=COLUMN."
        ) from None


def label_file(labels: Path) -> tuple[Path, str | None]:
    """Return the file of labels and the column that is named in it, as in ``y.csv:label=grade``.

    Raises
    ------
    UsageError
        If something else is named.
    """
    from narrows.data.readers.naming import parse_name
    from narrows.errors import UsageError

    path, said = parse_name(str(labels))
    if not said:
        file, _, column = path.rpartition(":")
        if labels.exists() or not Path(file).is_file():
            return labels, None
        raise UsageError(f"{labels}: to name a column of labels, write {file}:label={column}.")
    if [*said] != ["label"]:
        raise UsageError(f"{labels}: of labels only their column is named: {path}:label=COLUMN.")
    return Path(path), said["label"]
