"""What kind of file a name says, by its suffix: in letters of either case, folded or not."""

from __future__ import annotations

from pathlib import Path

from narrows.errors import InvalidData

__all__ = ["SEPARATORS", "is_folded", "is_idx", "kind_of", "unknown_kind"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""The tables of text that are written, and what stands between their cells."""

_WHOLE = (".npy", ".npz", ".parquet", ".pq")
"""Kinds that no reader unfolds: they are compressed in themselves, or mapped."""

_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")


def is_folded(path: Path) -> bool:
    """Return whether the name ends in .gz."""
    return path.suffix.lower() == ".gz"


def kind_of(path: Path) -> str:
    """Return the suffix in small letters, "" if there is none; that before .gz where a reader
    unfolds it: ``.csv`` of ``T.CSV.GZ``, but ``.gz`` of ``x.npy.gz``."""
    inner = Path(path.stem).suffix.lower() if is_folded(path) else ""
    return inner if inner and inner not in _WHOLE else path.suffix.lower()


def is_idx(path: Path) -> bool:
    """Return whether the name says IDX: ubyte in it, as in those of MNIST, or .idx."""
    return "ubyte" in path.name.lower() or kind_of(path) == ".idx"


def unknown_kind(path: Path, way_out: str) -> InvalidData:
    """Return the error for a file whose kind no reader reads; ``way_out`` says which they read."""
    kind = kind_of(path)
    if kind in _SPREADSHEETS:
        way_out = "save the sheet as CSV (UTF-8)"
    return InvalidData(f"{path}: unknown kind of file {kind!r}; {way_out}.")
