"""narrows inspect: what a model file holds, and how its code fares on data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import (
    PATH,
    SEED,
    check_outputs,
    code_of,
    json_option,
    model_argument,
    one_line,
    open_estimator,
    print_json,
    seed_given,
)
from narrows.cli._data import open_data

if TYPE_CHECKING:
    from narrows.estimators import AbstractAutoencoder, AnomalyDetector
    from narrows.model.model import Model
    from narrows.text import Vocabulary

__all__ = ["inspect"]

_COMMONEST = 8
_FIRST = 30


@click.command(short_help="What a model file holds, and the health of its code on DATA.")
@model_argument
@click.argument("data", required=False)
@click.option("--figure", type=PATH, help="Where to draw the learning curve: training objective "
              "and held-out error of every epoch, of the net, of what trained before it, and of a "
              "head.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the copying test.")
@json_option
def inspect(model: Path, data: str | None, figure: Path | None, seed: int, as_json: bool) -> None:
    """Print what MODEL is: pieces, shapes, scaling, training; of a detector its nets.

    With DATA, print the health of its code on these rows: dead, saturated and duplicate units,
    effective rank, KL, the error beside PCA's and beside that in training, and whether the net
    knows what belongs where features are hidden or only copies; then advice. Rows that the
    model was not trained on say most.
    """
    from narrows.estimators import DETECTORS

    check_outputs(None, figure, model, data)
    estimator = open_estimator(model)
    if figure is not None:
        _draw_curves(estimator, figure)
    if data is None and isinstance(estimator, DETECTORS):
        facts, health = _facts_of_detector(estimator), None
    else:
        head = _facts_of_head(estimator)
        estimator = code_of(model, estimator)
        health = None if data is None else estimator.inspect(open_data(data, estimator), seed=seed)
        facts = _facts(estimator) | head
    drawn = {} if figure is None else {"figure": str(figure)}
    if as_json:
        more = drawn if health is None else {"health": health.as_dict(), **drawn}
        print_json({"model": str(model), **facts, **more})
    elif health is not None:
        click.echo("\n".join([health.table(), *(f"figure: {path}" for path in drawn.values())]))
    else:
        facts |= drawn
        width = max(map(len, facts))
        for name, value in facts.items():
            if value is not None:
                shown = _columns(value) if name == "columns" else value
                shown = f"{shown:.6g}" if isinstance(shown, float) else shown
                click.echo(f"{name:<{width}}  {shown}")


def _draw_curves(estimator: Any, figure: Path) -> None:
    """Draw the learning curves of a net, of its head, or of all nets of a detector."""
    from narrows.estimators import DETECTORS, CodeHead
    from narrows.figures.learning_curve import Curve, curves_of_model, learning_curve_figure
    from narrows.figures.saving import save_figure

    if isinstance(estimator, DETECTORS):
        curves = [
            curve
            for i, member in enumerate(estimator.members_)
            for curve in curves_of_model(
                member.model_.record, member.model_.error_unit, name=f"net {i + 1}"
            )
        ]
    else:
        net = getattr(estimator, "autoencoder_", estimator).model_
        curves = curves_of_model(net.record, net.error_unit)
        if isinstance(estimator, CodeHead):
            held_out = estimator.validation_history_
            best = held_out.index(min(held_out)) + 1 if held_out else None
            name = f"head ({type(estimator).__name__})"
            curves.append(Curve(name, estimator.history_, held_out, best))
    save_figure(learning_curve_figure(curves), figure)


def _facts(estimator: AbstractAutoencoder) -> dict[str, Any]:
    """Return what the file says of the model, as JSON values."""
    fitted = estimator.model_
    record = fitted.record
    return {
        "estimator": type(estimator).__name__,
        **_net(fitted),
        "weights": _weights(fitted),
        "baseline": fitted.baseline.name if fitted.baseline else None,
        "error_unit": fitted.error_unit,
        "rows_trained_on": record.get("n_rows"),
        "rows_held_out": record.get("n_validation_rows"),
        "epochs": len(record.get("epochs", ())),
        "best_epoch": record.get("best_epoch"),
        "stopped_early": record.get("stopped_early"),
        "batch_size": record.get("batch_size"),
        "learning_rate": record.get("learning_rate"),
        "n_neighbors": record.get("n_neighbors") or None,
        "neighbors_by": record.get("neighbors_by") if record.get("n_neighbors") else None,
        "precision": record.get("precision"),
        "seed": seed_given(estimator),
        "seconds": round(sum(e["seconds"] for e in record.get("epochs", ())), 2),
        "final_objective": estimator.history_[-1] if estimator.history_ else None,
    }


def _facts_of_head(estimator: Any) -> dict[str, Any]:
    """Return what a head on the code says and how it was fitted; nothing where there is none."""
    from narrows.estimators import CodeHead

    if not isinstance(estimator, CodeHead):
        return {}
    classes = getattr(estimator, "classes_", None)
    return {
        "head": type(estimator).__name__,
        "head_training": estimator.training,
        "head_layer": estimator.layer,
        "head_epochs": estimator.n_epochs_,
        "head_max_epochs": estimator.max_epochs_,
        "head_seed": seed_given(estimator),
        "classes": None if classes is None else [str(label) for label in classes],
    }


def _facts_of_detector(detector: AnomalyDetector) -> dict[str, Any]:
    """Return what the file says of a detector, and of its nets what they have in common."""
    nets = [member.model_ for member in detector.members_]
    n_rows, offset = len(detector.calibration_), detector.offset_
    return {
        "estimator": type(detector).__name__,
        "nets": len(nets),
        "net": type(detector.members_[0]).__name__,
        **_net(nets[0]),
        "weights": sum(map(_weights, nets)),
        "error_unit": detector.loss_unit_,
        "rows_calibrated_on": n_rows,
        "smallest_possible_p_value": 1 / (n_rows + 1),
        "trim": detector.trim,
        "alpha": detector.alpha_,
        "contamination": detector.contamination,
        "anomaly_above": -offset if math.isfinite(offset) else None,
        "seed": seed_given(detector),
        "epochs_a_net": len(nets[0].record.get("epochs", ())),
    }


def _net(model: Model) -> dict[str, Any]:
    """Return the pieces of a net and what its rows are."""
    return {
        "variant": model.variant,
        **model.parameters,
        "n_features": model.schema.n_features,
        "columns": model.schema.names,
        "kind": model.schema.kind,
        "image_shape": model.schema.image_shape,
        "scaling": model.scaling.kind,
        **_vocabulary(model.vocabulary),
    }


def _columns(names: list[str]) -> str:
    """Return the first names, and how many more there are; --json has them all."""
    more = len(names) - _FIRST
    shown = ", ".join(one_line(name, 40) for name in names[:_FIRST])
    return f"{shown}, and {more} more" if more > 0 else shown


def _weights(model: Model) -> int:
    return sum(p.numel() for p in model.objective.parameters())


def _vocabulary(vocabulary: Vocabulary | None) -> dict[str, Any]:
    """Return how texts are read, and the words of most documents; nothing for other models."""
    if vocabulary is None:
        return {}
    analyzer = vocabulary.analyzer
    commonest = (-vocabulary.document_frequencies).argsort(kind="stable")[:_COMMONEST]
    return {
        "words": len(vocabulary),
        "documents_counted": int(vocabulary.n_documents),
        "terms": analyzer.described(),
        "stemmer": analyzer.stemmer,
        "stop_words": analyzer.to_spec()["stop_words"],
        "commonest_words": ", ".join(one_line(vocabulary.terms[at], 20) for at in commonest),
    }
