"""Adapt user-defined pieces to the slots, and check them on a few rows before training."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import is_lazy

from narrows._types import Codes, Outputs
from narrows.core.objective import Objective
from narrows.core.slots import Code, Corrupted, Decoder, Encoder, Forward, Loss
from narrows.core.sparse import Rows, dense_rows
from narrows.core.weights import combine_weights, fill_missing
from narrows.errors import NarrowsError, UsageError

__all__ = ["adapted", "check_augmentation", "check_custom_pieces", "check_separate"]


class CustomCorruption(nn.Module):
    """A function or module (x, generator=...) -> x~ as a corruption; it gets a copy of the rows."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    @property
    def admits_missing(self) -> bool:
        return bool(getattr(self.function, "admits_missing", False))

    @property
    def fill(self) -> float:
        return getattr(self.function, "fill", 0.0)

    def forward(self, x: Rows, *, generator: Generator) -> Corrupted:
        rows = self.function(_copied(x), generator=generator)
        return rows if isinstance(rows, Corrupted) else Corrupted(rows)


class _CustomModule(nn.Module):
    """Calls a user's module with a copy of its input, which the module may change in place.

    Its parts whose parameters are all frozen stay in evaluation mode, so that batch normalization
    in them keeps its means.
    """

    module: nn.Module

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        for part in self.module.modules():
            parameters = list(part.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                part.eval()
        return self

    def _call(self, x: Tensor) -> Any:
        if not (self.training and len(x) == 1):
            return self.module(x.clone())
        self.module.eval()  # batch normalization knows no variance of one row
        try:
            return self.module(x.clone())
        finally:
            self.train()


class ModuleEncoder(_CustomModule, Encoder):
    """Any module from dense rows (batch, n_features) to codes (batch, n_components).

    If ``stochastic``, the module returns a ``Code`` with a posterior, and h is drawn from it in
    training.
    """

    def __init__(self, module: nn.Module, n_components: int, *, stochastic: bool = False) -> None:
        super().__init__()
        self.module = module
        self.n_components = n_components
        self.stochastic = stochastic
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()

    @property
    def widths(self) -> list[int]:
        return [self.n_components]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        code = self._call(dense_rows(x))
        if not isinstance(code, Code):
            return Code(code)
        if not self.stochastic or code.posterior is None or generator is None:
            return code
        return Code(code.posterior.draw(generator=generator), code.posterior, code.preactivation)

    def layers(self, x: Rows) -> list[Tensor]:
        return [self(x).h]


class ModuleDecoder(_CustomModule, Decoder):
    """Any module from codes (batch, n_components) to natural parameters (batch, n_features)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()

    def forward(self, h: Codes) -> Outputs:
        return self._call(h)


_NEEDED = {
    "encoder": (nn.Module, "an nn.Module from rows to codes"),
    "decoder": (nn.Module, "an nn.Module from codes to rows"),
    "loss": (Loss, "a narrows.Loss (subclass it and define per_sample)"),
}


def adapted(slot: str, piece: Any, *, n_components: int = 0, stochastic: bool = False) -> Any:
    """Return a copy of a user's piece as the objective takes it.

    The copy is what trains: a piece that is given to two fits starts alike in both.

    Raises
    ------
    UsageError
        If it cannot be in the slot.
    """
    if isinstance(piece, type):
        raise UsageError(f"{slot}: give an instance, {piece.__name__}(), not the class itself.")
    kind, wanted = _NEEDED.get(slot, (object, "callable"))
    if not isinstance(piece, kind) or (slot not in _NEEDED and not callable(piece)):
        raise UsageError(f"{slot}: must be a known name or piece, or {wanted}, got {piece!r}.")
    if isinstance(piece, nn.Module):
        _check_module(slot, piece)
    piece = deepcopy(piece)
    if slot == "encoder" and not isinstance(piece, Encoder):
        return ModuleEncoder(piece, n_components, stochastic=stochastic)
    if slot == "decoder" and not isinstance(piece, Decoder):
        return ModuleDecoder(piece)
    return CustomCorruption(piece) if slot == "corruption" else piece


def _check_module(slot: str, module: nn.Module) -> None:
    """Refuse a module that cannot be copied, has no sizes yet, or lacks a part of its base."""
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            f"{slot}: {name} is a TorchScript module, whose copies do not train; give the module "
            "that it was made of."
        )
    if any(is_lazy(value) for value in (*module.parameters(), *module.buffers())):
        raise UsageError(
            f"{slot}: {name} has lazy layers, whose sizes are unknown before they see a row; pass "
            "a batch through it first, or give the sizes."
        )
    if isinstance(module, Encoder | Decoder):
        missing = [part for part in ("weights", "biases") if not hasattr(module, part)]
        if missing:
            raise UsageError(
                f"{slot}: {name} has no {missing[0]}; set {missing[0]} to an nn.ParameterList, "
                "which may be empty."
            )


def check_separate(encoder: Any, decoder: Any) -> None:
    """Refuse two modules that share a weight: each slot trains its own copy.

    Raises
    ------
    UsageError
    """
    if isinstance(encoder, nn.Module) and isinstance(decoder, nn.Module):
        shared = {id(p) for p in encoder.parameters()} & {id(p) for p in decoder.parameters()}
        if shared:
            raise UsageError(
                "decoder: shares a weight with encoder, but each trains a copy of its own; leave "
                "decoder out, and set tied=True for the transposed weights of a dense encoder."
            )


def _is_custom(piece: Any) -> bool:
    """Return whether a piece of an objective is a user's, adapted or not."""
    adapters = CustomCorruption | ModuleEncoder | ModuleDecoder
    return isinstance(piece, adapters) or type(piece).__module__.partition(".")[0] != "narrows"


def check_custom_pieces(objective: Objective, x: Rows, y: Tensor | None, *, mean: Tensor) -> None:
    """Pass a few scaled rows through a copy of an objective that has pieces of a user.

    Errors then name the slot, and come before training. ``mean`` is that of all scaled rows.

    Raises
    ------
    UsageError
        If a piece fails, or returns another shape or dtype than its slot needs.
    """
    pieces = [objective.corruption, objective.encoder, objective.decoder, objective.loss]
    if not any(map(_is_custom, [*pieces, *objective.penalties])):
        return
    if not any(parameter.requires_grad for parameter in objective.parameters()):
        raise UsageError(
            "encoder: neither encoder nor decoder has a weight to train; unfreeze some with "
            "requires_grad_(True)."
        )
    net, generator = deepcopy(objective).eval(), Generator().manual_seed(0)
    n, n_features = x.shape
    x, known = fill_missing(x, net.corruption)
    corrupted = _tried("corruption", net.corruption, x, generator=generator)
    _check("corruption", "rows", corrupted.rows, (n, n_features))
    code = _tried("encoder", net.encoder, corrupted.rows, generator=generator)
    _check("encoder", "codes", code.h, (n, net.encoder.widths[-1]), torch.float32)
    output = _tried("decoder", net.decoder, code.h)
    _check("decoder", "rows", output, (n, n_features), torch.float32)
    counted = combine_weights(known, corrupted.weights)
    errors = _tried("loss", net.loss.per_sample, output, x, counted)
    _check("loss", "one value per row,", errors, (n,))
    start = _tried("loss", net.loss.inverse_link, mean)
    if not bool(torch.isfinite(start).all()):
        raise UsageError(
            "loss: inverse_link is not finite for the mean of a column, such as 0 of an empty one; "
            "clamp the mean first."
        )
    step = Forward(x, corrupted.rows, code, output, net.encoder, net.decoder, y, generator)
    for penalty in net.penalties:
        _check("penalties", "a scalar,", _tried("penalties", penalty, step), ())


def check_augmentation(augmentation: Any, x: Rows, image_shape: tuple[int, ...] | None) -> None:
    """Pass a few scaled rows through a user's augmentation.

    Raises
    ------
    UsageError
        If it fails, or returns another shape.
    """
    if _is_custom(augmentation):
        generator = Generator().manual_seed(0)
        rows = _tried("augmentation", augmentation, x, image_shape, generator=generator)
        _check("augmentation", "rows", rows, tuple(x.shape), torch.float32)


def _tried(slot: str, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Call a user's piece; errors other than Narrows' own then name the slot and the piece."""
    try:
        return function(*arguments, **more)
    except NarrowsError:
        raise
    except Exception as error:
        piece = getattr(function, "__self__", function)
        piece = getattr(piece, "module", getattr(piece, "function", piece))
        name = getattr(piece, "__name__", type(piece).__name__)
        raise UsageError(
            f"{slot}: {name} fails: {type(error).__name__}: {error}; try it by itself, on a few "
            "scaled rows or, for inverse_link, on their mean."
        ) from error


def _check(
    slot: str, what: str, value: Any, shape: tuple[int, ...], dtype: torch.dtype | None = None
) -> None:
    """Refuse a value of another shape or dtype."""
    found = tuple(value.shape) if hasattr(value, "shape") else None
    if found != shape:
        got = repr(value) if found is None else str(found)
        raise UsageError(f"{slot}: must return {what} of shape {shape}, got {got}.")
    if dtype is not None and value.dtype != dtype:
        raise UsageError(f"{slot}: must return {what} of {dtype}, got {value.dtype}.")


def _copied(x: Rows) -> Rows:
    return x.clone() if isinstance(x, Tensor) else x.with_values(x.values.clone())
