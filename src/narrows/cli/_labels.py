"""Read the labels of rows from a file or from the data, and check that they suit a task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from narrows.cli._data import label_file

__all__ = [
    "check_classes",
    "labels_for_penalty",
    "labels_in_data",
    "labels_or_matrix",
    "name_labels_in_errors",
    "numbers",
    "one_label_per_row",
]

_MANY = 20
"""More distinct numbers than this, some of them fractions, are a quantity, not classes."""


def one_label_per_row(
    opened: Any,
    labels: Path | None,
    n_rows: int,
    *,
    unknown: str | None = None,
    gaps: bool = False,
    takes_unknown: bool = False,
) -> Any:
    """Return one label per row, (n_rows,), from a file, or else from the data themselves.

    Texts become integers if all of them, ``unknown`` included, are integers, so that -1 means the
    same in .txt and in .npy. ``unknown`` is the text that marks an unknown label. A row of the
    data without a label is refused, unless ``unknown`` is "" or ``gaps`` is set. With
    ``takes_unknown`` the error suggests --unknown.

    Raises
    ------
    InvalidData
        If a row has several labels, or none where that is refused.
    UsageError
        If there are no labels.
    """
    import numpy as np
    import scipy.sparse as sp

    from narrows.data.readers.labels import read_labels
    from narrows.data.source import place_in
    from narrows.errors import InvalidData
    from narrows.text import Documents

    if labels is not None:
        path, column = label_file(labels)
        found = read_labels(path, n_rows=n_rows, column=column, unknown=unknown)
        if sp.issparse(found):
            way_out = (
                "name the unknown ones, such as '?', and give --unknown '?'"
                if takes_unknown
                else "give every row one, or leave such rows out of both files"
            )
            raise InvalidData(
                f"{labels}: a row has several labels or none, but each needs one: {way_out}."
            )
        return found if path.suffix.lower() == ".npy" else _integers(found, unknown)
    own = labels_in_data(opened)
    if own is not None:
        empty = np.flatnonzero(own == "")
        if len(empty) and unknown != "" and not gaps:
            first = int(empty[0])
            of_text = isinstance(opened, Documents)
            place = f"document {first}" if of_text else place_in(opened, first)
            way_out = "mark them as unknown by --unknown ''" if takes_unknown else "leave them out"
            raise InvalidData(
                f"{opened.origin}, {place}: no label; {len(empty)} of {n_rows} rows "
                f"have none. Fill them in, or {way_out}."
            )
        return _integers(own, unknown)
    raise click.UsageError(
        "--labels: give a file with a label for every row, or data that hold them: a column "
        "named as in table.csv:label=kind, or a folder with one subfolder per class."
    )


def labels_in_data(opened: Any) -> Any:
    """Return the labels that the data hold, texts (n_rows,), "" for a row without one.

    None if the data hold none, or several for one row.
    """
    import numpy as np

    from narrows.text import Documents

    if not isinstance(opened, Documents):
        return getattr(opened, "labels", None)
    if not opened.labeled:
        return None
    each = [document.labels for document in opened]
    if any(len(several) > 1 for several in each):
        return None
    return np.array([several[0] if several else "" for several in each])


def _integers(labels: Any, unknown: str | None) -> Any:
    """Return texts (n_rows,) as int64 if each is an integer in its shortest form: "1", not "01"."""
    import numpy as np

    texts = [] if labels.dtype.kind != "U" else [str(text) for text in np.unique(labels)]
    if unknown is not None:
        texts.append(unknown)
    if labels.dtype.kind != "U" or not all(map(_is_integer, texts)):
        return labels
    return labels.astype(np.int64)


def _is_integer(text: str) -> bool:
    try:
        value = int(text)
    except ValueError:
        return False
    return str(value) == text and -(2**63) <= value < 2**63


@contextmanager
def name_labels_in_errors(labels: object) -> Iterator[None]:
    """Make errors name the file of the labels instead of y, and --set instead of an argument."""
    from narrows.errors import InvalidData, UsageError

    try:
        yield
    except (InvalidData, UsageError) as error:
        if not str(error).startswith("y: "):
            raise
        message = str(error).removeprefix("y: ")
        message = message.replace("raise max_classes.", "give --set max_classes=NUMBER.")
        raise type(error)(f"{labels}: {message}") from None


def check_classes(
    y: Any, origin: str, *, option: str = "--task classify", other: str = "--task regress"
) -> None:
    """Refuse class labels that look like a quantity: many distinct numbers with fractions.

    ``option`` is the option that needs classes, ``other`` the one that takes a quantity.

    Raises
    ------
    InvalidData
    """
    import numpy as np

    from narrows.applications.heads.scores import number_of
    from narrows.errors import InvalidData

    if y.dtype.kind != "U":
        return
    values = [number_of(label) for label in np.unique(y[y != ""]).tolist()]
    if len(values) <= _MANY or any(isinstance(value, str) for value in values):
        return
    fractions = [value for value in values if value != value or value % 1]
    if fractions:
        raise InvalidData(
            f"{origin}: {option} got {len(values)} numbers, such as {fractions[0]:g}, which "
            f"are not classes; use {other}, or give the class of each row instead."
        )


def numbers(y: Any, origin: str, *, option: str = "--task regress", gaps: bool = False) -> Any:
    """Return y as float64; with ``gaps``, NaN for "".

    ``option`` is the option that needs numbers.

    Raises
    ------
    InvalidData
        If a label is not a number, naming the first such row.
    """
    import numpy as np

    from narrows.applications.heads.scores import number_of
    from narrows.errors import InvalidData

    if gaps and y.dtype.kind == "U":
        y = np.where(y == "", "nan", y)
    for row, label in enumerate(y.tolist() if y.dtype.kind == "U" else ()):
        if not label.strip():
            more = "; 0 leaves the row out" if option == "--weights" else ""
            raise InvalidData(
                f"{origin}, row {row} (the first is 0): {option} needs a number in every row, and "
                f"this cell is empty; fill it in{more}."
            )
        if isinstance(number_of(label), str):
            words = "use --task classify for words, or " if option == "--task regress" else ""
            raise InvalidData(
                f"{origin}, row {row} (the first is 0): {option} needs numbers, got {label!r}; "
                f"{words}name a column of numbers."
            )
    return y.astype(np.float64)


def labels_for_penalty(task: str, opened: Any, labels: Path | None, origin: str) -> Any:
    """Return y for the penalty "auxiliary", (n_rows,): -1 or NaN where a label is unknown.

    ``task`` is "classification" or "regression", ``opened`` the data as ``open_with_columns``
    returns them.

    Raises
    ------
    InvalidData, UsageError
        If there are no labels, a row has several, or they do not suit the task.
    """
    import numpy as np

    from narrows.text import Documents

    if opened.targets is not None:
        raise click.UsageError(
            "--penalty auxiliary: reads one label per row, but several are named; name one."
        )
    rows = opened.rows
    n_rows = sum(1 for _ in rows) if isinstance(rows, Documents) else rows.n_rows
    y = one_label_per_row(rows, labels, n_rows, gaps=True)
    origin = str(labels or origin)
    if task == "regression":
        return numbers(y, origin, option="--penalty auxiliary:task=regression", gaps=True)
    check_classes(y, origin, option="--penalty auxiliary", other="auxiliary:task=regression")
    return np.where(y == "", -1, y.astype(object)) if y.dtype.kind == "U" else y


def labels_or_matrix(opened: Any, labels: Path | None, n_rows: int) -> tuple[Any, list[str] | None]:
    """Return labels (n_rows,), or a CSR matrix (n_rows, n_labels) if a row may have any number.

    They come from a file, or else from the data. Also return the names of the matrix's columns;
    None if they are not known.
    """
    from narrows.data.readers.labels import label_matrix, read_labels
    from narrows.text import Documents

    if labels is not None:
        path, column = label_file(labels)
        return read_labels(path, n_rows=n_rows, column=column), None
    if isinstance(opened, Documents) and opened.labeled:
        return label_matrix([list(document.labels) for document in opened])
    own = getattr(opened, "labels", None)
    if own is not None:
        if "" in own:  # rows without a label share none
            return label_matrix([[label] if label else [] for label in own.tolist()])
        return own, None
    raise click.UsageError(
        "--retrieval and --map need --labels, a file with the rows' labels, or data that hold "
        "them: a column named as in docs.csv:label=topic, or a folder with one subfolder per "
        "class."
    )
