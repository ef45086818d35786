"""The command line: one file a command, torch imported only when a command runs."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import click

from narrows._version import __version__
from narrows.cli._commands import Commands, with_near_option
from narrows.cli.anomalies import anomalies
from narrows.cli.datasets import datasets
from narrows.cli.decode import decode
from narrows.cli.demo import demo
from narrows.cli.denoise import denoise
from narrows.cli.detector import detector
from narrows.cli.encode import encode
from narrows.cli.evaluate import evaluate
from narrows.cli.export import export
from narrows.cli.fit import fit
from narrows.cli.generate import generate
from narrows.cli.head import head
from narrows.cli.index import index
from narrows.cli.inpaint import inpaint
from narrows.cli.inspect import inspect
from narrows.cli.match import match
from narrows.cli.predict import predict
from narrows.cli.reconstruct import reconstruct
from narrows.cli.reproduce import reproduce
from narrows.cli.search import search
from narrows.cli.segment import segment
from narrows.errors import NarrowsError

__all__ = ["main", "narrows"]

_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="narrows")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def narrows(debug: bool) -> None:
    """Learn a short code for images, documents and tables, and put the code to work."""


for _command in (
    demo, fit, encode, decode, reconstruct, denoise, inpaint, generate, detector, anomalies,
    evaluate, inspect, index, search, head, predict, match, segment, export, datasets, reproduce,
):  # fmt: skip
    narrows.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the program and leave with its exit code.

    0 fine, 1 unexpected, 2 usage, 3 bad input data, 4 bad model file, 5 resources, 6 diverged,
    130 Ctrl-C, 143 SIGTERM after a checkpoint.
    """
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    # accepted anywhere: people add it behind a command that has just failed
    arguments = [a for a in arguments if a != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _once()
            result: Any = narrows.main(args=arguments, prog_name="narrows", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.NoSuchOption as error:
        with_near_option(error).show()
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        # the reader of our output has gone: not an error of ours; silence the final flush too
        sys.stdout = None  # pyright: ignore[reportAttributeAccessIssue]
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)


def _once() -> Callable[..., None]:
    """Return what prints a warning to stderr, the same words once in a command."""
    printed: set[str] = set()

    def warn(message: Warning | str, *where: object, **more: object) -> None:
        if str(message) not in printed:
            printed.add(str(message))
            click.echo(f"Warning: {message}", err=True)

    return warn


def _explain(error: Exception) -> int:
    if isinstance(error, NarrowsError):
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        click.echo("Error: out of memory; use smaller batches, or data that stream.", err=True)
        return 5
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        click.echo(f"Error: {error.filename}: {error.strerror}.", err=True)
        return 5
    if isinstance(error, OSError):
        click.echo(f"Error: {error}", err=True)
        return 5
    click.echo(
        f"Unexpected {type(error).__name__}: {error}\n"
        "This is a fault of Narrows; run again with --debug and report what it prints.",
        err=True,
    )
    return 1
