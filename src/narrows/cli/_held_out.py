"""The options that say which rows depend on each other, which are held out, and what they weigh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._columns import Opened, open_with_columns
from narrows.cli._data import label_file, open_data

__all__ = ["held_out_options", "opened_for_fit", "weights_option"]


def held_out_options(command: Any) -> Any:
    """Give a command --groups, --block-length, --gap and --validation."""
    for option in (
        click.option("--validation", metavar="FILE", help="Rows to hold out, like DATA, in the "
                     "place of a share of DATA."),
        click.option("--gap", type=click.IntRange(0), metavar="N", help="Rows left out on either "
                     "side of a block held out: as many as a window is long.  [0]"),
        click.option("--block-length", type=click.IntRange(1), metavar="N", help="Rows are in "
                     "order: hold out whole runs of N rows."),
        click.option("--groups", metavar="COLUMN", help="The column of DATA that says which rows "
                     "depend on each other, such as a subject; no feature. All rows of a group "
                     "are trained on, or all are held out."),
    ):  # fmt: skip
        command = option(command)
    return command


def weights_option(command: Any) -> Any:
    """Give a command --weights."""
    return click.option("--weights", metavar="COLUMN|FILE", help="How much each row counts: a "
                        "column of DATA, then no feature; or a file of numbers, a line a row, "
                        ".npy, or w.csv:label=NAME. Only the ratios matter.")(command)  # fmt: skip


def opened_for_fit(
    data: str,
    *,
    groups: str | None,
    block_length: int | None,
    gap: int | None,
    validation: str | None = None,
    weights: str | None = None,
    resize: tuple[int, int] | None = None,
    like: Any = None,
) -> tuple[Opened, dict[str, Any]]:
    """Open DATA, and return it with the arguments of ``fit`` that the options make.

    ``like`` is the estimator to whose rows DATA's are alike, as for ``open_data``.
    """
    column = None if weights is None or is_file(weights) else weights
    columns = {"--groups": groups, "--weights": column}
    opened = open_with_columns(data, columns, like=like, resize=resize)
    given: dict[str, Any] = {}
    if groups is not None:
        given["groups"] = opened.columns["--groups"]
    if weights is not None:
        given["sample_weight"] = _weights(weights, opened, data)
    if block_length is not None:
        given["block_length"] = block_length
    if gap is not None:
        given["gap"] = gap
    if validation is not None:
        given["validation_data"] = open_data(validation, like, resize=resize)
    return opened, given


def is_file(weights: str) -> bool:
    """Return whether --weights names a file, and not a column of DATA."""
    from narrows.data.readers.naming import path_of

    return Path(path_of(weights)).is_file()


def _weights(weights: str, opened: Opened, data: str) -> Any:
    """Return the weight of every row, float64 (n_rows,), from a column of DATA or a file."""
    import scipy.sparse as sp

    from narrows.cli._reached import numbers
    from narrows.data.labels import read_labels
    from narrows.data.source import Source
    from narrows.errors import InvalidData

    if "--weights" in opened.columns:
        found = opened.columns["--weights"].astype(str)
        return numbers(found, f"{data}, column {weights!r}", option="--weights")
    rows = opened.rows
    n_rows = rows.n_rows if isinstance(rows, Source) else sum(1 for _ in rows)
    path, column = label_file(Path(weights))
    found = read_labels(path, n_rows=n_rows, column=column)
    if sp.issparse(found):
        raise InvalidData(
            f"{weights}: must hold one number for every row of {data}; 0 leaves it out."
        )
    return numbers(found, weights, option="--weights")
