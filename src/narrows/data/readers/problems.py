"""Collect the problems of a file, to report several in one error."""

from __future__ import annotations

from types import TracebackType

from narrows.errors import InvalidData

__all__ = ["Problems"]

_MOST = 5


class Problems:
    """Keep the errors that are raised inside ``with problems:``, and raise them together.

    The fifth error raises all five at once; ``finish`` raises fewer.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, InvalidData):
            return False
        self._found.append(str(error))
        if len(self._found) >= _MOST:
            self.finish()
        return True

    def finish(self) -> None:
        """Raise what was found.

        Raises
        ------
        InvalidData
        """
        if self._found:
            more = " There may be more." if len(self._found) >= _MOST else ""
            raise InvalidData("\n".join(self._found) + more) from None
