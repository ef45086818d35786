"""The option ``--set NAME=VALUE``: parameters that have no option of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

__all__ = ["read_settings", "set_option"]

_ELSEWHERE = {
    "random_state": "--seed NUMBER says it",
    "verbose": "progress is shown, unless --quiet",
}
"""The parameters that every command with ``--set`` has options for, and which."""


def set_option(what: str) -> Callable[[Any], Any]:
    """Return --set, which gives the command ``settings``; ``what`` says what of, with examples."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help=f"{what}; may be repeated.",
    )


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values by their names, each none, JSON where it is, text otherwise.

    Of a name that is given twice the last counts.

    Raises
    ------
    UsageError
        If a text is no NAME=VALUE, or says what an option says that could say another thing.
    """
    return dict(_setting(text) for text in texts)


def _setting(text: str) -> tuple[str, Any]:
    from narrows.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set: expected NAME=VALUE, got {text!r}.")
    name = name.replace("-", "_")
    if name in _ELSEWHERE:
        raise UsageError(f"--set {name}: {_ELSEWHERE[name]}.")
    if value in ("none", "None"):
        return name, None
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
