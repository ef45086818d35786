"""Write the files generated from the catalog: `python docs/make_tables.py`.

These are the README's table of variants, taken from their docstrings, and the types of the public
names, `src/narrows/__init__.pyi`, for editors and type checkers.

The docstring of a variant's module gives its name and meaning in the first line, its paper as
`Author (year), "title"`, and its slots in indented lines.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

from narrows.catalog import HOMES, VARIANTS
from narrows.variants.building import builder_of

README = Path(__file__).parents[1] / "README.md"
STUB = README.parent / "src" / "narrows" / "__init__.pyi"
BEGIN = "<!-- variants: written by docs/make_tables.py -->"
END = "<!-- end of variants -->"

_PAPER = re.compile(r'([A-Z][\w .,;:\'-]*?) \(((?:19|20)\d\d)\), "([^"]+)"')
_SLOT = re.compile(r"^    (corrupt|encoder|decoder|loss|penalty)\w* +(.+?)(?: {2,}.*)?$", re.M)


def row(name: str, estimator: str, docstring: str) -> str:
    """Return a variant's row of the table.

    Raises
    ------
    ValueError
        If the docstring names no paper or no slot.
    """
    # indented lines list the slots, the others are prose
    prose = " ".join(re.sub(r"^    .*$", "", docstring, flags=re.M).split())
    papers, slots = _PAPER.findall(prose), _SLOT.findall(docstring)
    if not papers or not slots:
        missing = "indented line of a slot" if papers else 'paper, as Author (year), "title"'
        raise ValueError(f"variants/{name}.py: the docstring has no {missing}.")
    authors, year, title = papers[0]
    authors = re.split(r"[.;:] (?=[A-Z])", authors)[-1].split(", ")  # drop the preceding sentence
    who = authors[0] if len(authors) == 1 else " and ".join(authors[:2])
    who = f"{authors[0]} et al." if len(authors) > 2 else who
    chosen = "; ".join(f"{slot} {value}" for slot, value in slots).replace("|", r"\|")
    short = title.partition(":")[0].rstrip(",")
    meaning = docstring.splitlines()[0].partition(": ")[2].rstrip(".").replace("|", r"\|")
    return f"| `{name}` | {estimator} | {meaning} | {chosen} | {year} | {who}, *{short}* |"


def estimator(name: str) -> str:
    """Return the Python expression for the variant that `narrows fit --variant` builds."""
    chosen = VARIANTS[name]
    settings = ", ".join(f"{key}={value!r}" for key, value in chosen.arguments.items())
    return f"`{chosen.estimator}({settings})`" if settings else f"`{chosen.estimator}`"


def docstring(name: str) -> str:
    """Return the docstring of the variant's module, or of its estimator's if it has none."""
    chosen = VARIANTS[name]
    if chosen.builder:
        return import_module(HOMES[chosen.estimator]).__doc__ or ""
    module = inspect.getmodule(builder_of(name))
    return (module and module.__doc__) or ""


def variants_table() -> str:
    """Return the table with its markers."""
    names = ("variant", "estimator", "description", "slots", "year", "paper")
    lines = [BEGIN, f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for name in sorted(VARIANTS):
        lines.append(row(name, estimator(name), docstring(name)))
    return "\n".join([*lines, END])


def with_table(text: str) -> str:
    """Return the README text with the part between the markers replaced by the current table."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name}: the lines {BEGIN!r} and {END!r} are missing.")
    return before + variants_table() + after


def stub() -> str:
    """Return the stub of the public names, which ``narrows`` imports at first use."""
    lines = ["# Written by docs/make_tables.py.", ""]
    lines += ["from narrows._version import __version__ as __version__"]
    lines += [f"from {home} import {name} as {name}" for name, home in sorted(HOMES.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    STUB.write_text(stub())
    README.write_text(with_table(README.read_text()))
    print(f"{README}: written", file=sys.stderr)
