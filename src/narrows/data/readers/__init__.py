"""Read a file or folder into a source, by its suffix.

Errors name the file, the row or line, and the rule that was broken.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from narrows.core.checks import check_number
from narrows.core.isolation import isolate
from narrows.data.readers.columns import Columns, columns_of
from narrows.data.readers.csv import read_csv
from narrows.data.readers.folders import IMAGE_SUFFIXES, check_folder_kind, folder_kind
from narrows.data.readers.idx import read_idx
from narrows.data.readers.images import read_image, read_images
from narrows.data.readers.jsonl import read_jsonl
from narrows.data.readers.kinds import SEPARATORS, is_idx, kind_of, unknown_kind
from narrows.data.readers.naming import merge_named
from narrows.data.readers.npy import read_npy, read_npz
from narrows.data.readers.parquet import read_parquet
from narrows.data.readers.svmlight import is_svmlight, read_svmlight
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError

__all__ = ["read"]


@isolate
def read(
    path: str | Path,
    *,
    stream: bool | None = None,
    label: str | None = None,
    drop: Collection[str] = (),
    id: str | None = None,
    n_features: int | None = None,
    zero_based: bool | None = None,
    kind: str | None = None,
    header: bool | None = None,
    resize: tuple[int, int] | None = None,
    member: str | None = None,
) -> Source:
    """Open data by name: .npy, .npz, IDX, .csv, .parquet, .jsonl, .svmlight, images and folders.

    Parameters
    ----------
    path : str or Path
        The file or folder. A str may also give the options below, as on the command line:
        "t.csv:label=kind,drop=a", "x.svmlight:features=123,first=1",
        "folder:kind=images,resize=64x64", "x.npz:member=images".
    stream : bool, optional
        Whether to read .npy, Parquet and folders of images in blocks; by default they are if they
        take more than 512 MiB in memory.
    label : str, optional
        The column of a .csv, .parquet or .jsonl with the label of every row; it is not a feature.
        Images in subfolders are labeled by the names of the subfolders.
    drop : collection of str
        Columns of such a table that are left out.
    id : str, optional
        The column of such a table with a unique name of every row. Images of a folder are named
        by their paths in it.
    n_features : int, optional
        The number of columns of a .svmlight or .libsvm file, whose last columns may be absent, as
        in the test half of a data set. Other kinds of files state it themselves.
    zero_based : bool, optional
        Whether the indices of such a file start at 0; by default they do if an index is 0, and
        else at 1, with a warning if ``n_features`` permits both.
    kind : {"images", "texts"}, optional
        The kind of files to read from a folder with several kinds, which is refused otherwise:
        "images" skips the other files; texts are read by ``read_documents``.
    resize : (height, width), optional
        Resize every image to this size by linear interpolation, without keeping the aspect ratio.
        A model that is fitted to the images remembers the size as ``resize_``.
    member : str, optional
        The name of the array to read from an .npz.
    header : bool, optional
        Whether the first line of a .csv or .tsv names the columns. By default it does if one of
        its cells is not a number, or, with a warning, if its numbers count from 0 or 1, or rise and
        differ in kind from the numbers below. In a name: ``header=yes`` or ``header=no``.

    Returns
    -------
    source : Source
        The input of ``fit``, ``transform`` and ``score``, in place of an array. Its ``labels`` and
        ``ids`` are strings (n_rows,), or None.

    Raises
    ------
    InvalidData
        Naming the file, the row or line, and the rule that was broken.
    UsageError
        If an argument is invalid, does not apply to this kind of file, or is given twice.
    """
    if not str(path):
        raise InvalidData("the name of the data is empty.")
    bare, options = merge_named(
        path,
        {"label": label, "drop": drop, "id": id, "n_features": n_features,
         "zero_based": zero_based, "kind": kind, "header": header, "resize": resize,
         "member": member},
    )  # fmt: skip
    if "text" in options:
        raise UsageError(f"{path}: text= names a column of texts; open it with read_documents.")
    path = Path(bare)
    n_features, zero_based = options.get("n_features"), options.get("zero_based")
    of_indices = {"n_features": n_features, "zero_based": zero_based}
    for name, value in of_indices.items():
        if value is not None and not is_svmlight(path):
            raise UsageError(f"{path}: {name} is only for .svmlight and .libsvm; leave it out.")
    if "header" in options and kind_of(path) not in SEPARATORS:
        raise UsageError(f"{path}: header= is only for .csv and .tsv; leave it out.")
    if "member" in options and (path.is_dir() or kind_of(path) != ".npz"):
        raise UsageError(f"{path}: member= is only for .npz; leave it out.")
    columns = columns_of(options.get("label"), options.get("drop", ()), options.get("id"))
    if path.is_dir():
        _refuse_columns(path, columns)
        return _read_folder(path, options.get("kind"), stream, options.get("resize"))
    if "kind" in options:
        raise UsageError(f"{path}: kind= is only for folders; leave it out.")
    if not path.exists():
        raise InvalidData(f"{path}: no such file or folder.")
    if not path.is_file():
        raise InvalidData(f"{path}: not a regular file.")
    if is_svmlight(path):
        _refuse_columns(path, columns)
        return read_svmlight(path, n_features=n_features, zero_based=zero_based)
    kind = kind_of(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        _refuse_columns(path, columns)
        return read_image(path, resize=_checked_size(options.get("resize")))
    if "resize" in options:
        raise UsageError(f"{path}: resize= is only for images; leave it out.")
    if kind in (".parquet", ".pq"):
        return read_parquet(path, columns, stream=stream)
    if kind in SEPARATORS:
        return read_csv(path, columns, header=options.get("header"))
    if kind in (".jsonl", ".ndjson"):
        return read_jsonl(path, columns)
    _refuse_columns(path, columns)
    if kind == ".npy":
        return read_npy(path, stream=stream)
    if kind == ".npz":
        return read_npz(path, key=options.get("member"))
    if is_idx(path):
        return read_idx(path)
    raise unknown_kind(
        path,
        "use .npy, .npz, .csv, .parquet, .jsonl, .svmlight, .libsvm, IDX (-ubyte, .gz too), an "
        "image or a folder of images",
    )


def _read_folder(
    folder: Path, kind: str | None, stream: bool | None, resize: tuple[int, int] | None
) -> Source:
    if kind is None and folder_kind(folder) == "texts":
        raise InvalidData(f"{folder}: no image files; read texts with narrows.read_documents.")
    if kind is not None:
        check_folder_kind(kind)
    if kind == "texts":
        raise InvalidData(
            f"{folder}: kind=texts asks for texts, which read does not open; use "
            "narrows.read_documents."
        )
    return read_images(folder, stream=stream, resize=_checked_size(resize))


def _checked_size(resize: Any) -> tuple[int, int] | None:
    """Return the size to resize images to; raise UsageError unless it is (height, width)."""
    if resize is None:
        return None
    if isinstance(resize, str) or len(sides := tuple(resize)) != 2:
        raise UsageError(f"resize: must be height and width, such as (64, 64), got {resize!r}.")
    for side in sides:
        check_number("resize", side, low=1, high=10_000, integer=True)
    return int(sides[0]), int(sides[1])


def _refuse_columns(path: Path, columns: Columns) -> None:
    if columns:
        raise InvalidData(
            f"{path}: label, id and drop name columns of .csv, .parquet and .jsonl; leave them out."
        )
