"""narrows inspect: what a model file holds."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import json_option, model_argument, open_model, print_json

__all__ = ["inspect"]


@click.command(short_help="What a model file holds.")
@model_argument
@json_option
def inspect(model: Path, as_json: bool) -> None:
    """Print what MODEL is: pieces, shapes, scaling, training."""
    estimator = open_model(model)
    fitted = estimator.model_
    record = fitted.record
    weights = sum(p.numel() for p in fitted.objective.parameters())
    facts = {
        "estimator": type(estimator).__name__,
        "variant": fitted.variant,
        **fitted.parameters,
        "n_features": fitted.schema.n_features,
        "kind": fitted.schema.kind,
        "image_shape": fitted.schema.image_shape,
        "scaling": fitted.scaling.kind,
        "weights": weights,
        "baseline": fitted.baseline.name if fitted.baseline else None,
        "error_unit": fitted.error_unit,
        "rows_trained_on": record.get("n_rows"),
        "rows_held_out": record.get("n_validation_rows"),
        "epochs": len(record.get("epochs", ())),
        "best_epoch": record.get("best_epoch"),
        "stopped_early": record.get("stopped_early"),
        "batch_size": record.get("batch_size"),
        "learning_rate": record.get("learning_rate"),
        "precision": record.get("precision"),
        "seed": record.get("seed"),
        "seconds": round(sum(e["seconds"] for e in record.get("epochs", ())), 2),
        "final_objective": estimator.history_[-1] if estimator.history_ else None,
    }
    if as_json:
        print_json({"model": str(model), **facts})
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<{width}}  {value}")
