"""Suggest near names for unknown commands, options and choices."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from narrows.errors import did_you_mean, near_name

__all__ = ["ALIASES", "Commands", "Names", "with_near_option"]

ALIASES = {
    "classify": "predict",
    "cluster": "encode",
    "compress": "encode",
    "detect": "anomalies",
    "download": "datasets",
    "embed": "encode",
    "eval": "evaluate",
    "fill": "inpaint",
    "imputing": "impute",
    "info": "inspect",
    "outliers": "anomalies",
    "query": "search",
    "rebuild": "reconstruct",
    "sample": "generate",
    "score": "evaluate",
    "show": "inspect",
    "test": "evaluate",
    "train": "fit",
    "transform": "encode",
}
"""The command to suggest for names of our methods and of other tools' commands."""


class Commands(click.Group):
    """A group that suggests commands for an unknown name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            near = self._near(args[0])
            if not near:
                raise
            shown = " or ".join(
                f"{c.name!r} ({c.get_short_help_str(100).rstrip('.')})" for c in near
            )
            raise click.UsageError(
                f"No such command {args[0]!r}. Did you mean {shown}?", ctx
            ) from None

    def _near(self, name: str) -> list[click.Command]:
        known = {**{n: n for n in self.commands}, **ALIASES}
        near = [name] if name in known else get_close_matches(name, known, n=2)
        commands = dict.fromkeys(known[other] for other in near)
        return [self.commands[command] for command in commands if command in self.commands]


class Names(click.Choice):
    """A choice that suggests the nearest name for an unknown one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = did_you_mean(value, map(str, self.choices))
            raise click.BadParameter(f"{error.message}{hint}", ctx=ctx, param=param) from None


def with_near_option(error: click.NoSuchOption) -> click.NoSuchOption:
    """Return the error with the nearest option in its message."""
    if error.ctx is None:
        return error
    spellings = {
        opt.lstrip("-"): opt
        for param in error.ctx.command.params
        if isinstance(param, click.Option)
        for opt in (*param.opts, *param.secondary_opts)
    }
    near = near_name(error.option_name.lstrip("-").partition("=")[0], spellings)
    if near is None:
        return click.NoSuchOption(error.option_name, ctx=error.ctx)
    # in the message, because click shows only possibilities that are spelled alike
    text = f"{error.message} Did you mean '{spellings[near]}'?"
    return click.NoSuchOption(error.option_name, text, ctx=error.ctx)
