"""Adapt user-defined pieces to the slots, and save and restore them by name.

A piece that is not in a slot's table is used as it is. A model file names the class that it was
made of, ``module:class``, and ``load(path, pieces=[...])`` is given that class or an instance:
nothing that a file names is ever imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Outputs
from narrows.core.slots import Code, Corrupted, Decoder, Encoder, Loss
from narrows.core.sparse import Rows, dense_rows
from narrows.errors import ModelFileError, UsageError

__all__ = [
    "SLOTS",
    "adapted",
    "check_own_shapes",
    "is_own",
    "json_pieces",
    "own_spec",
    "rebuilt",
    "with_custom_pieces",
]

SLOTS = ("augmentation", "corruption", "decoder", "encoder", "loss", "penalties")
"""The parameters that may hold pieces."""


@dataclass(frozen=True)
class _OwnCorruption:
    """A function (x, generator=...) -> x~ as a corruption."""

    function: Any

    @property
    def admits_missing(self) -> bool:
        return bool(getattr(self.function, "admits_missing", False))

    @property
    def fill(self) -> float:
        return getattr(self.function, "fill", 0.0)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        rows = self.function(x, generator=generator)
        return rows if isinstance(rows, Corrupted) else Corrupted(rows)


class _OwnModule(nn.Module):
    """Calls a user's module; one whose parameters are all frozen stays in evaluation mode."""

    module: nn.Module

    def train(self, mode: bool = True) -> Any:
        some = [p.requires_grad for p in self.parameters()]
        return super().train(mode and (any(some) or not some))

    def _call(self, x: Tensor) -> Any:
        if not (self.training and len(x) == 1):
            return self.module(x)
        self.module.eval()  # batch normalization knows no variance of one row
        try:
            return self.module(x)
        finally:
            self.module.train()


class ModuleEncoder(_OwnModule, Encoder):
    """Any module from dense rows (batch, n_features) to codes (batch, n_components)."""

    def __init__(self, module: nn.Module, n_components: int) -> None:
        super().__init__()
        self.module = module
        self.n_components = n_components
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()

    @property
    def widths(self) -> list[int]:
        return [self.n_components]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        code = self._call(dense_rows(x))
        return code if isinstance(code, Code) else Code(code)

    def layers(self, x: Rows) -> list[Tensor]:
        return [self(x).h]


class ModuleDecoder(_OwnModule, Decoder):
    """Any module from codes (batch, n_components) to natural parameters (batch, n_features)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()

    def forward(self, h: Codes) -> Outputs:
        return self._call(h)


def adapted(slot: str, piece: Any, *, n_components: int = 0) -> Any:
    """Return a copy of a user's piece as the objective takes it.

    The copy is what trains: a piece that is given to two fits starts alike in both.

    Raises
    ------
    UsageError
        If it cannot be in the slot.
    """
    if isinstance(piece, type):
        raise UsageError(f"{slot}: give an instance, {piece.__name__}(), not the class itself.")
    needed = {
        "encoder": (nn.Module, "an nn.Module from rows to codes"),
        "decoder": (nn.Module, "an nn.Module from codes to rows"),
        "loss": (Loss, "a narrows.Loss (subclass it and define per_sample)"),
    }.get(slot)
    if needed is not None and not isinstance(piece, needed[0]):
        raise UsageError(f"{slot}: must be a known name, or {needed[1]}, got {piece!r}.")
    if needed is None and not callable(piece):
        raise UsageError(f"{slot}: must be a known name or piece, or callable, got {piece!r}.")
    piece = deepcopy(piece)
    if slot == "encoder":
        return piece if isinstance(piece, Encoder) else ModuleEncoder(piece, n_components)
    if slot == "decoder":
        return piece if isinstance(piece, Decoder) else ModuleDecoder(piece)
    if slot == "corruption" and not hasattr(piece, "admits_missing"):
        return _OwnCorruption(piece)
    return piece


def is_own(value: Any) -> bool:
    """Return whether a JSON value names a user's piece."""
    return isinstance(value, Mapping) and ":" in str(value.get("name", ""))


def own_spec(piece: Any, *, strict: bool = True) -> dict[str, Any]:
    """Return the name of a user's piece, and the arguments of its class, as JSON values.

    The arguments are the fields of a dataclass, or what a method ``to_spec`` returns.

    Raises
    ------
    UsageError
        If ``strict`` and the piece has no name that it can be found by, or an argument is not a
        JSON value.
    """
    kind = piece if inspect.isfunction(piece) else type(piece)
    name = f"{kind.__module__}:{kind.__qualname__}"
    if strict and "<" in name:
        raise UsageError(
            f"save: {kind.__qualname__} is defined inside a function, and a model file needs a "
            "name to find it by; define it at the top level of a module."
        )
    values: dict[str, Any] = {}
    to_spec = getattr(piece, "to_spec", None)
    if to_spec is not None:
        values = dict(to_spec())
    elif is_dataclass(piece):
        values = {f.name: getattr(piece, f.name) for f in fields(piece) if f.init}
    for key, value in values.items():
        if not isinstance(value, str | int | float | bool | list | tuple | None):
            if strict:
                raise UsageError(
                    f"save: {kind.__qualname__}.{key} is {value!r}, not a JSON value; keep "
                    "numbers, texts and lists as fields, or define to_spec()."
                )
            values[key] = repr(value)
    return {"name": name, **values}


def json_pieces(
    parameters: Mapping[str, Any], *, strict: bool = True, modules: bool = True
) -> dict[str, Any]:
    """Return parameters in which users' pieces are replaced by their specs.

    ``modules`` False leaves out the module of a piece, which is another one in another program.
    """

    def json(value: Any) -> Any:
        if value is None or isinstance(value, str | int | float | bool | Mapping):
            return value
        spec = own_spec(value, strict=strict)
        return spec if modules else {**spec, "name": spec["name"].rpartition(":")[2]}

    found = dict(parameters)
    for slot in SLOTS:
        value = found.get(slot)
        if isinstance(value, list | tuple):
            found[slot] = [json(item) for item in value]
        elif slot in found:
            found[slot] = json(value)
    return found


def with_custom_pieces(parameters: Mapping[str, Any], pieces: Iterable[Any]) -> dict[str, Any]:
    """Return parameters of a file in which specs of users' pieces are replaced by pieces.

    Raises
    ------
    ModelFileError
        If a piece was not given, or cannot be made of its arguments.
    """
    given = list(pieces)

    def piece(value: Any) -> Any:
        return _made(value, given) if is_own(value) else value

    found = dict(parameters)
    for slot in SLOTS:
        value = found.get(slot)
        if isinstance(value, list):
            found[slot] = [piece(item) for item in value]
        elif slot in found:
            found[slot] = piece(value)
    return found


def rebuilt(spec: Mapping[str, Any], pieces: Iterable[Any]) -> dict[str, Any]:
    """Return a model file's spec in which users' pieces stand in their slots.

    Raises
    ------
    ModelFileError
        As ``with_custom_pieces``.
    """
    new, given = dict(spec), list(pieces)
    for part in ("parameters", "arguments"):
        if isinstance(new.get(part), dict):
            new[part] = with_custom_pieces(new[part], given)
    if isinstance(new.get("head"), dict):
        new["head"] = rebuilt(new["head"], given)
    if isinstance(new.get("members"), list):
        new["members"] = [rebuilt(m, given) if isinstance(m, dict) else m for m in new["members"]]
    return new


def _made(spec: Mapping[str, Any], pieces: list[Any]) -> Any:
    """Return the piece that a spec names, of the classes, functions and instances given."""
    arguments = {key: value for key, value in spec.items() if key != "name"}
    name, short = str(spec["name"]), str(spec["name"]).rpartition(":")[2]

    def named(piece: Any) -> tuple[str, str]:
        kind = piece if isinstance(piece, type) or inspect.isfunction(piece) else type(piece)
        return f"{kind.__module__}:{kind.__qualname__}", kind.__qualname__

    found = [p for p in pieces if named(p)[0] == name] or [
        p for p in pieces if named(p)[1] == short
    ]
    if not found:
        raise ModelFileError(
            f"holds a piece of your own, {name}; import it and give it: "
            f"load(path, pieces=[{short}])."
        )
    piece = found[0]
    if not isinstance(piece, type):
        return piece
    try:
        return piece(**arguments)
    except TypeError as error:
        raise ModelFileError(
            f"{short}: {error}; give an instance: load(path, pieces=[{short}(...)])."
        ) from None


@torch.no_grad()
def check_own_shapes(encoder: Encoder, decoder: Decoder, n_features: int) -> None:
    """Check the shapes that a user's encoder and decoder return, on rows of zeros.

    Raises
    ------
    UsageError
    """
    if isinstance(encoder, ModuleEncoder):
        h = encoder.eval()(torch.zeros(2, n_features)).h
        wanted = (2, encoder.n_components)
        if not isinstance(h, Tensor) or tuple(h.shape) != wanted:
            raise UsageError(
                f"encoder: must return codes of shape (batch, n_components={wanted[1]}) for rows "
                f"(batch, {n_features}), got {_shape(h)}."
            )
    if isinstance(decoder, ModuleDecoder):
        output = decoder.eval()(torch.zeros(2, encoder.widths[-1]))
        if not isinstance(output, Tensor) or tuple(output.shape) != (2, n_features):
            raise UsageError(
                f"decoder: must return rows of shape (batch, {n_features}) for codes (batch, "
                f"{encoder.widths[-1]}), got {_shape(output)}."
            )
    encoder.train()
    decoder.train()


def _shape(value: Any) -> str:
    return f"{tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
