"""Detect whether the first line of a CSV file, or of a file of labels, is a header.

A line with a text among numbers names the columns. A line of numbers may do so, too: years, bins,
wavelengths, or 0, 1, 2, ... as pandas writes them. ``has_header`` decides, and warns if in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from narrows.data.readers.cells import as_number, is_missing, is_number, is_text, with_commas
from narrows.errors import HeaderWarning, InvalidData, warn

__all__ = [
    "N_INSPECTED",
    "has_header",
    "is_header_of_labels",
    "is_header_of_numbers",
    "warn_of_header",
    "warn_of_numbers_as_names",
]

N_INSPECTED = 20
"""Number of lines below the first that are inspected."""

_FEW, _MANY, _BELOW = 3, 8, 2

_MANY_NUMBERS = 2
"""A first line may be a row if it has at least this many numbers per text."""

_COUNTS = "it counts 0, 1, 2, ... or 1, 2, 3, ..."
_RISES = "its numbers rise, and differ in kind from those below"


def has_header(path: Path, first: list[str], below: list[list[str]]) -> bool:
    """Return whether the first line names the columns; warn if that is unclear.

    ``below`` are the next ``N_INSPECTED`` lines.

    Raises
    ------
    InvalidData
        If a first line of numbers is a header, and there are no rows below it.
    """
    if any(map(is_text, first)):
        # numbers with commas are not names; they are refused as cells later
        return not all(with_commas(cell) or not is_text(cell) for cell in first)
    names = [cell.strip() for cell in first[_first_name(first) :]]
    line = f"the first line, {_shown(names)},"
    if not is_header_of_numbers(first, below):
        if _may_be_header(first, below):
            warn_of_header(
                f"{path}: {line} was read as data although it looks like 0, 1, 2, ...; pass "
                "header=yes if it names the columns, or header=no to confirm."
            )
        return False
    if not below:
        raise InvalidData(
            f"{path}: no rows: {line} was read as a header; pass header=no if it is data."
        )
    warn_of_header(
        f"{path}: {line} was read as a header: {_COUNTS if _counts(first) else _RISES}; pass "
        "header=no if it is data, or header=yes to confirm."
    )
    return True


def warn_of_numbers_as_names(
    path: Path, first: list[str], features: list[int], *, with_columns: bool
) -> None:
    """Warn if a line that was detected as a header consists mostly of numbers.

    ``features`` are the positions of the features; ``with_columns`` says whether the user named
    columns, which is only possible if there is a header.
    """
    names = [first[i].strip() for i in features]
    texts = [name for name in names if is_text(name)]
    numbers = sum(not is_text(name) and not is_missing(name) for name in names)
    if not numbers or numbers < _MANY_NUMBERS * len(texts):
        return
    if with_columns:
        warn_of_header(
            f"{path}: using {_shown(names)} as column names; pass header=yes to confirm, or add a "
            "line of names above the first line if it is data."
        )
        return
    warn_of_header(
        f"{path}: the first line, {_shown(names)}, was read as a header because {texts[0]!r} is "
        "not a number; pass header=no if it is data (write missing values as nan), or header=yes "
        "to confirm."
    )


def warn_of_header(message: str) -> None:
    warn(message, HeaderWarning)


def is_header_of_numbers(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line of numbers is a header, such as years, bins or wavelengths.

    It is if it counts from 0 or 1, as pandas writes names. With at least two lines below, it also
    is if its numbers rise and differ in kind from those of the next 20 lines: either they are 3 or
    more whole numbers in equal steps, and the lines below have fractions or none of the numbers is
    in the range of the column below it; or they are 8 or more numbers, and no line below rises.
    """
    start = _first_name(first)
    named = list(first[start:])
    if len(named) < _FEW:
        return False
    if _counts(first):
        return True
    values = _rising(named)
    if values is None or len(below) < _BELOW:
        return False
    rows = [[as_number(cell) for cell in row[start:]] for row in below]
    if len(values) >= _MANY and all(_rising(row[start:]) is None for row in below):
        return True
    steps = {b - a for a, b in zip(values, values[1:], strict=False)}
    if len(steps) > 1 or not all(cell.strip().lstrip("-").isdigit() for cell in named):
        return False
    numbers = [number for row in rows for number in row if number is not None and number == number]
    if any(not number.is_integer() for number in numbers):
        return True
    columns = zip(*rows, strict=False)  # limited to the shortest row
    return all(_outside(value, column) for value, column in zip(values, columns, strict=False))


def is_header_of_labels(
    first: list[str], rest: list[list[str]], unknown: str | None = None
) -> bool:
    """Return whether the first line is a header, in a file of labels with one line more than rows.

    It is if every line has a label, and the first line's label occurs on no other line, is neither
    ``unknown`` nor NaN, and is not a number among numbers.
    """
    if len(first) != 1 or not all(rest) or first[0] == unknown or first[0].lower() == "nan":
        return False
    others = {label for labels in rest for label in labels}
    numbers = is_number(first[0]) and any(map(is_number, others))
    return first[0] not in others and not numbers


def _may_be_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line that is not detected as a header may still be one.

    It may if it counts, in one or two columns, and all numbers below have a fraction or exponent.
    """
    start = _first_name(first)
    cells = [cell for row in below for cell in row[start:] if cell.strip()]
    return (
        _counts(first)
        and len(below) >= _BELOW
        and bool(cells)
        and not any(cell.strip().lstrip("+-").isdigit() for cell in cells)
    )


def _first_name(first: Sequence[str]) -> int:
    """Return the index of the first name: 1 if there is none above the row numbers of pandas."""
    return 0 if first[0].strip() else 1


def _counts(first: Sequence[str]) -> bool:
    """Return whether a line counts from 0 or 1."""
    named = [cell.strip() for cell in first[_first_name(first) :]]
    return any(named == [str(i + low) for i in range(len(named))] for low in (0, 1))


def _outside(value: float, column: Sequence[float | None]) -> bool:
    known = [number for number in column if number is not None and number == number]
    return bool(known) and not min(known) <= value <= max(known)


def _rising(cells: Sequence[str]) -> list[float] | None:
    """Return the numbers in cells if they rise strictly, else None."""
    values = [as_number(cell) for cell in cells]
    numbers = [value for value in values if value is not None and value == value]
    rising = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    return numbers if rising and len(numbers) == len(cells) else None


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
