"""Which rows are near, as a constructor asks for it: how many, and by what."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from narrows.checks import check_number
from narrows.data.nearest import EXACT
from narrows.data.source import Source
from narrows.errors import UsageError, unknown_name

__all__ = ["NeighbourChoices"]

_NEIGHBOURS = 10
_BY = ("auto", "rows", "code")


class NeighbourChoices:
    """The arguments ``neighbours`` and ``neighbours_by``, of estimators that have them."""

    @abstractmethod
    def _admits_missing(self) -> bool: ...

    def _check_neighbours(self) -> None:
        if (value := self._asked_for) is not None:
            check_number("neighbours", value, low=0, integer=True)
        if self._asked_by not in _BY:
            raise unknown_name("neighbours_by", self._asked_by, _BY)

    def _neighbours(self, source: Source) -> int:
        """Return how many nearest rows a row is rebuilt with."""
        if self._asked_for is not None:
            return int(self._asked_for)
        few = source.n_rows <= EXACT or self._asked_by == "code"
        return _NEIGHBOURS if few and source.holds_targets and not self._admits_missing() else 0

    def _neighbours_by(self, source: Source, loss: dict[str, Any]) -> str:
        """Return what says which rows are near, of a net of this loss."""
        if self._asked_by != "auto":
            return self._asked_by
        return "code" if loss["name"] == "multinomial" and source.n_rows <= EXACT else "rows"

    def _check_neighbours_of(self, source: Source) -> None:
        if not self._neighbours(source):
            if self._asked_by == "code":
                raise UsageError(
                    "neighbours_by: 'code' says which rows are near, and neighbours is 0: give "
                    "neighbours, such as 20, or neighbours_by='rows'."
                )
            return
        if not source.holds_targets:
            raise UsageError(f"neighbours: {source.origin} is streamed; they need rows in memory.")
        if self._admits_missing():
            raise UsageError(
                "neighbours: rows with missing values have none; set neighbours=0, or another "
                "corruption."
            )

    @property
    def _asked_for(self) -> Any:
        return getattr(self, "neighbours", 0)

    @property
    def _asked_by(self) -> Any:
        return getattr(self, "neighbours_by", "rows")
