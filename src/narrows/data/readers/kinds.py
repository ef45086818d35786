"""Tell the kind of a file by its name or its first bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

from narrows.errors import InvalidData

__all__ = [
    "HEAD",
    "SEPARATORS",
    "UTF16_MARKS",
    "is_gzipped",
    "is_idx",
    "kind_of",
    "not_text",
    "unknown_kind",
]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Suffixes of text tables, and their separators when written."""

_WHOLE = (".npy", ".npz", ".parquet", ".pq")
"""Kinds that are not read from .gz, because they are compressed or mapped themselves."""

_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")


def is_gzipped(path: Path) -> bool:
    """Return whether the name ends in .gz."""
    return path.suffix.lower() == ".gz"


def kind_of(path: Path) -> str:
    """Return the suffix in lower case, or "" if there is none.

    It is the suffix before .gz if that kind is read from .gz: ``.csv`` for ``T.CSV.GZ``, but
    ``.gz`` for ``x.npy.gz``.
    """
    inner = Path(path.stem).suffix.lower() if is_gzipped(path) else ""
    return inner if inner and inner not in _WHOLE else path.suffix.lower()


def is_idx(path: Path) -> bool:
    """Return whether the name is that of an IDX file: with ubyte in it, as for MNIST, or .idx."""
    return "ubyte" in path.name.lower() or kind_of(path) == ".idx"


def unknown_kind(path: Path, way_out: str) -> InvalidData:
    """Return the error for a file of an unknown kind; ``way_out`` says what to use instead."""
    kind = kind_of(path)
    if kind in _SPREADSHEETS:
        way_out = "save the sheet as CSV (UTF-8)"
    return InvalidData(f"{path}: unknown kind of file {kind!r}; {way_out}.")


HEAD = 8192
"""Number of bytes of a file that are inspected."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KNOWN = (
    (b"%PDF-", "a PDF"),
    (b"PK\3\4", "a zip archive or an office document"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"(\xb5/\xfd", "zstd"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "Parquet"),
    (b"\x89HDF", "HDF5"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"RIFF", "an image, sound or film"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "PostScript"),
    (b"\x7fELF", "a program"),
)
_CONTROLS = bytes({*range(1, 32), 127} - {7, 8, 9, 10, 11, 12, 13, 26, 27})
"""Bytes that do not occur in texts in encodings that extend ASCII. Bells, tabs, line breaks, the
end of a DOS file and escapes do."""


def not_text(head: bytes) -> str | None:
    """Return a description of a file by its first bytes, or None if it may be text.

    It is not text if it begins like a known kind of file, or if more than 1% of the bytes are zero,
    or other control characters, as in compressed data and numbers. Bytes that are not UTF-8 may be
    text in an older encoding. UTF-16 needs a byte-order mark.
    """
    if head.startswith(UTF16_MARKS):
        return None
    for start, what in _KNOWN:
        if head.startswith(start):
            return what
    zeros = head.count(0)
    if zeros * 100 > len(head):
        return f"{zeros} of its first {len(head)} bytes are zero"
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls * 100 > len(head):
        return f"{controls} of its first {len(head)} bytes are control characters"
    return None
