"""Refuse regular expressions that could take exponential time, by their parse tree.

All accepted patterns match in time linear in the length of a text, so a hostile pattern in a model
file does no harm. The rule: a part that may fail must not follow a repetition (*, +, {2,9}); only
optional parts, the end of the pattern, or \\b after non-space characters may. Look-around,
references to groups and atomic groups are refused. Alternatives and optional parts may combine in
at most 1,000 ways, and the shortest match may have at most 50 characters.
"""

from __future__ import annotations

import re
from re import _constants as sre  # pyright: ignore[reportAttributeAccessIssue] -- not in its stubs
from re import _parser  # pyright: ignore[reportAttributeAccessIssue] -- not in its stubs
from typing import Any

from narrows.errors import UsageError

__all__ = ["MAX_PATTERN", "check_pattern"]

MAX_PATTERN = 200
_MAX_WIDTH = 50
_MAX_WAYS = 1000
_SPACES = " \t\n\r\x0b\x0c\x1c\x85\xa0\u2003\u3000"
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY, sre.AT)
_CATEGORIES = {
    sre.CATEGORY_WORD: False,
    sre.CATEGORY_DIGIT: False,
    sre.CATEGORY_SPACE: True,
    sre.CATEGORY_NOT_WORD: True,
    sre.CATEGORY_NOT_DIGIT: True,
    sre.CATEGORY_NOT_SPACE: False,
}
"""Whether a category contains space characters."""


def check_pattern(pattern: Any) -> re.Pattern[str]:
    """Compile the regular expression of a word.

    Raises
    ------
    UsageError
        If it is not a regular expression, is longer than 200 characters, has more than one group,
        or may not match in linear time.
    """
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise UsageError(
            f"token_pattern: must be a regular expression of at most {MAX_PATTERN} characters, "
            f"got {pattern!r:.60}."
        )
    try:
        tree = _parser.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"token_pattern: not a regular expression: {error}, {pattern!r}."
        ) from None
    if compiled.groups > 1:
        raise UsageError(
            f"token_pattern: at most one group, got {compiled.groups} in {pattern!r}; write the "
            "others as (?:...)."
        )
    try:
        _ways(list(tree), [])
        if tree.getwidth()[0] > _MAX_WIDTH:
            raise _Refused(f"it matches nothing shorter than {tree.getwidth()[0]} characters")
    except _Refused as error:
        raise UsageError(
            f"token_pattern: {pattern!r} could take forever on some texts: {error}. Nothing that "
            r"may fail can follow a repetition, except \b after non-space characters, as in "
            r"'[a-z]+' or '\b\w\w+\b'."
        ) from None
    return compiled


class _Refused(Exception):
    pass


def _ways(items: list[Any], after: list[Any]) -> int:
    """Return the maximum number of ways in which a sequence can match at a position.

    ``after`` is everything that follows the sequence in the pattern. Too many ways are refused.
    """
    ways = 1
    for place, (operator, argument) in enumerate(items):
        rest = [*items[place + 1 :], *after]
        if operator in _SINGLE:
            continue
        if operator is sre.SUBPATTERN:
            ways *= _ways(list(argument[-1]), rest)
        elif operator is sre.BRANCH:
            ways *= sum(_ways(list(branch), rest) for branch in argument[1])
        elif operator in _REPEATS:
            low, high, body = argument
            ways *= _ways_to_repeat(low, high, body, rest)
        else:
            raise _Refused(f"{str(operator).lower()} is not allowed")
        if ways > _MAX_WAYS:
            raise _Refused(f"its parts can be combined in more than {_MAX_WAYS} ways")
    return ways


def _ways_to_repeat(low: int, high: Any, body: Any, rest: list[Any]) -> int:
    items = list(body)
    if high == 1:
        return 1 + _ways(items, rest) if low == 0 else _ways(items, rest)
    if low == high:
        if low > _MAX_WIDTH:
            raise _Refused(f"it repeats something {low} times")
        one = _ways(items, [*items, *rest])
        return one**low
    for operator, argument in rest:
        if operator in _REPEATS and argument[0] == 0:
            continue
        boundary = operator is sre.AT and argument is sre.AT_BOUNDARY
        if not (boundary and len(items) == 1 and _never_space(*items[0])):
            raise _Refused("something that may fail follows a repetition")
    return _ways(items, [(sre.MAX_REPEAT, (0, high, body)), *rest])


def _never_space(operator: Any, argument: Any) -> bool:
    """Return whether a part matches exactly one non-space character."""
    if operator is sre.LITERAL:
        return chr(argument) not in _SPACES
    if operator is not sre.IN:
        return False
    negated = argument[0][0] is sre.NEGATE
    members = argument[1:] if negated else argument
    return all(any(_has(space, *m) for m in members) == negated for space in _SPACES)


def _has(character: str, operator: Any, argument: Any) -> bool:
    if operator is sre.LITERAL:
        return ord(character) == argument
    if operator is sre.RANGE:
        return argument[0] <= ord(character) <= argument[1]
    return _CATEGORIES[argument]
