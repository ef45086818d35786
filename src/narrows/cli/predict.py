"""narrows predict: what a head says of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._columns import Targets, open_with_columns, targets_in_file
from narrows.cli._common import (
    PATH,
    data_argument,
    json_option,
    model_argument,
    one_line,
    print_json,
    print_values,
)
from narrows.cli._row_names import row_names

__all__ = ["predict"]

_NAMED = 8
"""Classes that a line names at most; --json has them all."""


@click.command(short_help="Classes with probabilities, or values, from a model with a head.")
@model_argument
@data_argument
@click.option("-o", "--output", type=PATH, help=".csv or .tsv: classes and probabilities, or "
              "values, behind the file or id of the row where it has one; .npy: the numbers alone, "
              "float32.")  # fmt: skip
@click.option("--labels", type=PATH, help="What is true of each row: prints the share that is "
              "right, or R^2; rows of the head's unknown label do not count, those of a class "
              "that it never saw are wrong. Data with labels of their own, as in "
              "table.csv:label=kind, need none.")  # fmt: skip
@json_option
def predict(
    model: Path, data: str, output: Path | None, labels: Path | None, as_json: bool
) -> None:
    """Predict the class or the value of each row of DATA; MODEL comes from `narrows head`.

    Of a head of several targets -o has a column for each, by its name.
    """
    import numpy as np

    from narrows.cli._heads import labels_brought, one_label_a_row, open_head
    from narrows.writers.tables import check_rows_file, is_table, write_rows, write_table

    if output is not None:
        check_rows_file(output, *filter(None, (model, data, labels)))
    fitted = open_head(model, "predict")
    classify = hasattr(fitted, "classes_")
    several = not classify and np.ndim(fitted.y_mean_) == 1
    found = open_with_columns(data, {}, like=fitted.autoencoder_, as_targets=several)
    opened, brought = found.rows, labels_brought(found.rows)
    if found.targets is not None and not several:
        raise click.UsageError(f"{data}: names several labels, and {model} says one; name that.")
    if output is None and labels is None and brought is None and found.targets is None:
        raise click.UsageError("give -o, --labels or both.")
    numbers = fitted.predict_proba(opened) if classify else fitted.predict(opened)
    numbers = numbers if classify or several else numbers[:, None]
    n = len(numbers)
    results: dict[str, Any] = {"rows": n}
    said = fitted.classes_[numbers.argmax(axis=1)] if classify else numbers[:, 0]
    if several and (labels is not None or found.targets is not None):
        results |= _r2_of_each(found.targets, labels, numbers, fitted, data)
    elif not several and (labels is not None or _brings_truth(opened, brought, fitted)):
        truth, named = one_label_a_row(opened, labels, n, gaps=True), labels or data
        results |= _accuracy(truth, said, fitted, named) if classify else _r2(truth, said, named)
    if output is not None:
        names = [f"p({c})" for c in fitted.classes_] if classify else _value_names(fitted)
        if is_table(output):
            called = row_names(opened)
            columns: dict[str, Any] = {}
            if called is not None:
                columns[called[0] + "_" * (called[0] in names)] = called[1]
            columns |= {"class": said} if classify else {}
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


def _brings_truth(opened: Any, labels: Any, fitted: Any) -> bool:
    """Return whether the data bring any label; folders may be called anything, and are labels if
    one is called as a class of the head is."""
    import numpy as np

    from narrows.cli._heads import same_labels

    if labels is None or not (labels != "").any():
        return False
    if not Path(opened.origin).is_dir():
        return True
    kinds = np.unique(labels)
    classes = getattr(fitted, "classes_", ())
    return any(bool(same_labels(kinds, label).any()) for label in classes)


def _accuracy(truth: Any, said: Any, fitted: Any, labels: Path | str) -> dict[str, Any]:
    """Return the share that is right of the rows whose class is known, and how many are not."""
    from narrows.cli._heads import same_labels
    from narrows.errors import InvalidData

    right, unknown = same_labels(truth, said), _empty(truth)
    if fitted.missing_label is not None:
        unknown |= same_labels(truth, fitted.missing_label)
    if unknown.all():
        raise InvalidData(
            f"{labels}: every label is {fitted.missing_label!r}, which means none to this head."
            if fitted.missing_label is not None
            else f"{labels}: no row has a label."
        )
    found: dict[str, Any] = {"accuracy": float(right[~unknown].mean())}
    if fitted.missing_label is not None or unknown.any():
        found["rows_without_label"] = int(unknown.sum())
    return found | _unseen(truth[~unknown], fitted.classes_)


def _unseen(truth: Any, classes: Any) -> dict[str, Any]:
    """Return how many rows are of other classes than these, and their names; {} if none are."""
    import numpy as np

    from narrows.cli._heads import same_labels

    kinds, counts = np.unique(truth, return_counts=True)
    new = ~np.any([same_labels(kinds, label) for label in classes], axis=0)
    if not new.any():
        return {}
    return {
        "rows_of_unseen_classes": int(counts[new].sum()),
        "unseen_classes": [str(label) for label in kinds[new]],
    }


def _r2(truth: Any, said: Any, labels: Path | str) -> dict[str, Any]:
    import numpy as np
    from sklearn.metrics import r2_score

    from narrows.errors import InvalidData

    unknown = _empty(truth)
    try:
        found = {"r2": float(r2_score(truth[~unknown].astype(np.float64), said[~unknown]))}
    except ValueError as error:
        raise InvalidData(f"{labels}: values cannot be compared: {error}.") from None
    return {**found, "rows_without_label": int(unknown.sum())} if unknown.any() else found


def _value_names(fitted: Any) -> list[str]:
    """Return what the columns of a regressor are called: its targets, or "value"."""
    import numpy as np

    names, n = fitted.target_names_, np.size(fitted.y_mean_)
    if names is not None and len(set(names)) == n:
        return list(names)
    return ["value"] if n == 1 else [f"value {j}" for j in range(n)]


def _r2_of_each(
    targets: Targets | None, labels: Path | None, said: Any, fitted: Any, data: str
) -> dict[str, Any]:
    """Return R^2 of every target that DATA or a file of labels name, and their mean."""
    import numpy as np

    from narrows.applications.heads.prediction import mean_r2, r2_of_targets
    from narrows.errors import InvalidData

    if labels is not None:
        targets = targets_in_file(labels, len(said), as_targets=True)
    names = _value_names(fitted)
    if targets is None:
        columns = ",".join(f"label={name}" for name in names)
        raise InvalidData(f"{labels}: name the columns of the targets: y.csv:{columns}.")
    unknown = [name for name in targets.names if name not in names]
    if unknown:
        raise InvalidData(
            f"{labels or data}: label={unknown[0]} is no target of this head, which has "
            f"{', '.join(names)}."
        )
    at = [names.index(name) for name in targets.names]
    of_each = r2_of_targets(targets.values, said[:, at])
    found: dict[str, Any] = {
        "r2": mean_r2(of_each),
        "r2_of_targets": dict(zip(targets.names, of_each.tolist(), strict=True)),
    }
    without = np.isnan(targets.values).all(axis=1)
    return {**found, "rows_without_label": int(without.sum())} if without.any() else found


def _empty(truth: Any) -> Any:
    """Return where there is no label, (n_rows,)."""
    import numpy as np

    return truth == "" if truth.dtype.kind == "U" else np.zeros(len(truth), dtype=bool)
