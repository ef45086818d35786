"""Parse the names of data: a path, a colon and options, as in ``t.csv:label=kind,drop=a``.

    docs.csv:text=body,id=key,label=topic    the columns or keys of the text, the id and the label
    table.csv:label=kind,drop=a,drop=b       columns that are not features
    table.csv:label=a,label=b                several labels per row, for narrows head and predict
    x.svmlight:features=123,first=1          the number of columns, and the first index
    table.csv:header=no                      whether the first line names the columns
    folder:kind=images,resize=64x48          the kind of files of a folder; height and width
    x.npz:member=images                      the array of an archive

The same names hold for the command line, ``read`` and ``read_documents``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narrows.errors import UsageError, unknown_name

__all__ = [
    "dropping",
    "format_name",
    "merge_named",
    "parse_name",
    "path_of",
    "with_options",
]

_ARGUMENTS = {
    "drop": "drop",
    "features": "n_features",
    "first": "zero_based",
    "header": "header",
    "id": "id",
    "kind": "kind",
    "label": "label",
    "member": "member",
    "resize": "resize",
    "text": "text",
}
"""The reader's argument for each option."""

_REPEATED = ("drop",)

_NEXT_KEY = re.compile(":([a-z]+)=")
"""The beginning of another option after a colon that should be a comma."""


def parse_name(name: str | Path, *, several: bool = False) -> tuple[str, dict[str, Any]]:
    """Return the path and the reader's arguments in a name.

    A name that is an existing path is not parsed. An option with a comma is quoted, as in CSV:
    ``t.csv:"drop=height, cm",label=kind``. With ``several``, the name may have several labels,
    which are returned as a tuple.

    Raises
    ------
    UsageError
        If an option is unknown, empty, repeated, or has an invalid value.
    """
    path, options = _split(str(name))
    arguments: dict[str, Any] = {}
    if not options:
        return path, arguments
    try:
        parts = next(csv.reader([options]), [])
    except csv.Error as error:
        raise UsageError(f"{options!r}: {error}; quote a name with a line break.") from None
    for part in parts:
        key, _, value = part.partition("=")
        if key not in _ARGUMENTS:
            raise UsageError(f"{options!r}: {unknown_name('option', key, _ARGUMENTS)}")
        argument = _ARGUMENTS[key]
        joined = _NEXT_KEY.search(value)
        if joined and joined[1] in _ARGUMENTS:
            raise UsageError(
                f"{options!r}: a comma separates the options after a name, as in "
                f"{path}:{key}={value[: joined.start()]},{value[joined.start() + 1 :]}."
            )
        if several and key == "label" and value and argument in arguments:
            before = arguments[argument]
            names = before if isinstance(before, tuple) else (before,)
            if value in names:
                raise UsageError(f"{options!r}: label={value} is repeated; name each column once.")
            arguments[argument] = (*names, value)
            continue
        if not value or (argument in arguments and key not in _REPEATED):
            raise UsageError(
                f"{options!r}: expected text=NAME, id=NAME, label=NAME, features=NUMBER, first=0, "
                f"header=yes, kind=KIND, resize=HxW or member=NAME once each, or drop=NAME, got "
                f"{part!r}."
            )
        if key in _REPEATED:
            arguments[argument] = (*arguments.get(argument, ()), value)
        else:
            arguments[argument] = _PARSED.get(key, str)(value)
    return path, arguments


def path_of(name: str | Path) -> str:
    """Return the path in a name, without options."""
    return _split(str(name))[0]


def merge_named(path: str | Path, given: Mapping[str, Any]) -> tuple[str | Path, dict[str, Any]]:
    """Return the path in a name, and the given arguments merged with those in the name.

    Arguments that are None or empty are omitted.

    Raises
    ------
    UsageError
        See ``parse_name``; also if an argument is given twice.
    """
    arguments = {
        name: value
        for name, value in given.items()
        if value is not None and not (isinstance(value, tuple) and not value)
    }
    if not isinstance(path, str):
        return path, arguments
    bare, named = parse_name(path)
    for name in named:
        if name in arguments:
            raise UsageError(f"{name}: is given as an argument and in {path!r}; leave one out.")
    return bare, named | arguments


def format_name(path: str, arguments: Mapping[str, Any]) -> str:
    """Return the name that ``parse_name`` parses to this path and these arguments."""
    keys = {argument: key for key, argument in _ARGUMENTS.items()}
    parts = []
    for argument, value in arguments.items():
        key = keys[argument]
        for one in value if key in _REPEATED else (value,):
            parts.append(f"{key}={_FORMATTED.get(key, str)(one)}")
    return with_options(path, parts) if parts else path


def _split(name: str) -> tuple[str, str]:
    """Split ``path:rest``, both of which may contain colons; rest is "" if there is none."""
    if Path(name).exists():
        return name, ""
    for at in (i for i, letter in enumerate(name) if letter == ":"):
        if "=" in name[at:] and Path(name[:at]).exists():
            return name[:at], name[at + 1 :]
    path, _, rest = name.rpartition(":")
    return (path, rest) if "=" in rest else (name, "")


def _n_features(number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) < 20):
        raise UsageError(f"'features={number}': expected features=NUMBER, a whole number.")
    return int(number)


def _first_index(number: str) -> bool:
    if number not in ("0", "1"):
        raise UsageError(f"'first={number}': indices are counted from first=0 or first=1.")
    return number == "0"


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise UsageError(f"'header={text}': expected header=yes or header=no.")
    return text == "yes"


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not all(side.isascii() and side.isdigit() and len(side) < 6 for side in (height, width)):
        raise UsageError(f"'resize={text}': expected resize=HEIGHTxWIDTH, such as resize=64x64.")
    return int(height), int(width)


_PARSED: Mapping[str, Any] = {
    "features": _n_features,
    "first": _first_index,
    "header": _yes_or_no,
    "resize": _size,
}

_FORMATTED: Mapping[str, Any] = {
    "first": lambda zero_based: "0" if zero_based else "1",
    "header": lambda header: "yes" if header else "no",
    "resize": lambda size: f"{size[0]}x{size[1]}",
}


def with_options(path: str, options: list[str]) -> str:
    """Return a path followed by options; options with a comma are quoted."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(options)
    return f"{path}:{line.getvalue()}"


def dropping(path: str, *columns: str) -> str:
    """Return the name of a table without some columns, such as t.csv:drop=a,drop=b."""
    return with_options(path, [f"drop={column}" for column in columns])
