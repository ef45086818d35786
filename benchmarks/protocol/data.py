"""What a loaded data set holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Data"]


@dataclass(frozen=True)
class Data:
    """Rows, and what is known of them.

    ``rows`` are numbers (n, features), images (n, height, width) in [0, 1], or texts (a list).
    ``y`` are classes or, with ``numeric_y``, numbers; with ``anomalies``, 1 marks an anomaly; for
    masks they are (n, height, width). Texts have a title and a body each. ``is_test`` marks the
    rows of a published test half.
    """

    rows: Any
    y: np.ndarray | None = None
    numeric_y: bool = False
    anomalies: bool = False
    titles: list[str] | None = None
    bodies: list[str] | None = None
    is_test: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def classes(self) -> np.ndarray | None:
        """The class of every row, or None if the set has none."""
        return None if self.numeric_y or self.y is None or self.y.ndim > 1 else self.y
