"""The contracts of the five slots, and the records that pass between them.

    J(x) = L( x, g( f( x~ ) ) ) + sum of Omega

A corruption makes x~, an encoder is f, a decoder is g, a loss is L, a penalty is an Omega.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Outputs, PerSample, Scalar
from narrows.errors import UsageError, unknown_name
from narrows.sparse import Rows, SparseRows, dense_rows

__all__ = [
    "Code",
    "Corrupted",
    "Corruption",
    "Decoder",
    "Encoder",
    "Forward",
    "GaussianPosterior",
    "Labelled",
    "Loss",
    "Penalty",
    "Rows",
    "SparseRows",
    "dense_rows",
    "piece_from_spec",
    "piece_to_spec",
]


@dataclass(frozen=True)
class Labelled:
    """A batch with what is known of each row beside x: ``y`` (batch,), classes or values."""

    rows: Rows
    y: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: str | torch.device) -> Labelled:
        return Labelled(self.rows.to(device), self.y.to(device))


@dataclass(frozen=True)
class Corrupted:
    """What a corruption returns: x~, and how much each feature counts in the loss.

    ``weights`` (batch, features) is None where all count alike.
    """

    rows: Rows
    weights: Tensor | None = None


@dataclass(frozen=True)
class GaussianPosterior:
    """q(h | x): independent normals, ``mean`` and ``log_variance`` (batch, components)."""

    mean: Codes
    log_variance: Codes

    def kl_per_component(self) -> Codes:
        """Return KL(q || N(0, 1)) of every component, (batch, components), in nats."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def at(self, e: Codes) -> Codes:
        """Return mean + deviation * e, (batch, components)."""
        return self.mean + (0.5 * self.log_variance).exp() * e

    def draw(self, *, generator: Generator) -> Codes:
        """Return one h of every row's q(h | x), (batch, components)."""
        return self.at(torch.empty_like(self.mean).normal_(generator=generator))


@dataclass(frozen=True)
class Code:
    """What an encoder returns: the code h, and a posterior where there is one.

    ``drive`` (batch, components) is what went into the code's own non-linearity or selection.
    """

    h: Codes
    posterior: GaussianPosterior | None = None
    drive: Codes | None = None


@dataclass(frozen=True)
class Forward:
    """One pass through the formula, as the penalties read it."""

    x: Rows
    corrupted: Rows
    code: Code
    output: Outputs
    encoder: Encoder
    decoder: Decoder
    y: Tensor | None = None
    generator: Generator | None = None


@runtime_checkable
class Corruption(Protocol):
    """x -> x~. Where ``admits_missing``, x may hold NaN: it counts in no loss, and reads as
    the corruption's ``fill``, 0 where it has none."""

    @property
    def admits_missing(self) -> bool: ...

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted: ...


class Encoder(nn.Module, ABC):
    """f: rows to a code record. Random only where a generator is given: in training.

    ``stochastic`` says that the code itself is then random, and not only what goes in.
    """

    stochastic: bool = False
    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code: ...

    @abstractmethod
    def layers(self, x: Rows) -> list[Tensor]:
        """Return every layer's activations, the code last."""

    @property
    def widths(self) -> list[int]:
        """Activations of every layer of ``layers``, the code last."""
        return [weight.shape[1] for weight in self.weights]

    def admissible(self, h: Codes) -> Codes:
        """Return what is nearest to h among the codes that f gives; here h itself."""
        return h

    def start_at(self, mean: Tensor) -> None:
        """Use the mean of the scaled data, (features,), before training."""


class Decoder(nn.Module, ABC):
    """g: codes to natural parameters (means or logits), never past a link."""

    weights: nn.ParameterList
    biases: nn.ParameterList

    @abstractmethod
    def forward(self, h: Codes) -> Outputs: ...

    def before_step(self) -> None:
        """Change the gradients of a constrained decoder before the weights move."""

    def after_step(self) -> None:
        """Put the weights of a constrained decoder back where they belong."""


@runtime_checkable
class Loss(Protocol):
    """L(x, output) per sample: summed over features, each times its weight where there are any.

    The loss owns the link.

    ``log_normaliser`` is what turns the loss into a density: log p(x | h) = -L - log_normaliser,
    (batch,); it raises InvalidData where x has no such probability.

    ``bounded`` says whether ``check`` refuses some finite values.
    """

    @property
    def unit(self) -> str: ...

    @property
    def bounded(self) -> bool: ...

    def check(self, x: Rows) -> None: ...

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample: ...

    def log_normaliser(self, x: Rows) -> PerSample: ...

    def expectation(self, output: Outputs) -> Outputs: ...

    def fitted(self, output: Outputs, x: Rows) -> Outputs: ...

    def natural(self, mean: Tensor) -> Tensor: ...


@runtime_checkable
class Penalty(Protocol):
    """Omega: a scalar, averaged over the batch, in the unit of the loss.

    One that has weights of its own is also an ``nn.Module``, and trains with the net.
    """

    def __call__(self, step: Forward) -> Scalar: ...


def piece_to_spec(table: Mapping[str, Callable[..., Any]], piece: object) -> dict[str, Any]:
    """Return the JSON values that rebuild a piece: its name in the table, and its fields."""
    for name, kind in table.items():
        if type(piece) is kind:
            assert is_dataclass(piece)
            values = {f.name: getattr(piece, f.name) for f in fields(piece)}
            # NumPy's numbers are not JSON's
            values = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
            return {"name": name, **values}
    known = ", ".join(kind.__name__ for kind in table.values())
    raise UsageError(f"expected one of {known}, got {piece!r}.")


def piece_from_spec(
    table: Mapping[str, Callable[..., Any]], spec: str | Mapping[str, Any], *, slot: str
) -> Any:
    """Build a piece from its spec, from its bare name, or from name:value or name:field=value.

    Raises
    ------
    UsageError
        If the name is not in the table, or a value does not fit the piece.
    """
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
    """Read ``0.25`` or ``0.25,3`` as a piece's first fields, in order, ``flip=0.5`` as that one."""
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
