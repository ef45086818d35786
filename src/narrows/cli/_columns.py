"""Columns of DATA that are no features: those that options name, and several labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narrows.cli._data import open_data

__all__ = ["Opened", "Targets", "as_fit_takes", "open_with_columns", "targets_in_file"]


@dataclass(frozen=True)
class Targets:
    """Several values of a row: the names of the targets, and ``values`` (n_rows, n_targets),
    float64, NaN where one is not known."""

    names: list[str]
    values: Any

    def __len__(self) -> int:
        return len(self.values)


def as_fit_takes(y: Any) -> Any:
    """Return targets as an arrow table, from which a regressor takes the names; another y as it
    is."""
    import pyarrow as pa

    if not isinstance(y, Targets):
        return y
    return pa.table(list(y.values.T), names=y.names)


@dataclass(frozen=True)
class Opened:
    """DATA as a command opens it.

    ``rows`` are its Source or Documents, ``columns`` what stands in those that options name, texts
    (n_rows,), and ``targets`` its labels where it names several.
    """

    rows: Any
    columns: dict[str, Any] = field(default_factory=dict)
    targets: Targets | None = None


def open_with_columns(
    data: str,
    options: Mapping[str, str | None],
    *,
    like: Any = None,
    resize: tuple[int, int] | None = None,
    as_targets: bool = False,
) -> Opened:
    """Open DATA, and read those columns beside it that the options name, which are no features.

    Parameters
    ----------
    options : mapping
        Of an option, such as "--groups", to the name of its column, None where it is not given.
    as_targets : bool
        Whether one label is read as targets too, and not only several.

    Raises
    ------
    UsageError, InvalidData
        If DATA has no columns with names, or not these; if a target is no number.
    """
    from narrows.data.readers.naming import format_name, parse_name
    from narrows.errors import UsageError
    from narrows.text import Documents

    named = {option: column for option, column in options.items() if column is not None}
    path, said = parse_name(data, several=True)
    labels = said.get("label", ())
    labels = labels if isinstance(labels, tuple) else (labels,)
    labels = labels if len(labels) > 1 or as_targets else ()
    if not named and not labels:
        return Opened(open_data(data, like, resize=resize))
    option, column = next(iter(named.items()), ("label", labels[0] if labels else ""))
    if Path(path).is_dir() or not Path(path).exists():
        raise UsageError(f"{option}: {data} is no file of a table, so it has no column {column!r}.")
    if resize is not None:
        raise UsageError(f"--resize: goes with images, which have no column for {option}.")
    wanted = list(dict.fromkeys([*named.values(), *labels]))
    if labels:
        said.pop("label")
    if "text" in said:
        rows = open_data(format_name(path, said), like)
        found = {name: _column_of_texts(path, said["text"], name) for name in wanted}
    else:
        kept = {said[key] for key in ("label", "id") if key in said}
        drop = [*said.get("drop", ()), *(name for name in wanted if name not in kept)]
        rows = open_data(format_name(path, {**said, "drop": tuple(dict.fromkeys(drop))}), like)
        if isinstance(rows, Documents):
            raise UsageError(f"{option}: name the column of texts too, {path}:text=COLUMN.")
        found = {name: _column(path, said, name, {*drop, *kept}) for name in wanted}
    targets = None if not labels else _targets([*labels], found, data)
    return Opened(rows, {option: found[name] for option, name in named.items()}, targets)


def targets_in_file(labels: Path, n_rows: int, *, as_targets: bool = False) -> Targets | None:
    """Return the targets that a file of labels names, y.csv:label=a,label=b.

    None where it names no column, or one that is not to be read ``as_targets``.

    Raises
    ------
    InvalidData
        If a column is missing or of another length, or a value is no number.
    """
    import numpy as np

    from narrows.data.labels import named_column
    from narrows.data.readers.naming import parse_name
    from narrows.errors import InvalidData

    path, said = parse_name(str(labels), several=True)
    names = said.get("label", ())
    names = names if isinstance(names, tuple) else (names,)
    if len(names) < 2 and not (as_targets and names):
        return None
    found = {}
    for name in names:
        cells = [cell[0] if cell else "" for cell in named_column(Path(path), name)]
        if len(cells) != n_rows:
            raise InvalidData(f"{path}: labels of {len(cells)} rows, but the data have {n_rows}.")
        found[name] = np.array(cells)
    return _targets([*names], found, path)


def _column(path: str, said: Mapping[str, Any], name: str, others: set[str]) -> Any:
    """Return a column of a table of numbers, texts (n_rows,), whose ``others`` are no features."""
    from narrows.data import read

    header = {"header": said["header"]} if "header" in said else {}
    return read(path, label=name, drop=tuple(sorted(others - {name})), **header).labels


def _column_of_texts(path: str, text: str, name: str) -> Any:
    """Return a column, texts (n_rows,), of a table whose rows are documents."""
    import numpy as np

    from narrows.text import read_documents

    documents = read_documents(path, text=text, label=name)
    return np.array([";".join(document.labels) for document in documents], dtype=object)


def _targets(labels: list[str], found: Mapping[str, Any], data: str) -> Targets:
    import numpy as np

    from narrows.cli._reached import numbers

    columns = [numbers(found[name].astype(str), f"{data}, {name}", gaps=True) for name in labels]
    return Targets(labels, np.stack(columns, axis=1))
