"""narrows predict: predict classes or values with a head, and score them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._columns import Targets, open_with_columns, targets_in_file
from narrows.cli._data import row_names
from narrows.cli._options import PATH, data_argument, json_option, model_argument
from narrows.cli._outputs import one_line, print_json, print_values

__all__ = ["predict"]

_NAMED = 8
"""Number of unseen classes to print; --json has them all."""


@click.command(short_help="Predict classes with probabilities, or values, with a head.")
@model_argument
@data_argument
@click.option("-o", "--output", type=PATH, help="Where to write classes and probabilities, or "
              "values: .csv or .tsv, with the row's file or id first if it has one; .npy, with "
              "the probabilities or values only, as float32.")  # fmt: skip
@click.option("--labels", type=PATH, help="The true label of each row; prints accuracy or R^2. "
              "Rows with the head's unknown label do not count; rows of a class that it never saw "
              "count as wrong. DATA may hold the labels: table.csv:label=kind.")  # fmt: skip
@json_option
def predict(
    model: Path, data: str, output: Path | None, labels: Path | None, as_json: bool
) -> None:
    """Predict the class or the value of each row of DATA; MODEL comes from `narrows head`.

    For a head with several targets, -o writes one column per target, under its name.
    """
    import numpy as np

    from narrows.cli._labels import labels_in_data, one_label_per_row
    from narrows.cli._models import open_head
    from narrows.writers.tables import check_rows_file, is_table, write_rows, write_table

    if output is not None:
        check_rows_file(output, *filter(None, (model, data, labels)))
    fitted = open_head(model, "predict")
    classify = hasattr(fitted, "classes_")
    several = not classify and np.ndim(fitted.y_mean_) == 1
    found = open_with_columns(data, {}, like=fitted.autoencoder_, as_targets=several)
    opened, own = found.rows, labels_in_data(found.rows)
    if found.targets is not None and not several:
        raise click.UsageError(f"{data}: names several labels, but {model} predicts one; name it.")
    if output is None and labels is None and own is None and found.targets is None:
        raise click.UsageError("give -o, --labels or both.")
    numbers = fitted.predict_proba(opened) if classify else fitted.predict(opened)
    numbers = numbers if classify or several else numbers[:, None]
    n = len(numbers)
    results: dict[str, Any] = {"rows": n}
    predictions = fitted.classes_[numbers.argmax(axis=1)] if classify else numbers[:, 0]
    if several and (labels is not None or found.targets is not None):
        results |= _scores_of_targets(found.targets, labels, numbers, fitted, data)
    elif not several and (labels is not None or _holds_truth(opened, own, fitted)):
        truth, origin = one_label_per_row(opened, labels, n, gaps=True), labels or data
        if classify:
            results |= _scores_of_classes(truth, predictions, fitted, origin)
        else:
            results |= _scores_of_values(truth, predictions, origin)
    if output is not None:
        names = [f"p({c})" for c in fitted.classes_] if classify else _value_names(fitted)
        if is_table(output):
            named = row_names(opened)
            columns: dict[str, Any] = {}
            if named is not None:
                columns[named[0] + "_" * (named[0] in names)] = named[1]
            columns |= {"class": predictions} if classify else {}
            columns |= dict(zip(names, np.asarray(numbers).T, strict=True))
            write_table(output, columns)
        else:
            write_rows(output, [numbers], n_rows=n, names=names)
        results["output"] = str(output)
    if as_json:
        print_json(results)
        return
    of_targets = results.pop("r2_of_targets", {})
    results |= {f"r2 of {one_line(name, 40)}": value for name, value in of_targets.items()}
    unseen = results.pop("unseen_classes", [])
    print_values(results)
    if unseen:
        more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
        click.echo(
            f"{results['rows_of_unseen_classes']} rows are of classes that the head never saw, and "
            f"count as wrong: {', '.join(one_line(name, 40) for name in unseen[:_NAMED])}{more}."
        )


def _holds_truth(opened: Any, own: Any, fitted: Any) -> bool:
    """Return whether the data hold true labels.

    Folder names count as labels only if one of them is a class of the head: folders may be named
    for other reasons.
    """
    import numpy as np

    from narrows.applications.heads.scores import same_labels

    if own is None or not (own != "").any():
        return False
    if not Path(opened.origin).is_dir():
        return True
    kinds = np.unique(own)
    classes = getattr(fitted, "classes_", ())
    return any(bool(same_labels(kinds, label).any()) for label in classes)


def _scores_of_classes(
    truth: Any, predictions: Any, fitted: Any, origin: Path | str
) -> dict[str, Any]:
    """Return the accuracy on the rows with a known label, and how many have none."""
    from narrows.applications.heads.scores import accuracy, unknown_labels, unseen_classes
    from narrows.errors import InvalidData

    unknown = unknown_labels(truth, fitted.missing_label)
    if unknown.all():
        raise InvalidData(
            f"{origin}: every label is {fitted.missing_label!r}, which this head reads as unknown."
            if fitted.missing_label is not None
            else f"{origin}: no row has a label."
        )
    known = truth[~unknown]
    results: dict[str, Any] = {"accuracy": accuracy(known, predictions[~unknown])}
    if fitted.missing_label is not None or unknown.any():
        results["rows_without_label"] = int(unknown.sum())
    n_unseen, unseen = unseen_classes(known, fitted.classes_)
    if n_unseen:
        results |= {"rows_of_unseen_classes": n_unseen, "unseen_classes": unseen}
    return results


def _scores_of_values(truth: Any, predictions: Any, origin: Path | str) -> dict[str, Any]:
    """Return R^2 on the rows with a known value, and how many have none."""
    from narrows.applications.heads.scores import r2_of_known, unknown_labels
    from narrows.errors import InvalidData

    unknown = unknown_labels(truth)
    try:
        results: dict[str, Any] = {"r2": r2_of_known(truth, predictions, unknown)}
    except ValueError as error:
        raise InvalidData(f"{origin}: values cannot be compared: {error}.") from None
    return {**results, "rows_without_label": int(unknown.sum())} if unknown.any() else results


def _scores_of_targets(
    targets: Targets | None, labels: Path | None, predictions: Any, fitted: Any, data: str
) -> dict[str, Any]:
    """Return R^2 of every target that DATA or a file of labels names, and their mean."""
    import numpy as np

    from narrows.applications.heads.scores import mean_r2, r2_of_targets
    from narrows.errors import InvalidData

    if labels is not None:
        targets = targets_in_file(labels, len(predictions), as_targets=True)
    names = _value_names(fitted)
    if targets is None:
        columns = ",".join(f"label={name}" for name in names)
        raise InvalidData(f"{labels}: name the columns of the targets: y.csv:{columns}.")
    unknown = [name for name in targets.names if name not in names]
    if unknown:
        raise InvalidData(
            f"{labels or data}: label={unknown[0]} is not a target of this head, which has "
            f"{', '.join(names)}."
        )
    at = [names.index(name) for name in targets.names]
    of_each = r2_of_targets(targets.values, predictions[:, at])
    results: dict[str, Any] = {
        "r2": mean_r2(of_each),
        "r2_of_targets": dict(zip(targets.names, of_each.tolist(), strict=True)),
    }
    without = np.isnan(targets.values).all(axis=1)
    return {**results, "rows_without_label": int(without.sum())} if without.any() else results


def _value_names(fitted: Any) -> list[str]:
    """Return the names of a regressor's columns: its targets, or "value"."""
    import numpy as np

    names, n = fitted.target_names_, np.size(fitted.y_mean_)
    if names is not None and len(set(names)) == n:
        return list(names)
    return ["value"] if n == 1 else [f"value {j}" for j in range(n)]
