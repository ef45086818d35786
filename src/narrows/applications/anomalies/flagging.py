"""Flag anomalies by a p-value threshold or a contamination rate.

With m held-out rows no p-value is below 1 / (m + 1), so a lower level never flags a row, unless
p-values continue below it by a tail. The default level is raised to that value; if that is above
``MAX_LEVEL``, a share of the rows is flagged instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from narrows.applications.anomalies.p_values import conformal_p_values, tail_p_values
from narrows.core.checks import check_number
from narrows.errors import UsageError

__all__ = [
    "DEFAULT_LEVEL",
    "DEFAULT_SHARE",
    "MAX_LEVEL",
    "FlaggedRows",
    "check_rule",
    "flag_rows",
    "most_anomalous",
    "reachable_level",
    "top_share",
]

DEFAULT_LEVEL = 0.01
MAX_LEVEL = 0.1
"""The highest default level: at a higher one too many normal rows would be flagged."""

DEFAULT_SHARE = 0.1
_MOST_ROWS = 1e9
"""The message never suggests to hold out more rows than this."""


@dataclass(frozen=True)
class FlaggedRows:
    """Scores of rows, which rows are flagged as anomalies, and the rule.

    ``errors`` (n_rows,) are larger for anomalies; ``p_values`` (n_rows,) are None if no rows were
    held out. The number of the rule is ``alpha`` or ``contamination``; the other is None.
    ``training_rows`` tells whether the model was fitted to these rows.
    """

    errors: np.ndarray
    p_values: np.ndarray | None
    flagged: np.ndarray
    rule: str
    alpha: float | None
    contamination: float | None
    n_calibration: int
    training_rows: bool = False

    @property
    def smallest_p_value(self) -> float | None:
        """1 / (m + 1), the smallest rank among m held-out rows; None without any."""
        return None if self.p_values is None else 1 / (self.n_calibration + 1)

    def columns(self) -> dict[str, np.ndarray]:
        """Return error, p-value (NaN if there is none) and flag (1 or 0) of all rows, float32."""
        p_values = self.p_values
        if p_values is None:
            p_values = np.full(len(self.errors), np.nan)
        columns = {"error": self.errors, "p_value": p_values, "flagged": self.flagged}
        return {name: values.astype(np.float32) for name, values in columns.items()}

    def __str__(self) -> str:
        return f"{int(self.flagged.sum())} of {len(self.errors)} rows are flagged: {self.rule}"


def check_rule(alpha: float | None, contamination: float | None) -> None:
    """Refuse a level or share out of range, and both together.

    Raises
    ------
    UsageError
    """
    if alpha is not None and contamination is not None:
        raise UsageError(
            f"alpha={alpha!r}, contamination={contamination!r}: give one of the two, a level for "
            "p-values or the share of the rows to flag."
        )
    if alpha is not None:
        check_number("alpha", alpha, low=0, high=1, low_open=True)
    if contamination is not None:
        check_number("contamination", contamination, low=0, high=0.5, low_open=True)


def most_anomalous(errors: np.ndarray, n: int) -> np.ndarray:
    """Return the numbers of the ``n`` rows with the largest errors, the largest first."""
    return np.argsort(-errors, kind="stable")[:n]


def reachable_level(default: float, n_calibration: int) -> float:
    """Return the default level, or the smallest possible p-value if that is larger."""
    return max(default, 1 / (n_calibration + 1))


def top_share(errors: np.ndarray, share: float) -> np.ndarray:
    """Return which rows have errors above the (1 - share) quantile, boolean (n_rows,).

    These are the ceil(share * (n_rows - 1)) rows with the largest errors, as with scikit-learn's
    ``contamination``: at least one if there are two rows or more. Rows that tie with the largest
    error below the limit are not flagged, so ties can only make the number smaller.
    """
    n_flagged = math.ceil(share * (len(errors) - 1) - 1e-9)  # 0.1 * 10 is not exactly 1
    return errors > np.sort(errors)[len(errors) - 1 - n_flagged]


def flag_rows(
    errors: np.ndarray,
    calibration: np.ndarray | None,
    *,
    alpha: float | None = None,
    contamination: float | None = None,
    training_rows: bool = False,
    tail: bool = False,
) -> FlaggedRows:
    """Flag rows by ``alpha``, by ``contamination``, or by the default rule.

    ``calibration`` (m,) holds the sorted errors of held-out rows, or is None. ``tail`` continues
    the p-values below 1 / (m + 1), as ``tail_p_values`` does. The default rule is
    p <= 0.01, or p <= 1 / (m + 1) if that is larger. With fewer than 9 held-out rows, for which
    that is above 0.1, it flags the tenth of the rows with the largest errors.

    Raises
    ------
    UsageError
        If both numbers are given, or a level without held-out rows.
    """
    check_rule(alpha, contamination)
    n = 0 if calibration is None else len(calibration)
    p_values = None
    if calibration is not None:
        p_values = (tail_p_values if tail else conformal_p_values)(errors, calibration)
    if contamination is None and alpha is None:
        alpha, contamination, rule = _default(n)
    elif alpha is not None:
        rule = _level_text(alpha, n, tail)
    else:
        rule = _share_text(float(contamination or 0))
    if alpha is None:
        flagged = top_share(_comparable(errors), float(contamination or 0))
    elif p_values is None:
        raise UsageError(
            f"alpha={alpha!r}: needs p-values, and no rows were held out to compute them from; "
            "give such rows (X_calibration, --calibrate DATA), or contamination, the share of the "
            "rows to flag."
        )
    else:
        flagged = p_values <= alpha
    return FlaggedRows(errors, p_values, flagged, rule, alpha, contamination, n, training_rows)


def _default(n: int) -> tuple[float | None, float | None, str]:
    """Return the default level or share (the other is None) for ``n`` held-out rows, and the rule
    in words."""
    smallest = 1 / (n + 1)
    if smallest > MAX_LEVEL:
        few = f"the only {n} held-out rows allow" if n > 1 else "one held-out row allows"
        why = f"{few} no p-value below {smallest:.3g}" if n else "without held-out rows no p-values"
        more = "--calibrate DATA (X_calibration) gives held-out rows"
        return None, DEFAULT_SHARE, f"{_share_text(DEFAULT_SHARE)} ({why}; {more})"
    if smallest <= DEFAULT_LEVEL:
        return DEFAULT_LEVEL, None, f"p <= {DEFAULT_LEVEL:g}"
    rule = (
        f"p <= {smallest:.3g}, the smallest p-value that {n} held-out rows allow (p <= "
        f"{DEFAULT_LEVEL:g} takes {round(1 / DEFAULT_LEVEL) - 1} of them)"
    )
    return smallest, None, rule


def _level_text(alpha: float, n: int, tail: bool) -> str:
    smallest = 1 / (n + 1)
    if alpha == smallest:
        return f"p <= {alpha:.3g}, the smallest p-value that {n} held-out rows allow"
    if alpha > smallest:
        return f"p <= {alpha:g}"
    if tail:
        return (
            f"p <= {alpha:g}, below {smallest:.3g} by a tail fitted to the largest scores of {n} "
            "held-out rows"
        )
    more = ""
    if 1 / alpha <= _MOST_ROWS:
        needed = math.ceil(1 / alpha - 1e-9) - 1
        more = f"{needed} held-out rows or more (--calibrate DATA, X_calibration), "
    return (
        f"p <= {alpha:g}, but no p-value can be below {smallest:.3g}, 1 / (the number of held-out "
        f"rows + 1): give {more}a larger alpha, or contamination, the share of the rows to flag"
    )


def _share_text(share: float) -> str:
    return f"the {100 * share:.3g}% of the rows with the largest errors, ties at the limit left out"


def _comparable(errors: np.ndarray) -> np.ndarray:
    """Return the errors with NaN as the largest."""
    return np.where(np.isnan(errors), np.inf, errors)
