"""Suggest the option, or the choice, that a wrong name may stand for."""

from __future__ import annotations

from typing import Any

import click

from narrows.near_names import did_you_mean, near_name

__all__ = ["Names", "with_near_option"]


class Names(click.Choice):
    """A choice whose error suggests a near name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = did_you_mean(value, map(str, self.choices))
            raise click.BadParameter(f"{error.message}{hint}", ctx=ctx, param=param) from None


def with_near_option(error: click.NoSuchOption) -> click.NoSuchOption:
    """Return the error with the nearest option, by any of its spellings."""
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
