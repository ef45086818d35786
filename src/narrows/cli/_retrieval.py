"""narrows evaluate --retrieval and --map: options, and the way from files to the comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import PATH
from narrows.cli._data import label_file

if TYPE_CHECKING:
    from narrows.applications.retrieval.comparison import RetrievalComparison
    from narrows.data.source import Source
    from narrows.model.model import Model

__all__ = ["check_retrieval", "compared", "labels_of", "mapped", "retrieval_options"]

EVERY = 10


def retrieval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --retrieval, --map and what goes with them to a command."""
    for option in (
        click.option("--map", "map_figure", type=PATH, metavar="PNG",
                     help="Where to draw codes of two numbers, beside PCA and LSA, by label."),
        click.option("--figure", type=PATH, help="Where to draw the retrieval curve."),
        click.option("--queries", "every", type=click.IntRange(2), metavar="EVERY",
                     help="One row of so many, drawn at random, is a query, the others are "
                     "searched.  "
                     f"[default: {EVERY}]"),
        click.option("--labels", type=PATH, help="Labels of the rows: .npy, .npz (CSR of several "
                     "a row), or .csv and .txt with a line a row, several separated by ;, "
                     "or a column, y.csv:label=NAME, or .svmlight. Data may bring their own."),
        click.option("--retrieval", is_flag=True, help="Also how many of the rows retrieved by "
                     "the code share a label with the query, beside LSA and TF-IDF of texts, "
                     "PCA and the rows themselves of anything else."),
    ):  # fmt: skip
        command = option(command)
    return command


def check_retrieval(
    retrieval: bool,
    labels: Path | None,
    every: int | None,
    figure: Path | None,
    map_figure: Path | None,
    *inputs: Any,
) -> None:
    """Refuse, before any work is done, options that do not go together."""
    from narrows.figures.saving import check_figure_name
    from narrows.writers.tables import check_writable

    if not retrieval:
        for name, value in (("--queries", every), ("--figure", figure)):
            if value is not None:
                raise click.UsageError(f"{name} goes with --retrieval; add it.")
        if labels is not None and map_figure is None:
            raise click.UsageError("--labels goes with --retrieval or --map; add one.")
    if figure is not None and figure == map_figure:
        raise click.UsageError("--figure and --map name the same file; give each its own.")
    for picture in filter(None, (figure, map_figure)):
        check_writable(picture, *inputs)
        check_figure_name(picture)


def labels_of(opened: Any, labels: Path | None, n_rows: int) -> tuple[Any, list[str] | None]:
    """Return labels from a file or from the documents themselves, and the names of several."""
    from narrows.data.labels import label_matrix, read_labels
    from narrows.text import Documents

    if labels is not None:
        path, column = label_file(labels)
        return read_labels(path, n_rows=n_rows, column=column), None
    if isinstance(opened, Documents) and opened.labeled:
        return label_matrix([list(document.labels) for document in opened])
    brought = getattr(opened, "labels", None)
    if brought is not None:
        if "" in brought:  # a row without a label is like no other
            return label_matrix([[label] if label else [] for label in brought.tolist()])
        return brought, None
    raise click.UsageError(
        "--retrieval and --map need --labels, a file with the rows' labels, or data that bring "
        "their own (a column named as in docs.csv:label=topic, or folders in the folder)."
    )


def _labeled(labels: Any, *parts: Any) -> tuple[Any, ...]:
    """Return labels and rows of the rows that have a label."""
    import numpy as np
    import scipy.sparse as sp

    from narrows.errors import InvalidData

    if not sp.issparse(labels):
        return labels, *parts
    there = np.flatnonzero(np.diff(labels.indptr))
    if len(there) < 2:
        raise InvalidData("labels: fewer than two rows have any.")
    if len(there) < labels.shape[0]:
        click.echo(f"{labels.shape[0] - len(there)} rows without a label are left out.", err=True)
    return tuple(part[there] for part in (labels, *parts))


def compared(
    model: Model, source: Source, labels: Any, *, every: int | None, figure: Path | None
) -> RetrievalComparison:
    """Return the comparison on the rows of a source, drawn where ``figure`` says."""
    import numpy as np

    from narrows.applications.retrieval.baselines import comparable_rows
    from narrows.applications.retrieval.comparison import compare_retrieval
    from narrows.applications.retrieval.lookup import index_codes

    found = index_codes(model, source)
    codes, rows = found.codes, comparable_rows(model, source)
    if found.empty.any():
        there = np.flatnonzero(~found.empty)
        labels, codes, rows = (part[there] for part in (labels, codes, rows))
        click.echo(f"{found.empty.sum()} rows without a known word are left out.", err=True)
    labels, codes, rows = _labeled(labels, codes, rows)
    counts = model.scaling.shares
    comparison = compare_retrieval(codes, rows, labels, every=every or EVERY, counts=counts)
    if figure is not None:
        from narrows.figures.retrieval import retrieval_figure
        from narrows.figures.saving import save_figure

        save_figure(retrieval_figure(comparison.results), figure)
    return comparison


def mapped(
    model: Model, source: Source, labels: Any, names: list[str] | None, figure: Path
) -> dict[str, float]:
    """Draw the codes beside linear maps; return each one's accuracy in the plane."""
    import numpy as np

    from narrows.applications.retrieval.baselines import (
        comparable_rows,
        lsa_codes,
        pca_codes,
        principal_components,
    )
    from narrows.errors import UsageError
    from narrows.figures.maps import map_figure, plane_accuracy
    from narrows.figures.saving import save_figure
    from narrows.model.coding import codes

    if model.n_components != 2:
        raise UsageError(
            f"--map: the code has {model.n_components} numbers; fit one of 2 (--code 2)."
        )
    xy = np.concatenate(list(codes(model, source)))
    labels, xy, rows = _labeled(labels, xy, comparable_rows(model, source))
    maps = {"this model": xy}
    if model.scaling.shares:
        maps["PCA of log(1 + count)"] = pca_codes(rows)[0]
        maps["LSA"] = lsa_codes(rows, n_components=2)[0]
    else:
        maps["PCA"] = principal_components(rows)[0]
    save_figure(map_figure(maps, labels, label_names=names), figure)
    return {name: plane_accuracy(xy, labels) for name, xy in maps.items()}
