"""Tell by the first bytes of a file whether it is text, and if not, what it is."""

from __future__ import annotations

import codecs

__all__ = ["HEAD", "not_text"]

HEAD = 8192
"""How many bytes of a file are looked at."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
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
"""Bytes that no text has in an encoding that extends ASCII; bells, tabs, line breaks, the end of a
DOS file and escapes do occur in texts."""


def not_text(head: bytes) -> str | None:
    """Return what the first bytes of a file are, None if they may be text.

    They are not text if they begin like a known kind of file, or if more than one byte in a hundred
    is zero or another control character, as in compressed data and numbers. Bytes that are not
    UTF-8 may be text: old texts have other encodings. UTF-16 needs its byte-order mark.
    """
    if head.startswith(_UTF16):
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
