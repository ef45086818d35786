"""narrows evaluate: the reconstruction error beside the linear baseline's."""

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

__all__ = ["evaluate"]


@click.command(short_help="Reconstruction error beside PCA's, with units.")
@model_argument
@data_argument
@click.option("--samples", type=click.IntRange(1, 1_000_000), metavar="K",
              help="For variational models: also the negative log-likelihood, from K codes a row; "
              "500 come close.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of --samples.")
@json_option
def evaluate(model: Path, data: str, samples: int | None, seed: int, as_json: bool) -> None:
    """Print the reconstruction error on DATA beside PCA's (TruncatedSVD's for sparse data).

    The baseline has the same code size and was fitted on the model's own training rows.
    """
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
    if as_json:
        more = {} if likelihood is None else {"likelihood": likelihood.as_dict()}
        print_json({**evaluation.as_dict(), **more})
        return
    click.echo(evaluation.table())
    if likelihood is not None:
        click.echo(likelihood.line())
    elif fitted.objective.encoder.stochastic:
        click.echo("--samples 500 adds the negative log-likelihood.")
