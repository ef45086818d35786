"""Detect whether the first line of a table is a header, and fit rows to its width."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from narrows.errors import InvalidData

__all__ = [
    "LOOKED_AT",
    "cells_of_width",
    "column_names",
    "counted_from",
    "fitted_to",
    "is_counting",
    "is_header_of_numbers",
    "may_be_header",
]

LOOKED_AT = 20
"""Number of lines below the first that are inspected."""

_FEW, _MANY, _BELOW = 3, 8, 2

Parse = Callable[[str], float | None]


def is_header_of_numbers(
    first: Sequence[str], below: Sequence[Sequence[str]], parse: Parse
) -> bool:
    """Return whether a first line of numbers is a header, such as years, bins or wavelengths.

    It is if it counts from 0 or 1, as pandas writes names. With at least two lines below, it also
    is if its numbers rise and differ in kind from those of the next 20 lines: either they are 3 or
    more whole numbers in equal steps, and the lines below have fractions or none of the numbers is
    in the range of the column below it; or they are 8 or more numbers, and no line below rises.
    """
    start = counted_from(first)
    named = list(first[start:])
    if len(named) < _FEW:
        return False
    if is_counting(first):
        return True
    values = _rising(named, parse)
    if values is None or len(below) < _BELOW:
        return False
    rows = [[parse(cell) for cell in row[start:]] for row in below]
    if len(values) >= _MANY and all(_rising(row[start:], parse) is None for row in below):
        return True
    steps = {b - a for a, b in zip(values, values[1:], strict=False)}
    if len(steps) > 1 or not all(cell.strip().lstrip("-").isdigit() for cell in named):
        return False
    numbers = [number for row in rows for number in row if number is not None and number == number]
    if any(not number.is_integer() for number in numbers):
        return True
    columns = zip(*rows, strict=False)  # limited to the shortest row
    return all(_outside(value, column) for value, column in zip(values, columns, strict=False))


def may_be_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line that is not detected as a header may still be one.

    It may if it counts, in one or two columns, and all numbers below have a fraction or exponent.
    """
    start = counted_from(first)
    cells = [cell for row in below for cell in row[start:] if cell.strip()]
    return (
        is_counting(first)
        and len(below) >= _BELOW
        and bool(cells)
        and not any(cell.strip().lstrip("+-").isdigit() for cell in cells)
    )


def counted_from(first: Sequence[str]) -> int:
    """Return the index of the first name; pandas writes none above its row numbers."""
    return 0 if first[0].strip() else 1


def is_counting(first: Sequence[str]) -> bool:
    """Return whether a line counts from 0 or 1."""
    named = [cell.strip() for cell in first[counted_from(first) :]]
    return any(named == [str(i + low) for i in range(len(named))] for low in (0, 1))


def _outside(value: float, column: Sequence[float | None]) -> bool:
    known = [number for number in column if number is not None and number == number]
    return bool(known) and not min(known) <= value <= max(known)


def _rising(cells: Sequence[str], parse: Parse) -> list[float] | None:
    """Return the numbers in cells if they rise strictly, else None."""
    values = [parse(cell) for cell in cells]
    numbers = [value for value in values if value is not None and value == value]
    rising = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    return numbers if rising and len(numbers) == len(cells) else None


def fitted_to(cells: list[str], width: int, unnamed: int) -> list[str]:
    """Return the cells of a row without empty cells after the first ``width``.

    A row that lacks some of the last ``unnamed`` columns gets empty cells.
    """
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    lacking = width - len(cells)
    return cells + [""] * lacking if 0 < lacking <= unnamed else cells


def column_names(cells: Sequence[str]) -> list[str]:
    """Return the names in a header, without empty names at the end."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def cells_of_width(cells: list[str], width: int, where: str) -> list[str]:
    """Return the cells of a row without empty cells at the end.

    Raises
    ------
    InvalidData
        If there are not ``width`` cells; the message begins with ``where``.
    """
    cells = fitted_to(cells, width, 0)
    if len(cells) != width:
        raise InvalidData(f"{where}: expected {width} cells, got {len(cells)}.")
    return cells
