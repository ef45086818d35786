"""Read the columns of DATA that are not features: groups, weights and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narrows.cli._data import label_file, open_data
from narrows.cli._labels import numbers
from narrows.cli._options import RowOptions

__all__ = [
    "OpenedData",
    "Targets",
    "open_for_fit",
    "open_with_columns",
    "targets_in_file",
    "to_fit_argument",
]


@dataclass(frozen=True)
class Targets:
    """Named targets: ``values`` (n_rows, n_targets), float64, NaN where a value is unknown."""

    names: list[str]
    values: Any

    def __len__(self) -> int:
        return len(self.values)


def to_fit_argument(y: Any) -> Any:
    """Return Targets as an Arrow table, so that a regressor sees their names; any other y as is."""
    import pyarrow as pa

    if not isinstance(y, Targets):
        return y
    return pa.table(list(y.values.T), names=y.names)


@dataclass(frozen=True)
class OpenedData:
    """DATA, and the columns that are not features.

    ``rows`` is a Source or Documents. ``columns`` maps each option that names a column to its
    cells, texts (n_rows,). ``targets`` is set if several labels are named.
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
) -> OpenedData:
    """Open DATA without the columns that options name as its features, and read these columns.

    Parameters
    ----------
    options : mapping
        The column that each option, such as "--groups", names; None if it is not given.
    as_targets : bool
        Whether to read a single label as targets, too.

    Raises
    ------
    UsageError, InvalidData
        If DATA has no named columns, or lacks one of these; if a target is not a number.
    """
    from narrows.data.readers.naming import format_name, parse_name
    from narrows.errors import UsageError
    from narrows.text import Documents

    named = {option: column for option, column in options.items() if column is not None}
    path, parsed = parse_name(data, several=True)
    labels = parsed.get("label", ())
    labels = labels if isinstance(labels, tuple) else (labels,)
    labels = labels if len(labels) > 1 or as_targets else ()
    if not named and not labels:
        return OpenedData(open_data(data, like, resize=resize))
    option, column = next(iter(named.items()), ("label", labels[0] if labels else ""))
    if Path(path).is_dir() or not Path(path).exists():
        raise UsageError(f"{option}: {data} is not a table file, so it has no column {column!r}.")
    if resize is not None:
        raise UsageError(f"--resize: is for images, which have no columns for {option}.")
    wanted = list(dict.fromkeys([*named.values(), *labels]))
    if labels:
        parsed.pop("label")
    if "text" in parsed:
        rows = open_data(format_name(path, parsed), like)
        found = {name: _document_column(path, parsed["text"], name) for name in wanted}
    else:
        kept = {parsed[key] for key in ("label", "id") if key in parsed}
        drop = [*parsed.get("drop", ()), *(name for name in wanted if name not in kept)]
        rows = open_data(format_name(path, {**parsed, "drop": tuple(dict.fromkeys(drop))}), like)
        if isinstance(rows, Documents):
            raise UsageError(f"{option}: also name the column of texts: {path}:text=COLUMN.")
        found = {name: _column(path, parsed, name, {*drop, *kept}) for name in wanted}
    targets = None if not labels else _targets([*labels], found, data)
    return OpenedData(rows, {option: found[name] for option, name in named.items()}, targets)


def targets_in_file(labels: Path, n_rows: int, *, as_targets: bool = False) -> Targets | None:
    """Return the targets that y.csv:label=a,label=b names.

    None if it names no column, or only one and ``as_targets`` is false.

    Raises
    ------
    InvalidData
        If a column is missing or has another length, or a value is not a number.
    """
    import numpy as np

    from narrows.data.readers.labels import named_column
    from narrows.data.readers.naming import parse_name
    from narrows.errors import InvalidData

    path, parsed = parse_name(str(labels), several=True)
    names = parsed.get("label", ())
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


def _column(path: str, parsed: Mapping[str, Any], name: str, others: set[str]) -> Any:
    """Return a column of a table of numbers, as texts (n_rows,).

    ``others`` are the columns that are not features.
    """
    from narrows.data import read

    header = {"header": parsed["header"]} if "header" in parsed else {}
    return read(path, label=name, drop=tuple(sorted(others - {name})), **header).labels


def _document_column(path: str, text: str, name: str) -> Any:
    """Return a column, as texts (n_rows,), of a table whose rows are documents."""
    import numpy as np

    from narrows.text import read_documents

    documents = read_documents(path, text=text, label=name)
    return np.array([";".join(document.labels) for document in documents], dtype=object)


def _targets(labels: list[str], found: Mapping[str, Any], data: str) -> Targets:
    import numpy as np

    columns = [numbers(found[name].astype(str), f"{data}, {name}", gaps=True) for name in labels]
    return Targets(labels, np.stack(columns, axis=1))


def open_for_fit(
    data: str, options: RowOptions, *, like: Any = None
) -> tuple[OpenedData, dict[str, Any]]:
    """Open DATA, and return it with the arguments of ``fit`` that the options imply.

    ``like`` is an estimator fitted to such rows, as for ``open_data``.
    """
    weights = options.weights
    column = None if weights is None or _is_file(weights) else weights
    columns = {"--groups": options.groups, "--weights": column}
    opened = open_with_columns(data, columns, like=like, resize=options.resize)
    given: dict[str, Any] = {}
    if options.groups is not None:
        given["groups"] = opened.columns["--groups"]
    if weights is not None:
        given["sample_weight"] = _weights(weights, opened, data)
    if options.block_length is not None:
        given["block_length"] = options.block_length
    if options.gap is not None:
        given["gap"] = options.gap
    if options.validation is not None:
        given["validation_data"] = open_data(options.validation, like, resize=options.resize)
    return opened, given


def _is_file(weights: str) -> bool:
    """Return whether --weights names a file rather than a column of DATA."""
    from narrows.data.readers.naming import path_of

    return Path(path_of(weights)).is_file()


def _weights(weights: str, opened: OpenedData, data: str) -> Any:
    """Return the weight of each row, float64 (n_rows,), from a column of DATA or a file."""
    import scipy.sparse as sp

    from narrows.data.readers.labels import read_labels
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
            f"{weights}: must hold one number for every row of {data}; 0 leaves a row out."
        )
    return numbers(found, weights, option="--weights")
