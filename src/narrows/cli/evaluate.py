"""narrows evaluate: compare reconstruction and retrieval with linear baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import open_data
from narrows.cli._labels import labels_or_matrix
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    SEED,
    collected,
    data_argument,
    json_option,
    model_argument,
)
from narrows.cli._outputs import print_json

if TYPE_CHECKING:
    from narrows.applications.retrieval.comparison import RetrievalComparison
    from narrows.data.source import Source
    from narrows.model.model import Model

__all__ = ["evaluate"]

_EVERY = 10


@dataclass(frozen=True)
class _RetrievalOptions:
    """What to measure and to draw about labels: ``every`` is the number that --queries gives."""

    retrieval: bool
    labels: Path | None
    every: int | None
    figure: Path | None
    map_figure: Path | None


def _retrieval_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --retrieval, --map and the options that go with them, as ``options``."""
    command = collected("options", _RetrievalOptions)(command)
    for option in (
        click.option("--map", "map_figure", type=PATH, metavar="PNG",
                     help="Where to draw codes of two numbers, by label, beside PCA or LSA."),
        click.option("--figure", type=PATH,
                     help="With --retrieval: where to draw precision against the number of rows "
                     "retrieved."),
        click.option("--queries", "every", type=click.IntRange(2), metavar="EVERY",
                     help="With --retrieval: one in EVERY rows, drawn at random, is a query; the "
                     f"others are searched.  [{_EVERY}]"),
        click.option("--labels", type=PATH,
                     help="Labels of the rows: .npy; .npz (CSR, several per row); .csv or .txt "
                     "with one line per row, several separated by \";\"; a column, "
                     "y.csv:label=NAME; or .svmlight. DATA may hold them, as in "
                     "table.csv:label=kind."),
        click.option("--retrieval", is_flag=True,
                     help="Also measure retrieval by code: the share of the retrieved rows that "
                     "share a label with the query. The baselines are LSA and TF-IDF for texts "
                     "and counts, PCA and the rows themselves for other data."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command(short_help="Compare the reconstruction error with PCA's, and measure retrieval.")
@model_argument
@data_argument
@click.option("--samples", type=click.IntRange(1, 1_000_000), metavar="K",
              help="For variational models: also print the negative log-likelihood, estimated from "
              "K codes per row; 500 is close. For gray values the likelihood is a "
              "density.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of --samples.")
@_retrieval_options
@json_option
def evaluate(
    model: Path,
    data: str,
    samples: int | None,
    seed: int,
    options: _RetrievalOptions,
    as_json: bool,
) -> None:
    """Compare the reconstruction error on DATA with PCA's (TruncatedSVD's for sparse data).

    The baseline has the same code size and was fitted to the model's own training rows. If the
    code is as wide as the rows, PCA merely copies them and is no reference.

    With --retrieval, the baselines are fitted to the rows that are searched: for texts and counts,
    LSA at the code's size and at 50 numbers, and TF-IDF rows; for other data, PCA at these sizes,
    and the rows as the model scales them. Bits are compared by Hamming distance, everything else
    by cosine.

    For texts and counts, retrieval is also measured without labels: the words of each document are
    split at random in two halves, and the code of each half is to find the other one, beside LSA of
    the same size and TF-IDF. Of the rows of the fit, only those held out are measured.
    """
    _check_options(options, model, data, *filter(None, [options.labels]))
    retrieval, figure, map_figure = options.retrieval, options.figure, options.map_figure
    from torch import Generator

    from narrows.applications.coding.likelihood import measure_likelihood
    from narrows.applications.retrieval.half_comparison import compare_halves_of
    from narrows.encoders import GaussianEncoder
    from narrows.estimators.inputs import query_rows

    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = query_rows(estimator, opened)
    likelihood = None
    if samples is not None:
        likelihood = measure_likelihood(
            fitted,
            source,
            n_samples=samples,
            generator=Generator(fitted.device).manual_seed(seed),
        )
    evaluation = estimator.evaluate(source)
    halves = compare_halves_of(fitted, source)
    comparison, accuracies = None, None
    if retrieval or map_figure is not None:
        of_rows, names = labels_or_matrix(opened, options.labels, source.n_rows)
        if retrieval:
            comparison = _compare_retrieval(
                fitted, source, of_rows, options.every or _EVERY, figure
            )
        if map_figure is not None:
            accuracies = _draw_maps(fitted, source, of_rows, names, map_figure)
    if as_json:
        more: dict[str, object] = {}
        if likelihood is not None:
            more["likelihood"] = likelihood.as_dict()
        if halves is not None:
            more["halves"] = halves.as_dict()
        if comparison is not None:
            more["retrieval"] = comparison.as_dict()
        if accuracies is not None:
            more["accuracy_in_the_plane"] = accuracies
        for name, picture in (("figure", figure), ("map", map_figure)):
            if picture is not None:
                more[name] = str(picture)
        print_json({**evaluation.as_dict(), **more})
        return
    click.echo(evaluation.table())
    if likelihood is not None:
        click.echo(likelihood.line())
    elif isinstance(fitted.objective.encoder, GaussianEncoder):
        click.echo("Add --samples 500 to measure the negative log-likelihood.")
    if halves is not None:
        click.echo(f"\n{halves.table()}")
    if comparison is not None:
        click.echo(f"\n{comparison.table()}")
    if figure is not None:
        click.echo(f"figure: {figure}")
    if accuracies is not None:
        click.echo("\nrows whose nearest neighbor in the plane shares a label:")
        for name, accuracy in accuracies.items():
            click.echo(f"{name:<24}{accuracy:>7.1%}")
        linear = "PCA and LSA were" if "LSA" in accuracies else "PCA was"
        click.echo(f"{linear} fitted to these rows.\nmap: {map_figure}")


def _check_options(options: _RetrievalOptions, *inputs: Any) -> None:
    """Refuse, before any work is done, options that do not go together."""
    from narrows.figures.saving import check_figure_name
    from narrows.writers.tables import check_writable

    figure, map_figure = options.figure, options.map_figure
    if not options.retrieval:
        for name, value in (("--queries", options.every), ("--figure", figure)):
            if value is not None:
                raise click.UsageError(f"{name} needs --retrieval; add it.")
        if options.labels is not None and map_figure is None:
            raise click.UsageError("--labels needs --retrieval or --map; add one.")
    if figure is not None and figure == map_figure:
        raise click.UsageError("--figure and --map name the same file; give each its own.")
    for picture in filter(None, (figure, map_figure)):
        check_writable(picture, *inputs)
        check_figure_name(picture)


def _compare_retrieval(
    model: Model, source: Source, labels: Any, every: int, figure: Path | None
) -> RetrievalComparison:
    """Compare retrieval on the labeled rows of a source; draw the result if ``figure`` is given."""
    from narrows.applications.retrieval.labeled_rows import compare_labeled_rows

    found = compare_labeled_rows(model, source, labels, every=every)
    if found.n_empty:
        click.echo(f"{found.n_empty} rows without a known word are left out.", err=True)
    _report_unlabeled(found.n_unlabeled)
    if figure is not None:
        from narrows.figures.retrieval import retrieval_figure
        from narrows.figures.saving import save_figure

        save_figure(retrieval_figure(found.comparison.results), figure)
    return found.comparison


def _draw_maps(
    model: Model, source: Source, labels: Any, names: list[str] | None, figure: Path
) -> dict[str, float]:
    """Draw codes of two numbers beside linear maps; return each map's accuracy in the plane."""
    from narrows.applications.retrieval.labeled_rows import plane_maps
    from narrows.applications.retrieval.metrics import plane_accuracy
    from narrows.errors import UsageError
    from narrows.figures.maps import map_figure
    from narrows.figures.saving import save_figure

    if model.n_components != 2:
        raise UsageError(
            f"--map: the code has {model.n_components} numbers; fit one of 2 (--code 2)."
        )
    plane = plane_maps(model, source, labels)
    _report_unlabeled(plane.n_unlabeled)
    save_figure(map_figure(plane.maps, plane.labels, label_names=names), figure)
    return {name: plane_accuracy(xy, plane.labels) for name, xy in plane.maps.items()}


def _report_unlabeled(n: int) -> None:
    if n:
        click.echo(f"{n} rows without a label are left out.", err=True)
