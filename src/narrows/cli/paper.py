"""The main function of the scripts in papers/: read options, run, print and write the table.

Not a command: `narrows reproduce` starts these scripts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from narrows.cli.choosing import choice_lines
from narrows.errors import NarrowsError, ResourceError, did_you_mean

__all__ = ["columns", "main"]

Table = dict[str, Any]


def main(
    run: Callable[[str, int, Path | None], Table],
    show: Callable[[Table], str],
    *,
    presets: Iterable[str],
    description: str | None,
) -> None:
    """Run an experiment with the options ``--preset``, ``--seed``, ``--output`` and ``--json``.

    ``run`` takes preset, seed and folder (None without ``--output``, else it exists) and returns
    the table, which is printed by ``show`` or as JSON, and written to ``table.json``. The table's
    "choices" are those of a ``Study``. ``--record`` also writes the table to
    ``results/PRESET.json`` beside the script, where the tests compare it with ``expected.toml``.
    """
    parser = argparse.ArgumentParser(description=description)
    known = list(presets)
    parser.add_argument("--preset", type=lambda name: _preset(name, known), default="fast",
                        metavar=f"{{{','.join(known)}}}")  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("--record", action="store_true",
                        help="write the table to results/PRESET.json of the paper")  # fmt: skip
    arguments = parser.parse_args()
    output: Path | None = arguments.output
    try:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
        table = run(arguments.preset, arguments.seed, output)
        # print before writing, so that a full disk does not lose hours of work
        print(json.dumps(table) if arguments.json else _shown(table, show), flush=True)
        if output is not None:
            (output / "table.json").write_text(json.dumps(table, indent=2) + "\n")
        if arguments.record:
            recorded = Path(sys.argv[0]).resolve().parent / "results" / f"{arguments.preset}.json"
            recorded.parent.mkdir(exist_ok=True)
            recorded.write_text(json.dumps(table, indent=2) + "\n")
    except NarrowsError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(ResourceError.exit_code)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    if output is not None:
        print(f"results: {output}", file=sys.stderr)


def _shown(table: Table, show: Callable[[Table], str]) -> str:
    """Return the table as text, with the settings that were chosen."""
    if not table.get("choices"):
        return show(table)
    heading = "chosen on rows split from the training half, before the test half was read:"
    return "\n".join([show(table), "", heading, *choice_lines(table["choices"])])


def _preset(name: str, known: list[str]) -> str:
    if name not in known:
        hint = did_you_mean(name, known)
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}.{hint}")
    return name


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"must be from 0 to {2**32 - 1}, got {seed}")
    return seed


def columns(rows: list[dict[str, Any]], *, digits: int = 2) -> str:
    """Return rows with the same keys as a table; the first column is left-aligned, others right."""
    names = list(rows[0])
    cells = [[_cell(row[name], digits) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = []
    for line in (names, *cells):
        parts = [line[0].ljust(widths[0])]
        parts += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
