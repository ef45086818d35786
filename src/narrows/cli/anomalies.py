"""narrows anomalies: find the rows that a model reconstructs badly, with p-values and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import HEADERS, names_in_figure, open_data, row_names
from narrows.cli._models import autoencoder_of, open_estimator
from narrows.cli._options import (
    PATH,
    FigureOptions,
    collected,
    data_argument,
    json_option,
    model_argument,
    shape_option,
)
from narrows.cli._outputs import check_image_shape, check_outputs, one_line, print_json

if TYPE_CHECKING:
    import numpy as np

__all__ = ["anomalies", "table_of_rows"]

_FEATURES = 3
_KINDS = 5
_NAME = 40
_TRAINING_ROWS = (
    "Warning: {data}: the model was fitted to these rows, so most of their errors are too low and "
    "their p-values too high; score rows that it was not trained on."
)


@dataclass(frozen=True)
class _RuleOptions:
    """The rule by which rows are flagged, and the rows that p-values are counted among."""

    alpha: float | None
    contamination: float | None
    calibrate: str | None


@click.command(short_help="Find anomalous rows, with p-values and the features responsible.")
@model_argument
@data_argument
@click.option("-o", "--output", type=PATH, help="Where to write the error, p-value and flag of "
              "every row: .npy; or .csv or .tsv, with the row's file or id first if it has one.",
              )  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True), help="Flag rows with p <= "
              "ALPHA: at most this share of normal rows.  [0.01, or the smallest p-value that the "
              "held-out rows allow if that is larger; for a detector, its own rule]")  # fmt: skip
@click.option("--contamination", type=click.FloatRange(0, 0.5, min_open=True), metavar="SHARE",
              help="Flag this share of DATA instead, the rows with the largest errors; ties at "
              "the limit are not flagged.  [0.1 if fewer than 9 rows were held out]")  # fmt: skip
@click.option("--calibrate", metavar="DATA", help="Compute p-values from these normal rows, which "
              "MODEL was not fitted to, instead of the rows that fit held out.")  # fmt: skip
@click.option("--labels", type=PATH, help="Which rows of DATA are anomalies (1) and which not "
              "(0); prints AUROC and average precision. DATA may hold them: table.csv:label=odd.",
              )  # fmt: skip
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="How many rows to print, the most anomalous first.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw the top rows, the contributions of their "
              "features, and the p-values of all rows.")  # fmt: skip
@shape_option
@collected("rule", _RuleOptions)
@collected("figure_options", FigureOptions)
@json_option
def anomalies(
    model: Path,
    data: str,
    rule: _RuleOptions,
    labels: Path | None,
    top: int,
    output: Path | None,
    figure_options: FigureOptions,
    as_json: bool,
) -> None:
    """Print the rows of DATA that MODEL reconstructs worst.

    A row's p-value is the share of normal rows with an error at least as large, counted among rows
    that were not trained on, so it is valid for any model. Contributions are the features' shares
    of the error. A star marks flagged rows; the last lines state the rule.
    """
    import numpy as np

    from narrows.applications.anomalies.contributions import (
        at_rows,
        feature_names,
        largest_contributions,
    )
    from narrows.applications.anomalies.detection import measure_detection
    from narrows.applications.anomalies.flagging import most_anomalous
    from narrows.estimators.inputs import query_rows
    from narrows.writers.tables import write_rows

    figure, image_shape = figure_options.figure, figure_options.image_shape
    if rule.alpha is not None and rule.contamination is not None:
        raise click.UsageError("--alpha and --contamination are two rules; give only one.")
    check_outputs(output, figure, model, data, rule.calibrate, labels)
    estimator = autoencoder_of(open_estimator(model))
    opened = open_data(data, estimator)
    fitted, source = query_rows(estimator, opened)
    check_image_shape(fitted, image_shape)
    is_anomaly = _anomaly_labels(opened, labels, source.n_rows)
    calibration = None if rule.calibrate is None else open_data(rule.calibrate, estimator)
    found = estimator.find_anomalies(
        source,
        alpha=rule.alpha,
        contamination=rule.contamination,
        X_calibration=calibration,
    )
    if found.training_rows:
        click.echo(_TRAINING_ROWS.format(data=data), err=True)
    first = most_anomalous(found.errors, top)
    rows = at_rows(source, first)
    contributions = estimator.anomaly_contributions(rows)
    features, named = feature_names(fitted, source), row_names(opened)
    results: dict[str, Any] = {
        "n_rows": source.n_rows,
        "unit": estimator.loss_unit_,
        "rule": found.rule,
        "alpha": found.alpha,
        "contamination": found.contamination,
        "flagged": int(found.flagged.sum()),
        "smallest_ranked_p_value": found.smallest_p_value,
        "top": [
            {
                "row": int(row),
                **({} if named is None else {named[0]: named[1][row]}),
                "error": float(found.errors[row]),
                "p_value": None if found.p_values is None else float(found.p_values[row]),
                "flagged": bool(found.flagged[row]),
                "largest_contributions": {
                    one_line(features[j], 24): float(shares[j])
                    for j in largest_contributions(shares, _FEATURES)
                },
            }
            for row, shares in zip(first, contributions, strict=True)
        ],
    }
    if is_anomaly is not None:
        results["detection"] = asdict(measure_detection(found.errors, found.flagged, is_anomaly))
    if output is not None:
        columns = found.columns()
        block = np.column_stack([*columns.values()])
        results["shape"] = write_rows(
            output, iter([block]), n_rows=source.n_rows, names=[*columns], row_names=named
        )
        results["output"] = str(output)
    if figure is not None:
        from narrows.core.sparse import dense_rows
        from narrows.data.source import evenly_spaced_rows
        from narrows.figures.anomalies import anomaly_figure
        from narrows.figures.saving import save_figure

        shape = image_shape or fitted.schema.image_shape or source.image_shape
        rebuilt = estimator.reconstruct(rows).reshape(rows.n_rows, -1)
        drawn = anomaly_figure(
            dense_rows(evenly_spaced_rows(rows, top)).numpy(), rebuilt, contributions,
            titles=_titles(names_in_figure(named, first), found.p_values, first),
            found=found, names=features, image_shape=shape,
        )  # fmt: skip
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    if as_json:
        print_json(results)
        return
    click.echo(table_of_rows(results["top"]))
    click.echo(f"{found}\nerror: {results['unit']}")
    if "detection" in results:
        click.echo(", ".join(f"{name.replace('_', ' ')} {value:.4g}"
                             for name, value in results["detection"].items()))  # fmt: skip
    for key in ("output", "figure"):
        if key in results:
            click.echo(f"{key}: {results[key]}")


def _anomaly_labels(opened: Any, labels: Path | None, n_rows: int) -> np.ndarray | None:
    """Return which rows are labeled as anomalies, bool (n_rows,); None without such labels.

    Labels in the data that mean something else are ignored, and a message says so.
    """
    from narrows.applications.anomalies.detection import anomaly_labels
    from narrows.cli._labels import labels_in_data, one_label_per_row
    from narrows.errors import InvalidData

    own = labels_in_data(opened)
    if labels is None and own is None:
        return None
    try:
        return anomaly_labels(
            one_label_per_row(opened, labels, n_rows), origin=str(labels or "labels")
        )
    except InvalidData:
        if labels is not None or own is None:
            raise
        kinds = sorted({one_line(str(kind), 24) or "none" for kind in own.tolist()})
        shown = ", ".join(kinds[:_KINDS]) + (", ..." if len(kinds) > _KINDS else "")
        click.echo(
            f"The labels of DATA ({shown}) are ignored: to measure detection, label every row 1 "
            "(an anomaly) or 0, with rows of both kinds.",
            err=True,
        )
        return None


def _titles(
    names: Sequence[str], p_values: np.ndarray | None, rows: Sequence[int] | np.ndarray
) -> list[str]:
    if p_values is None:
        return [*names]
    return [f"{name}\np = {p_values[row]:.2g}" for name, row in zip(names, rows, strict=True)]


def table_of_rows(rows: Sequence[dict[str, Any]]) -> str:
    """Return a printable table of rows, which are given as under "top" in the JSON output."""
    header = next((name for name in HEADERS for row in rows if name in row), "")
    names = [one_line(row.get(header, ""), _NAME) for row in rows]
    width = max(map(len, (header, *names))) + (2 if header else 0)
    lines = [f"  {'row':>8}{header:>{width}}{'error':>14}{'p-value':>11}  largest contributions"]
    for row, name in zip(rows, names, strict=True):
        contributions = ", ".join(
            f"{feature} {share:.0%}" for feature, share in row["largest_contributions"].items()
        )
        contributions = contributions or "no feature alone"
        p = "-" if row["p_value"] is None else f"{row['p_value']:.4g}"
        mark = "*" if row["flagged"] else " "
        lines.append(
            f"{mark} {row['row']:>8}{name:>{width}}{row['error']:>14.6g}{p:>11}  {contributions}"
        )
    return "\n".join(lines)
