"""What the commands on heads share: head files, and labels one a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from narrows.cli._common import open_estimator, refuse_detector
from narrows.cli._data import label_file

__all__ = [
    "labels_brought",
    "naming",
    "number_of",
    "one_label_a_row",
    "open_head",
    "same_labels",
]


_COMMANDS = {"CodeMatcher": "match MODEL A B", "CodeSegmenter": "segment MODEL DATA"}
_PREDICT = "predict MODEL DATA"
_TASKS = {"match": "match", "segment": "segment", "predict": "classify"}


def open_head(path: Path, command: str) -> Any:
    """Return the head of a file, if it is of a kind that the command is for.

    Raises
    ------
    UsageError
        If the file holds something else; the message names the command for it.
    """
    from narrows.errors import UsageError
    from narrows.estimators import CodeHead

    estimator = open_estimator(path)
    refuse_detector(path, estimator)
    name = type(estimator).__name__
    if not isinstance(estimator, CodeHead):
        raise UsageError(
            f"{path}: holds {_article(name)} {name} without a head; put one on it: narrows head "
            f"{path} DATA --labels FILE --task {_TASKS[command]} -o HEAD."
        )
    use = _COMMANDS.get(name, _PREDICT)
    if not use.startswith(command):
        raise UsageError(f"{path}: holds a {name}; use narrows {use}.")
    return estimator


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"


def one_label_a_row(
    opened: Any,
    labels: Path | None,
    n_rows: int,
    *,
    unknown: str | None = None,
    gaps: bool = False,
    takes_unknown: bool = False,
) -> Any:
    """Return labels (n_rows,) from a file, or those that the data bring themselves.

    Texts that are all integers are read as such, so that -1 is the same in .txt and in .npy;
    unless ``unknown``, the text for none, is another text. Rows of the data without a label are
    refused, unless ``unknown`` is "" or ``gaps`` lets them through. ``takes_unknown`` says that
    --unknown is there to be advised.

    Raises
    ------
    InvalidData
        If a row has several labels, or none where that is refused.
    UsageError
        If there are no labels.
    """
    import numpy as np
    import scipy.sparse as sp

    from narrows.data.labels import read_labels
    from narrows.errors import InvalidData

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
                f"{labels}: a row has several labels or none, and one a row is read: {way_out}."
            )
        return found if path.suffix.lower() == ".npy" else _integers(found, unknown)
    brought = labels_brought(opened)
    if brought is not None:
        empty = np.flatnonzero(brought == "")
        place = getattr(opened, "place", "document {}".format)
        if len(empty) and unknown != "" and not gaps:
            way_out = (
                "say by --unknown '' that they are unknown" if takes_unknown else "leave them out"
            )
            raise InvalidData(
                f"{opened.origin}, {place(int(empty[0]))}: no label; {len(empty)} of {n_rows} rows "
                f"have none. Fill them in, or {way_out}."
            )
        return _integers(brought, unknown)
    raise click.UsageError(
        "--labels: give a file with a label for every row, or data that bring them: a column "
        "named as in table.csv:label=kind, or a folder of folders."
    )


def labels_brought(opened: Any) -> Any:
    """Return the labels (n_rows,) that data bring themselves, texts, "" for a row without one.

    None where they bring none, or several a row.
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
    """Return texts (n_rows,) as int64 where each is an integer as it is written in short."""
    import numpy as np

    texts = [] if labels.dtype.kind != "U" else [str(text) for text in np.unique(labels)]
    if unknown is not None:
        texts.append(unknown)
    if labels.dtype.kind != "U" or not all(map(_is_integer, texts)):  # "01" is another than "1"
        return labels
    return labels.astype(np.int64)


def _is_integer(text: str) -> bool:
    try:
        value = int(text)
    except ValueError:
        return False
    return str(value) == text and -(2**63) <= value < 2**63


@contextmanager
def naming(labels: object) -> Iterator[None]:
    """Give errors of y the name of its file, and the shell's way out."""
    from narrows.errors import InvalidData, UsageError

    try:
        yield
    except (InvalidData, UsageError) as error:
        if not str(error).startswith("y: "):
            raise
        told = str(error).removeprefix("y: ")
        told = told.replace("raise max_classes.", "give --set max_classes=NUMBER.")
        raise type(error)(f"{labels}: {told}") from None


def same_labels(labels: Any, other: Any) -> Any:
    """Return where labels (n_rows,) are those of ``other``, (n_rows,) or one, as booleans.

    Where one is text and the other is not, they are compared as numbers if they are such.
    """
    import numpy as np

    labels, other = np.broadcast_arrays(labels, other)
    if (labels.dtype.kind == "U") == (other.dtype.kind == "U"):
        pairs = zip(labels.tolist(), other.tolist(), strict=True)
        return np.array([a == b or (a != a and b != b) for a, b in pairs], dtype=bool)
    pairs = zip(labels.tolist(), other.tolist(), strict=True)
    return np.array(
        [str(a) == str(b) or number_of(a) == number_of(b) for a, b in pairs], dtype=bool
    )


def number_of(label: Any) -> Any:
    """Return a text as the number that it says, exactly if it is an integer."""
    for kind in (int, float):
        try:
            return kind(label) if isinstance(label, str) else label
        except ValueError:
            pass
    return label
