"""narrows evaluate: the reconstruction error beside the linear baseline's, and retrieval."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    SEED,
    data_argument,
    json_option,
    model_argument,
    open_data,
    open_model,
    print_json,
)
from narrows.cli._retrieval import check_retrieval, compared, retrieval_options

__all__ = ["evaluate"]


@click.command(short_help="Reconstruction error beside PCA's, with units.")
@model_argument
@data_argument
@click.option("--samples", type=click.IntRange(1, 1_000_000), metavar="K",
              help="For variational models: also the negative log-likelihood, from K codes a row; "
              "500 come close.")  # fmt: skip
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
    as_json: bool,
) -> None:
    """Print the reconstruction error on DATA beside PCA's (TruncatedSVD's for sparse data).

    The baseline has the same code size and was fitted on the model's own training rows.
    With --retrieval DATA are counts of words, best as CSR (.npz): the rivals are LSA at the code's
    size and at 50 numbers, fitted on the rows that are searched, and the rows' own TF-IDF.
    """
    check_retrieval(retrieval, labels, every, figure, model, data, *filter(None, [labels]))
    from torch import Generator

    from narrows.applications.likelihood import measure_likelihood

    estimator = open_model(model)
    fitted, source = estimator._asked(open_data(data))
    likelihood = None
    if samples is not None:
        likelihood = measure_likelihood(
            fitted,
            source,
            n_samples=samples,
            generator=Generator(fitted.device).manual_seed(seed),
        )
    evaluation = estimator.evaluate(source)
    comparison = None
    if labels is not None:
        comparison = compared(fitted, source, labels, every=every, figure=figure)
    if as_json:
        more: dict[str, object] = {}
        if likelihood is not None:
            more["likelihood"] = likelihood.as_dict()
        if comparison is not None:
            more["retrieval"] = comparison.as_dict()
        if figure is not None:
            more["figure"] = str(figure)
        print_json({**evaluation.as_dict(), **more})
        return
    click.echo(evaluation.table())
    if likelihood is not None:
        click.echo(likelihood.line())
    elif fitted.objective.encoder.stochastic:
        click.echo("--samples 500 adds the negative log-likelihood.")
    if comparison is not None:
        click.echo(f"\n{comparison.table()}")
    if figure is not None:
        click.echo(f"figure: {figure}")
