"""What the commands on heads share: head files, and labels one a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["one_label_a_row", "open_head"]


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
    from narrows.errors import ModelFileError, UsageError
    from narrows.estimators import CodeHead, load

    try:
        estimator = load(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file.") from None
    name = type(estimator).__name__
    if not isinstance(estimator, CodeHead):
        raise UsageError(
            f"{path}: holds a {name} without a head; put one on it: narrows head {path} DATA "
            f"--labels FILE --task {_TASKS[command]} -o HEAD."
        )
    use = _COMMANDS.get(name, _PREDICT)
    if not use.startswith(command):
        raise UsageError(f"{path}: holds a {name}; use narrows {use}.")
    return estimator


def one_label_a_row(opened: Any, labels: Path | None, n_rows: int) -> Any:
    """Return labels (n_rows,) from a file, or from documents that bring one each."""
    import numpy as np
    import scipy.sparse as sp

    from narrows.data.labels import read_labels
    from narrows.errors import InvalidData
    from narrows.text import Documents

    if labels is not None:
        found = read_labels(labels, n_rows=n_rows)
        if sp.issparse(found):
            raise InvalidData(
                f"{labels}: a row has several labels or none; a head reads one a row: name the "
                "unknown ones, such as '?', and give --unknown '?'."
            )
        return found
    if isinstance(opened, Documents) and opened.labelled:
        each = [list(document.labels) for document in opened]
        if all(len(several) == 1 for several in each):
            return np.array([several[0] for several in each])
    raise click.UsageError(
        "--labels: give a file with a label for every row, or documents that bring one each."
    )
