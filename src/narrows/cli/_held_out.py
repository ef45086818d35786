"""The options that say which rows depend on each other, and which are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._data import open_data

__all__ = ["held_out_options", "open_grouped", "opened_for_fit"]


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


def opened_for_fit(
    data: str,
    *,
    groups: str | None,
    block_length: int | None,
    gap: int | None,
    validation: str | None,
    resize: tuple[int, int] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Open DATA, and return it with the arguments of ``fit`` that the options make."""
    given: dict[str, Any] = {}
    if groups is None:
        source = open_data(data, resize=resize)
    else:
        if resize is not None:
            raise click.UsageError("--resize: goes with images, which have no column of --groups.")
        source, given["groups"] = open_grouped(data, groups)
    if block_length is not None:
        given["block_length"] = block_length
    if gap is not None:
        given["gap"] = gap
    if validation is not None:
        given["validation_data"] = open_data(validation, resize=resize)
    return source, given


def open_grouped(data: str, column: str) -> tuple[Any, Any]:
    """Return the rows of DATA without a column, and what stands in that column.

    Raises
    ------
    UsageError, InvalidData
        If DATA has no columns with names, or not this one.
    """
    import numpy as np

    from narrows.data import read
    from narrows.data.readers.naming import parse_name
    from narrows.errors import UsageError
    from narrows.text import Documents, read_documents

    path, said = parse_name(data)
    if Path(path).is_dir() or not Path(path).exists():
        raise UsageError(f"--groups: {data} is no file of a table, so it has no column {column!r}.")
    if "text" in said:
        documents = read_documents(path, text=said["text"], label=column)
        named = np.array([";".join(document.labels) for document in documents], dtype=object)
        return open_data(data), named
    dropped = [*said.get("drop", ())]
    others = [said[key] for key in ("label", "id") if key in said and said[key] != column]
    spec = [f"{key}={said[key]}" for key in ("label", "id") if key in said and said[key] != column]
    spec += [f"drop={name}" for name in dict.fromkeys([*dropped, column])]
    source = open_data(f"{path}:{','.join(spec)}")
    if isinstance(source, Documents):
        raise UsageError(f"--groups: name the column of texts too, {path}:text=COLUMN.")
    named = read(path, label=column, drop=tuple(dict.fromkeys([*dropped, *others])))
    return source, named.labels
