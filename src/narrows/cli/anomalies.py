"""narrows anomalies: which rows a model finds surprising, how much, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import (
    PATH,
    check_image_shape,
    check_outputs,
    data_argument,
    json_option,
    model_argument,
    one_line,
    open_estimator,
    print_json,
    shape_option,
)
from narrows.cli._data import open_data
from narrows.cli._row_names import HEADERS, in_figure, row_names

if TYPE_CHECKING:
    import numpy as np

__all__ = ["anomalies"]

_FEATURES = 3
_KINDS = 5
_NAME = 40
_SEEN = (
    "Warning: {data}: these are the rows that the model was fitted to: of most of them errors are "
    "too low and p-values too high; judge rows that it did not see."
)


@click.command(short_help="Which rows are anomalies, with p-values and the features to blame.")
@model_argument
@data_argument
@click.option("-o", "--output", type=PATH, help="Where to write error, p-value and flag of every "
              "row: .npy; .csv or .tsv behind the file or id of the row where it has one.",
              )  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True), help="Flag the rows with p <= "
              "alpha: of normal rows at most this share. The default is 0.01, or the smallest "
              "p-value that the held-out rows allow; of a detector its own rule.")  # fmt: skip
@click.option("--contamination", type=click.FloatRange(0, 0.5, min_open=True), metavar="SHARE",
              help="Flag this share of DATA instead, by the largest errors; ties at the limit are "
              "left out. The default, 0.1, where fewer than 9 rows were held out.")  # fmt: skip
@click.option("--calibrate", metavar="DATA", help="Normal rows that MODEL was not fitted to, "
              "instead of those that fit held out.")  # fmt: skip
@click.option("--labels", type=PATH, help="Which rows of DATA are anomalies (1; the others 0): "
              "prints AUROC and average precision. Data may bring them: table.csv:label=odd.",
              )  # fmt: skip
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="How many rows are shown, the most surprising first.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw the top rows, the contributions of their "
              "features, and the p-values of all.")  # fmt: skip
@shape_option
@json_option
def anomalies(
    model: Path,
    data: str,
    output: Path | None,
    alpha: float | None,
    contamination: float | None,
    calibrate: str | None,
    labels: Path | None,
    top: int,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Print the rows of DATA that MODEL rebuilds worst.

    The p-value says how often a normal row has an error as large; it is counted among rows that
    training did not see, so it holds for any model. The contributions say which features
    the error comes from. Flagged rows have a star, and the last lines say by which rule.
    """
    import numpy as np

    from narrows.applications.anomalies.contributions import at_rows, feature_names
    from narrows.applications.anomalies.detection import measure_detection
    from narrows.writers.tables import write_rows

    if alpha is not None and contamination is not None:
        raise click.UsageError("--alpha and --contamination are two rules; give one of them.")
    check_outputs(output, figure, model, data, calibrate, labels)
    estimator = open_estimator(model)
    estimator = getattr(estimator, "autoencoder_", estimator)  # the code under a head
    opened = open_data(data, estimator)
    fitted, source = estimator._validated_query(opened)
    check_image_shape(fitted, image_shape)
    odd = _odd_rows(opened, labels, source.n_rows)
    held_out = None if calibrate is None else open_data(calibrate, estimator)
    found = estimator.find_anomalies(
        source, alpha=alpha, contamination=contamination, X_calibration=held_out
    )
    if found.training_rows:
        click.echo(_SEEN.format(data=data), err=True)
    errors, p_values = found.errors, found.p_values
    first = np.argsort(-errors, kind="stable")[:top]
    rows = at_rows(source, first)
    contributions = estimator.anomaly_contributions(rows)
    names = feature_names(fitted, source)
    called = row_names(opened)
    results: dict[str, Any] = {
        "n_rows": source.n_rows,
        "unit": estimator.loss_unit_,
        "rule": found.rule,
        "alpha": found.alpha,
        "contamination": found.contamination,
        "flagged": int(found.flagged.sum()),
        "smallest_possible_p_value": found.smallest_p_value,
        "top": [
            {
                "row": int(row),
                **({} if called is None else {called[0]: called[1][row]}),
                "error": float(errors[row]),
                "p_value": None if p_values is None else float(p_values[row]),
                "flagged": bool(found.flagged[row]),
                "largest_contributions": _largest(share, names),
            }
            for row, share in zip(first, contributions, strict=True)
        ],
    }
    if odd is not None:
        results["detection"] = asdict(measure_detection(errors, found.flagged, odd))
    if output is not None:
        counted = np.full(source.n_rows, np.nan) if p_values is None else p_values
        columns_of_rows = np.column_stack([errors, counted, found.flagged])
        blocks = iter([columns_of_rows.astype(np.float32)])
        columns = ["error", "p_value", "flagged"]
        results["shape"] = write_rows(
            output, blocks, n_rows=source.n_rows, names=columns, row_names=called
        )
        results["output"] = str(output)
    if figure is not None:
        from narrows.core.sparse import dense_rows
        from narrows.figures.anomalies import anomaly_figure
        from narrows.figures.saving import save_figure

        titles = [
            name if p_values is None else f"{name}\np = {p_values[row]:.2g}"
            for name, row in zip(in_figure(called, first), first, strict=True)
        ]
        shape = image_shape or fitted.schema.image_shape or source.image_shape
        rebuilt = estimator.reconstruct(rows).reshape(rows.n_rows, -1)
        drawn = anomaly_figure(
            dense_rows(rows.evenly(top)).numpy(), rebuilt, contributions,
            titles=titles, found=found, names=names, image_shape=shape,
        )  # fmt: skip
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    if as_json:
        print_json(results)
        return
    click.echo(_table(results))
    click.echo(f"{found}\nerror: {results['unit']}")
    if "detection" in results:
        click.echo(", ".join(f"{name.replace('_', ' ')} {value:.4g}"
                             for name, value in results["detection"].items()))  # fmt: skip
    for key in ("output", "figure"):
        if key in results:
            click.echo(f"{key}: {results[key]}")


def _odd_rows(opened: Any, labels: Path | None, n_rows: int) -> np.ndarray | None:
    """Return which rows are anomalies, None if nothing says so; other labels in the data are
    ignored, with a notice."""
    from narrows.applications.anomalies.detection import anomaly_labels
    from narrows.cli._heads import labels_brought, one_label_a_row
    from narrows.errors import InvalidData

    brought = labels_brought(opened)
    if labels is None and brought is None:
        return None
    try:
        return anomaly_labels(
            one_label_a_row(opened, labels, n_rows), origin=str(labels or "labels")
        )
    except InvalidData:
        if labels is not None or brought is None:
            raise
        kinds = sorted({one_line(str(kind), 24) or "none" for kind in brought.tolist()})
        shown = ", ".join(kinds[:_KINDS]) + (", ..." if len(kinds) > _KINDS else "")
        click.echo(
            f"Nothing is measured by the labels of DATA ({shown}): that takes 1 for an anomaly and "
            "0 for the others, a label in every row, and rows of both.",
            err=True,
        )
        return None


def _largest(contributions: np.ndarray, names: list[str]) -> dict[str, float]:
    """Return the features of the largest contributions; none where all have the same, as of a row
    whose features are each usual and odd together alone."""
    if len(contributions) > 1 and contributions.max() - contributions.min() < 1e-6:
        return {}
    places = (-contributions).argsort(kind="stable")[:_FEATURES]
    return {one_line(names[i], 24): float(contributions[i]) for i in places}


def _table(results: dict[str, Any]) -> str:
    header = next((name for name in HEADERS for row in results["top"] if name in row), "")
    called = [one_line(row.get(header, ""), _NAME) for row in results["top"]]
    wide = max(map(len, (header, *called)))
    wide += 2 if header else 0
    lines = [f"  {'row':>8}{header:>{wide}}{'error':>14}{'p-value':>11}  largest contributions"]
    for row, name in zip(results["top"], called, strict=True):
        contributions = ", ".join(
            f"{name} {share:.0%}" for name, share in row["largest_contributions"].items()
        )
        contributions = contributions or "no feature alone"
        p = "-" if row["p_value"] is None else f"{row['p_value']:.4g}"
        mark = "*" if row["flagged"] else " "
        lines.append(
            f"{mark} {row['row']:>8}{name:>{wide}}{row['error']:>14.6g}{p:>11}  {contributions}"
        )
    return "\n".join(lines)
