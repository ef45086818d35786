"""What a head reached, and y that its task cannot learn."""

from __future__ import annotations

from typing import Any

__all__ = ["check_classes", "numbers", "reached"]

_MANY = 20
"""So many numbers with fractions are a quantity, though each may be called a class."""


def reached(fitted: Any, source: Any, y: Any, task: str) -> dict[str, Any]:
    """Return how right a classifier or a regressor is on its rows: accuracy, or R^2.

    Rows that it was trained on, and, where there are any, those held out; and, of classes, what
    always saying the commonest one would reach; where labels are unknown, how many are told.
    """
    import numpy as np
    import torch

    from narrows.cli._heads import same_labels

    what = "accuracy" if task == "classify" else "r2"
    held_out = np.zeros(source.n_rows, dtype=bool)
    held_out[fitted.held_out_rows_] = True
    unknown = fitted.missing_label if task == "classify" else None
    told = np.ones(len(y), dtype=bool) if unknown is None else ~same_labels(y, unknown)
    found: dict[str, Any] = {}
    for where, part in (("training", ~held_out), ("held_out", held_out)):
        rows = np.flatnonzero(part)
        found[f"{where}_rows"] = len(rows)
        if not told.all():
            found[f"{where}_labels"] = int(told[rows].sum())
        if len(rows) > 1:  # of one row there is no R^2
            of_part = source.subset(torch.from_numpy(rows))
            found[f"{where}_{what}"] = float(fitted.score(of_part, y[rows]))
    if task == "classify":
        counts = np.unique(y[told], return_counts=True)[1]
        found["commonest_class_share"] = float(counts.max() / counts.sum())
    return found


def check_classes(y: Any, origin: str) -> None:
    """Refuse classes that are texts of many numbers with fractions: a quantity.

    Raises
    ------
    InvalidData
    """
    import numpy as np

    from narrows.cli._heads import number_of
    from narrows.errors import InvalidData

    if y.dtype.kind != "U":
        return
    values = [number_of(label) for label in np.unique(y[y != ""]).tolist()]
    if len(values) <= _MANY or any(isinstance(value, str) for value in values):
        return
    odd = [value for value in values if value != value or value % 1]
    if odd:
        raise InvalidData(
            f"{origin}: --task classify got {len(values)} numbers, such as {odd[0]:g}, which are "
            "no classes; use --task regress, or write the class of every row in their place."
        )


def numbers(y: Any, origin: str) -> Any:
    """Return y as numbers, float64.

    Raises
    ------
    InvalidData
        Naming the first row whose label is none.
    """
    import numpy as np

    from narrows.cli._heads import number_of
    from narrows.errors import InvalidData

    for row, label in enumerate(y.tolist() if y.dtype.kind == "U" else ()):
        if isinstance(number_of(label), str):
            raise InvalidData(
                f"{origin}, row {row}: --task regress needs numbers, got {label!r}; use --task "
                "classify for words, or name a column of numbers."
            )
    return y.astype(np.float64)
