"""narrows inspect: print what a model file holds, and the health of its code on data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import open_data
from narrows.cli._models import autoencoder_of, open_estimator, refuse_detector, seed_given
from narrows.cli._options import PATH, SEED, json_option, model_argument
from narrows.cli._outputs import check_outputs, one_line, print_json

if TYPE_CHECKING:
    from narrows.estimators.autoencoders.base import AbstractAutoencoder
    from narrows.estimators.detector.detector import AnomalyDetector
    from narrows.model.model import Model

__all__ = ["inspect"]

_MOST_FREQUENT = 8
_FIRST = 30


@click.command(short_help="Print what a model file holds, or the health of its code on DATA.")
@model_argument
@click.argument("data", required=False)
@click.option(
    "--figure", type=PATH,
    help="Where to draw the learning curves: training objective and held-out error of every "
         "epoch, for the net, its pretraining and its head.",
)  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the copying test.")
@json_option
def inspect(model: Path, data: str | None, figure: Path | None, seed: int, as_json: bool) -> None:
    """Print what MODEL holds: pieces, shapes, scaling and training; for a detector, its nets.

    With DATA, print the health of the code on these rows instead: dead, saturated and duplicate
    units, effective rank, KL, the error beside PCA's and beside the training error, and whether the
    net predicts hidden features or merely copies; then advice. Rows that the model was not trained
    on are most informative.
    """
    from narrows.estimators.all_estimators import DETECTORS

    check_outputs(None, figure, model, data)
    estimator = open_estimator(model)
    if figure is not None:
        _draw_curves(estimator, figure)
    if data is None and isinstance(estimator, DETECTORS):
        facts, health = _facts_of_detector(estimator), None
    else:
        head = _facts_of_head(estimator)
        refuse_detector(model, estimator)
        estimator = autoencoder_of(estimator)
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
                shown = _columns(value) if name == "columns" else _shown(value)
                click.echo(f"{name:<{width}}  {shown}")


def _shown(value: Any) -> str:
    """Return a fact as text: pieces by name and fields, lists with commas, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        fields = ", ".join(f"{k} {_shown(v)}" for k, v in value.items() if k != "name")
        return f"{value.get('name', '')} ({fields})".strip() if fields else str(value["name"])
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return str(value)


def _draw_curves(estimator: Any, figure: Path) -> None:
    """Draw the learning curves of a net and its head, or of all nets of a detector."""
    from narrows.estimators.all_estimators import DETECTORS
    from narrows.estimators.heads.base import CodeHead
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
        net = autoencoder_of(estimator).model_
        curves = curves_of_model(net.record, net.error_unit)
        if isinstance(estimator, CodeHead):
            held_out = estimator.validation_history_
            best = held_out.index(min(held_out)) + 1 if held_out else None
            name = f"head ({type(estimator).__name__})"
            curves.append(Curve(name, estimator.history_, held_out, best))
    save_figure(learning_curve_figure(curves), figure)


def _facts(estimator: AbstractAutoencoder) -> dict[str, Any]:
    """Return what the file says about the model, as JSON values by name."""
    from narrows.applications.inspection.facts import n_weights, net_facts, training_facts

    fitted = estimator.model_
    return {
        "estimator": type(estimator).__name__,
        **net_facts(fitted),
        **_vocabulary(fitted),
        "weights": n_weights(fitted),
        "baseline": fitted.baseline.name if fitted.baseline else None,
        "error_unit": fitted.error_unit,
        **training_facts(fitted),
        "seed": seed_given(estimator),
        "final_objective": estimator.history_[-1] if estimator.history_ else None,
    }


def _facts_of_head(estimator: Any) -> dict[str, Any]:
    """Return what a head predicts and how it was fitted; {} for other estimators."""
    from narrows.estimators.heads.base import CodeHead

    if not isinstance(estimator, CodeHead):
        return {}
    classes = getattr(estimator, "classes_", None)
    return {
        "head": type(estimator).__name__,
        "head_training": estimator.training,
        "head_layer": getattr(estimator, "layer", None),  # a segmenter reads all layers
        "head_features": estimator.features_,
        "head_epochs": estimator.n_epochs_,
        "head_max_epochs": estimator.max_epochs_,
        "head_seed": seed_given(estimator),
        "classes": None if classes is None else [str(label) for label in classes],
    }


def _facts_of_detector(detector: AnomalyDetector) -> dict[str, Any]:
    """Return what the file says about a detector, and what its nets have in common."""
    from narrows.applications.inspection.facts import n_weights, net_facts

    nets = [member.model_ for member in detector.members_]
    n_rows, offset = len(detector.calibration_), detector.offset_
    return {
        "estimator": type(detector).__name__,
        "nets": len(nets),
        "net": type(detector.members_[0]).__name__,
        **net_facts(nets[0]),
        "weights": sum(map(n_weights, nets)),
        "error_unit": detector.loss_unit_,
        "rows_calibrated_on": n_rows,
        "smallest_ranked_p_value": 1 / (n_rows + 1),
        "trim": detector.trim,
        "row_weight": detector.row_weight,
        "training_rows_in_file": detector.n_stored_rows,
        "alpha": detector.alpha_,
        "contamination": detector.contamination,
        "anomaly_above": -offset if math.isfinite(offset) else None,
        "seed": seed_given(detector),
        "epochs_per_net": len(nets[0].record.get("epochs", ())),
    }


def _columns(names: list[str]) -> str:
    """Return the first names and how many more there are; --json has them all."""
    more = len(names) - _FIRST
    shown = ", ".join(
        f'"{name}"' if "," in name else name
        for name in (one_line(name, 40) for name in names[:_FIRST])
    )
    return f"{shown}, and {more} more" if more > 0 else shown


def _vocabulary(model: Model) -> dict[str, Any]:
    """Return how texts are read, and the most frequent words; {} if the model reads no texts."""
    from narrows.applications.inspection.facts import most_frequent_words

    vocabulary = model.vocabulary
    if vocabulary is None:
        return {}
    analyzer = vocabulary.analyzer
    words = most_frequent_words(vocabulary, _MOST_FREQUENT)
    return {
        "words": len(vocabulary),
        "documents_counted": int(vocabulary.n_documents),
        "terms": analyzer.described(),
        "stemmer": analyzer.stemmer,
        "stop_words": analyzer.to_spec()["stop_words"],
        "most_frequent_words": ", ".join(one_line(word, 20) for word in words),
    }
