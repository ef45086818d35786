"""What commands are called elsewhere, so that a wrong name is answered with the right one."""

from __future__ import annotations

from difflib import get_close_matches

import click

__all__ = ["Commands"]

_CALLED_HERE = {
    "classify": "predict",
    "cluster": "encode",
    "compress": "encode",
    "detect": "anomalies",
    "download": "datasets",
    "embed": "encode",
    "eval": "evaluate",
    "fill": "inpaint",
    "impute": "inpaint",
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
"""Names from this package's own methods and from other tools, and the commands that do it."""


class Commands(click.Group):
    """A group that answers a wrong name with those that it may stand for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            meant = self._meant(args[0])
            if not meant:
                raise
            shown = " or ".join(
                f"{c.name!r} ({c.get_short_help_str(100).rstrip('.')})" for c in meant
            )
            raise click.UsageError(
                f"No such command {args[0]!r}. Did you mean {shown}?", ctx
            ) from None

    def _meant(self, name: str) -> list[click.Command]:
        called = {**{n: n for n in self.commands}, **_CALLED_HERE}
        near = [name] if name in called else get_close_matches(name, called, n=2)
        found = dict.fromkeys(called[other] for other in near)
        return [self.commands[here] for here in found if here in self.commands]
