"""What a search in an index answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Hit"]


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    ``distance`` is in bits that differ, or 1 - cosine of float codes; ``cosine`` is that of the
    vectors, where they decided the order.
    """

    name: str
    distance: float
    metadata: dict[str, Any]
    cosine: float | None = None
