"""What a head reached, and y that its task cannot learn."""

from __future__ import annotations

from typing import Any

__all__ = ["check_classes", "numbers", "reached"]

_MANY = 20
"""So many numbers with fractions are a quantity, though each may be called a class."""


def reached(fitted: Any, source: Any, y: Any, task: str, apart: Any = None) -> dict[str, Any]:
    """Return how right a classifier or a regressor is on its rows: accuracy, or R^2.

    Rows that it was trained on, and those held out: of ``apart``, rows and their y, where these
    were given, else of its own. Of classes also what always saying the commonest one would reach;
    where labels are unknown, how many are told.
    """
    import numpy as np
    import torch

    what = "accuracy" if task == "classify" else "r2"
    found: dict[str, Any] = {}
    y = getattr(y, "values", y)
    told = _told(fitted, y, task)
    parts = {"training": (source, y, fitted.training_rows_)}
    if apart is None:
        parts["held_out"] = (source, y, fitted.held_out_rows_)
    else:
        values = getattr(apart[1], "values", apart[1])
        parts["held_out"] = (apart[0], values, np.arange(len(values)))
    for where, (rows_of, y_of, rows) in parts.items():
        known = _told(fitted, y_of, task)
        found[f"{where}_rows"] = len(rows)
        if not told.all():
            found[f"{where}_labels"] = int(known[rows].sum())
        if len(rows) > 1:  # of one row there is no R^2
            of_part = rows_of.subset(torch.from_numpy(rows))
            found[f"{where}_{what}"] = float(fitted.score(of_part, y_of[rows]))
    if task == "classify":
        counts = np.unique(y[told], return_counts=True)[1]
        found["commonest_class_share"] = float(counts.max() / counts.sum())
    return found


def _told(fitted: Any, y: Any, task: str) -> Any:
    """Return where a label is known, bool (n_rows,)."""
    import numpy as np

    from narrows.cli._heads import same_labels

    unknown = fitted.missing_label if task == "classify" else None
    return np.ones(len(y), dtype=bool) if unknown is None else ~same_labels(y, unknown)


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


def numbers(y: Any, origin: str, *, option: str = "--task regress", gaps: bool = False) -> Any:
    """Return y as numbers, float64; with ``gaps``, NaN for "".

    ``option`` is what needs them.

    Raises
    ------
    InvalidData
        Naming the first row whose label is none.
    """
    import numpy as np

    from narrows.cli._heads import number_of
    from narrows.errors import InvalidData

    if gaps and y.dtype.kind == "U":
        y = np.where(y == "", "nan", y)
    for row, label in enumerate(y.tolist() if y.dtype.kind == "U" else ()):
        if not label.strip():
            more = ", 0 leaves the row out" if option == "--weights" else ""
            raise InvalidData(
                f"{origin}, row {row} (the first is 0): {option} needs a number in every row, and "
                f"this cell is empty; fill it in{more}."
            )
        if isinstance(number_of(label), str):
            words = "use --task classify for words, or " if option == "--task regress" else ""
            raise InvalidData(
                f"{origin}, row {row} (the first is 0): {option} needs numbers, got {label!r}; "
                f"{words}name a column of numbers."
            )
    return y.astype(np.float64)
