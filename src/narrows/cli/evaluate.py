"""narrows evaluate: the reconstruction error beside the linear baseline's, and retrieval."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    SEED,
    data_argument,
    json_option,
    model_argument,
    open_model,
    print_json,
)
from narrows.cli._data import open_data
from narrows.cli._retrieval import (
    check_retrieval,
    compared,
    labels_of,
    mapped,
    retrieval_options,
)

__all__ = ["evaluate"]


@click.command(short_help="Reconstruction error beside PCA's, with units.")
@model_argument
@data_argument
@click.option("--samples", type=click.IntRange(1, 1_000_000), metavar="K",
              help="For variational models: also the negative log-likelihood, using K codes per "
              "row; 500 gives a close estimate. For gray values it is a density.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of --samples.")
@retrieval_options
@json_option
def evaluate(
    model: Path,
    data: str,
    samples: int | None,
    seed: int,
    retrieval: bool,
    labels: Path | None,
    every: int | None,
    figure: Path | None,
    map_figure: Path | None,
    as_json: bool,
) -> None:
    """Print the reconstruction error on DATA beside PCA's (TruncatedSVD's for sparse data).

    The baseline has the same code size and was fitted on the model's own training rows; where the
    code is as wide as the rows it would only copy them, and is no mark.
    With --retrieval the baselines of texts and counts are LSA at the code's size and at 50 numbers,
    fitted on the rows that are searched, and the rows' own TF-IDF; those of images and tables are
    PCA at these sizes and the rows themselves, scaled as the model does it. All are compared by
    cosine, bits by Hamming distance.
    """
    inputs = (model, data, *filter(None, [labels]))
    check_retrieval(retrieval, labels, every, figure, map_figure, *inputs)
    from torch import Generator

    from narrows.applications.coding.likelihood import measure_likelihood
    from narrows.encoders import GaussianEncoder

    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = estimator._validated_query(opened)
    likelihood = None
    if samples is not None:
        likelihood = measure_likelihood(
            fitted,
            source,
            n_samples=samples,
            generator=Generator(fitted.device).manual_seed(seed),
        )
    evaluation = estimator.evaluate(source)
    comparison, accuracies = None, None
    if retrieval or map_figure is not None:
        of_rows, names = labels_of(opened, labels, source.n_rows)
        if retrieval:
            comparison = compared(fitted, source, of_rows, every=every, figure=figure)
        if map_figure is not None:
            accuracies = mapped(fitted, source, of_rows, names, map_figure)
    if as_json:
        more: dict[str, object] = {}
        if likelihood is not None:
            more["likelihood"] = likelihood.as_dict()
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
        click.echo("--samples 500 adds the negative log-likelihood.")
    if comparison is not None:
        click.echo(f"\n{comparison.table()}")
    if figure is not None:
        click.echo(f"figure: {figure}")
    if accuracies is not None:
        click.echo("\nnearest neighbor in the plane shares a label:")
        for name, accuracy in accuracies.items():
            click.echo(f"{name:<24}{accuracy:>7.1%}")
        linear = "PCA and LSA were" if "LSA" in accuracies else "PCA was"
        click.echo(f"{linear} fitted on these rows.\nmap: {map_figure}")
