"""The command line: one file per command. Torch is imported only when a command runs."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import click

from narrows._version import __version__
from narrows.cli._near_names import Commands, with_near_option
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
from narrows.cli.impute import impute
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

__all__ = ["main", "narrows", "run"]

_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="narrows")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def narrows(debug: bool) -> None:
    """Learn short codes for images, documents and tables, and use them.

    `narrows fit` learns a code from data and writes a model file, which most other commands read.
    """


for _command in (
    demo, fit, encode, decode, reconstruct, denoise, inpaint, impute, generate, detector, anomalies,
    evaluate, inspect, index, search, head, predict, match, segment, export, datasets, reproduce,
):  # fmt: skip
    narrows.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code, as ``run`` returns it."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; errors are printed on stderr.

    0: success; 1: unexpected error; 2: usage error; 3: bad input data; 4: bad model file; 5: out
    of memory, or a file cannot be read or written; 6: divergence; 130: Ctrl-C; 143: SIGTERM.
    """
    debug = "--debug" in arguments
    # accepted anywhere, because users append it to a command that has just failed
    arguments = [a for a in arguments if a != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn_once()
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
        # the reader of our output has exited, which is no error; silence the final flush, too
        sys.stdout = None  # pyright: ignore[reportAttributeAccessIssue]
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)


def _warn_once() -> Callable[..., None]:
    """Return a function that prints warnings on stderr, each text once per command."""
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
        click.echo(
            "Error: out of memory; use smaller batches, or a format that is streamed, .npy or "
            ".parquet.",
            err=True,
        )
        return 5
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        click.echo(f"Error: {error.filename}: {error.strerror}.", err=True)
        return 5
    if isinstance(error, OSError):
        click.echo(f"Error: {error}", err=True)
        return 5
    click.echo(
        f"Unexpected {type(error).__name__}: {error}\n"
        "This is a bug in Narrows; run again with --debug and report what it prints.",
        err=True,
    )
    return 1
