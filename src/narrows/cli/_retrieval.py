"""narrows evaluate --retrieval: options, and the way from files to the comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import PATH

if TYPE_CHECKING:
    from narrows.applications.retrieval_comparison import RetrievalComparison
    from narrows.data.source import Source
    from narrows.model import Model

__all__ = ["check_retrieval", "compared", "retrieval_options"]

EVERY = 10


def retrieval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --retrieval and what goes with it to a command."""
    for option in (
        click.option("--figure", type=PATH, help="Where to draw the retrieval curve."),
        click.option("--queries", "every", type=click.IntRange(2), metavar="EVERY",
                     help="One row of so many is a query, the others are searched.  "
                     f"[default: {EVERY}]"),
        click.option("--labels", type=PATH, help="Labels of the rows: .npy, .npz (CSR of several "
                     "a row), or .csv and .txt with a line a row, several separated by ;."),
        click.option("--retrieval", is_flag=True, help="Also how many of the rows retrieved by "
                     "the code share a label with the query, beside LSA and TF-IDF."),
    ):  # fmt: skip
        command = option(command)
    return command


def check_retrieval(
    retrieval: bool, labels: Path | None, every: int | None, figure: Path | None, *inputs: Any
) -> None:
    """Refuse, before any work is done, options that do not go together."""
    if not retrieval:
        for name, value in (("--labels", labels), ("--queries", every), ("--figure", figure)):
            if value is not None:
                raise click.UsageError(f"{name} goes with --retrieval; add it.")
    elif labels is None:
        raise click.UsageError("--retrieval needs --labels: a file with the labels of the rows.")
    if figure is not None:
        from narrows.applications.figures import check_figure_name
        from narrows.applications.output import check_writable

        check_writable(figure, *inputs)
        check_figure_name(figure)


def compared(
    model: Model, source: Source, labels: Path, *, every: int | None, figure: Path | None
) -> RetrievalComparison:
    """Return the comparison on the rows of a source, drawn where ``figure`` says."""
    import numpy as np

    from narrows.applications.coding import codes
    from narrows.applications.retrieval_comparison import compare_retrieval
    from narrows.data.in_memory import rows_in_memory
    from narrows.data.labels import read_labels

    of_rows = read_labels(labels, n_rows=source.n_rows)
    comparison = compare_retrieval(
        np.concatenate(list(codes(model, source))),
        rows_in_memory(source),
        of_rows,
        every=every or EVERY,
    )
    if figure is not None:
        from narrows.applications.figures import save_figure
        from narrows.applications.retrieval_figure import retrieval_figure

        save_figure(retrieval_figure(comparison.results), figure)
    return comparison
