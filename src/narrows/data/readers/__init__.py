"""Readers: a path to a source, by its suffix. Each names file, row or line, and rule."""

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
        The file or folder. A str may say ``label``, ``drop``, ``id``, ``n_features``,
        ``zero_based`` and ``kind`` too, as on the command line: "t.csv:label=kind,drop=a",
        "x.svmlight:features=123,first=1", "folder:kind=images,resize=64x64", "x.npz:member=images".
    stream : bool, optional
        True reads .npy, Parquet and folders of images in blocks; by default what is over 512 MiB
        in memory is.
    label : str, optional
        The column of a .csv, .parquet or .jsonl that is no feature but says what a row is. A
        folder of images in folders has labels without being asked: the folders' names.
    drop : collection of str
        Columns of such a table that are left out.
    id : str, optional
        The column of such a table that names its rows, each by another name. The images of a
        folder have names without being asked: their paths in it.
    n_features : int, optional
        Columns of a .svmlight or .libsvm file, in which the last ones may not occur, as in the
        test half of a data set; every other kind of file says how many it has.
    zero_based : bool, optional
        Whether the indices of such a file are counted from 0; by default they are if one of them
        is 0, else from 1, with a warning where ``n_features`` leaves both open.
    kind : {"images", "texts"}, optional
        Which files of a folder are meant, where it holds others too: "images" passes over the
        rest; texts are read by ``read_documents``. Without it a folder of several kinds is
        refused.
    resize : (height, width), optional
        Resize every image to this size, by linear interpolation over the pixels that fall on one;
        the ratio of the sides is not kept. A model that is fitted to them remembers it, as
        ``resize_``.
    member : str, optional
        The name of the array to read from an .npz.
    header : bool, optional
        Whether the first line of a .csv or .tsv names the columns. By default it does if a cell
        of it is no number, or if its numbers count from 0 or 1, or rise and are of another kind
        than those below, which a warning says. In a name ``header=yes`` or ``header=no``.

    Returns
    -------
    source : Source
        What every ``fit``, ``transform`` and ``score`` takes in place of an array. Its ``labels``
        and ``ids`` are texts (n_rows,), or None.

    Raises
    ------
    InvalidData
        Naming the file, the row or line, and the rule that was broken.
    UsageError
        If ``n_features`` is not a number of columns, ``zero_based`` not a bool, or an argument is
        given with another kind of file, or twice.
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
            raise UsageError(f"{path}: {name} goes with .svmlight and .libsvm; leave it out.")
    if "header" in options and kind_of(path) not in SEPARATORS:
        raise UsageError(f"{path}: header= goes with .csv and .tsv; leave it out.")
    if "member" in options and (path.is_dir() or kind_of(path) != ".npz"):
        raise UsageError(f"{path}: member= names an array of an .npz; leave it out.")
    columns = columns_of(options.get("label"), options.get("drop", ()), options.get("id"))
    if path.is_dir():
        _refuse_columns(path, columns)
        return _read_folder(path, options.get("kind"), stream, options.get("resize"))
    if "kind" in options:
        raise UsageError(f"{path}: kind= goes with a folder; leave it out.")
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
        raise UsageError(f"{path}: resize= goes with images; leave it out.")
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
        raise InvalidData(f"{folder}: no image files: texts are read by narrows.read_documents.")
    if kind is not None:
        check_folder_kind(kind)
    if kind == "texts":
        raise InvalidData(
            f"{folder}: kind=texts asks for texts, which read does not open; use "
            "narrows.read_documents."
        )
    return read_images(folder, stream=stream, resize=_checked_size(resize))


def _checked_size(resize: Any) -> tuple[int, int] | None:
    """Return the height and width to resize images to; UsageError if they are not two sizes."""
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
            f"{path}: label, id and drop name columns of .csv, .parquet and .jsonl; this is none."
        )
