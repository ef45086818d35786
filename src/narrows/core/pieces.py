"""Serialize pieces to JSON, and parse the short form name:value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from narrows.core.custom_pieces import adapted
from narrows.errors import UsageError, unknown_name

__all__ = ["name_of", "piece_from_spec", "piece_to_spec"]


def name_of(spec: Any) -> str:
    """Return the name of a piece's spec; "" of a user's own piece."""
    if isinstance(spec, str):
        return spec.partition(":")[0]
    return str(spec.get("name", "")) if isinstance(spec, Mapping) else ""


def piece_to_spec(table: Mapping[str, Callable[..., Any]], piece: object) -> dict[str, Any]:
    """Return the JSON values that rebuild a piece: its name in the table, and its fields.

    Raises
    ------
    UsageError
        If the piece is not in the table.
    """
    for name, kind in table.items():
        if type(piece) is kind:
            assert is_dataclass(piece)
            values = {f.name: getattr(piece, f.name) for f in fields(piece)}
            # NumPy scalars are not JSON values
            values = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
            return {"name": name, **values}
    known = ", ".join(kind.__name__ for kind in table.values())
    raise UsageError(f"expected one of {known}, got {piece!r}.")


def piece_from_spec(table: Mapping[str, Callable[..., Any]], spec: Any, *, slot: str) -> Any:
    """Build a piece from its spec, from its bare name, or from name:value or name:field=value.

    A piece is returned as it is; of a user's own piece, a copy that fits the slot.

    Raises
    ------
    UsageError
        If the name is not in the table, or a value does not fit the piece.

    Examples
    --------
    >>> from narrows.corruptions import CORRUPTIONS
    >>> piece_from_spec(CORRUPTIONS, "masking:0.5", slot="corruption")
    Masking(alpha=1.0, beta=1.0, rate=0.5)
    >>> piece_to_spec(CORRUPTIONS, CORRUPTIONS["masking"](rate=0.5))
    {'name': 'masking', 'alpha': 1.0, 'beta': 1.0, 'rate': 0.5}
    """
    if not isinstance(spec, str | Mapping):
        return spec if type(spec) in table.values() else adapted(slot, spec)
    if isinstance(spec, str):
        name, _, short = spec.partition(":")
        arguments: dict[str, Any] = {}
        if name in table and short:
            arguments = _short_arguments(table[name], short, slot)
    else:
        arguments = dict(spec)
        name = str(arguments.pop("name", ""))
    if name not in table:
        raise unknown_name(slot, name, table)
    try:
        return table[name](**arguments)
    except TypeError as error:
        raise UsageError(f"{slot} {name!r}: {error}.") from None


def _short_arguments(kind: Callable[..., Any], short: str, slot: str) -> dict[str, Any]:
    """Read ``0.25,3`` as a piece's first fields, in order, and ``flip=0.5`` by name."""
    all_fields = fields(kind)  # pyright: ignore[reportArgumentType] -- all are dataclasses
    names = [f.name for f in all_fields]
    in_order = [f.name for f in all_fields if not f.kw_only]
    if not names:
        raise UsageError(f"{slot}: {short!r}: {kind.__name__} takes no values; leave them out.")
    parts = short.split(",")
    first = [part for part in parts if "=" not in part]
    if first != parts[: len(first)]:
        raise UsageError(f"{slot}: {short!r} has a value without a name after one with a name.")
    for part in first:
        if part in names:
            raise UsageError(f"{slot}: {short!r} gives {part} no value; write {part}=VALUE.")
    if len(first) > len(in_order):
        raise UsageError(f"{slot}: {short!r} has {len(first)} values, at most {len(in_order)} fit.")
    arguments = {name: _number_or_text(v) for name, v in zip(in_order, first, strict=False)}
    for part in parts[len(first) :]:
        name, _, value = part.partition("=")
        if name not in names:
            raise unknown_name(f"{slot} {short!r}", name, names)
        if name in arguments:
            raise UsageError(f"{slot}: {short!r} gives {name} twice.")
        arguments[name] = _number_or_text(value)
    return arguments


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
