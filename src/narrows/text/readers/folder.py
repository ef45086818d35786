"""A folder of text files: one document a file, its class the subfolder that it lies in."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from narrows.data.readers.contents import HEAD, not_text
from narrows.data.readers.folders import check_folder_kind, folder_kind, text_files
from narrows.errors import InvalidData
from narrows.text.documents import MAX_CHARACTERS, Document, Documents, clean

__all__ = ["read_folder"]

_MAX_BYTES = 4 * MAX_CHARACTERS  # UTF-8 takes at most 4 a character
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_folder(folder: Path, *, kind: str | None = None) -> Documents:
    """Return the text files of a folder and its subfolders, in the order of their names.

    The id is the path within the folder. If there are subfolders, the first one is the label, as
    scikit-learn's ``load_files`` has it. Hidden files are passed over; links to folders are
    followed. A folder that holds other files too is read with ``kind="texts"``, which passes over
    them: images, tables, and what its suffix or its first bytes say is no text.

    Files are UTF-8, or UTF-16 with a byte-order mark. Old collections mix encodings, so bytes
    that are neither become U+FFFD, which is no letter: words around them are found.

    Raises
    ------
    InvalidData
        Naming the file: too long, or not text; a pipe, or a link that leads back. Saying what the
        folder holds, if that is not texts alone and ``kind`` does not say that they are meant.
    """
    if kind is None:
        kind = folder_kind(folder)
    check_folder_kind(kind)
    if kind != "texts":
        raise InvalidData(f"{folder}: no text files: images are read as rows, by narrows.read.")
    first = None
    labeled = False
    for parts, _ in text_files(folder):
        first = first or parts
        if len(parts) > 1:
            labeled = True
            break
    if first is None:
        raise InvalidData(f"{folder}: no text files.")
    return Documents(lambda: _documents(folder), origin=str(folder), labeled=labeled)


def _documents(folder: Path) -> Iterator[Document]:
    for parts, path in text_files(folder):
        name = clean("/".join(parts), str(path))
        labels = (clean(parts[0], str(path)),) if len(parts) > 1 else ()
        yield Document(name, clean(_content(path), str(path)), labels)


def _content(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read: {error.strerror}.") from None
    if len(data) > _MAX_BYTES:
        raise InvalidData(
            f"{path}: a document of more than {_MAX_BYTES:,} bytes; split it into several."
        )
    if data.startswith(_UTF16):
        return data.decode("utf-16", "replace")
    why = not_text(data[:HEAD])
    if why is not None:
        raise InvalidData(f"{path}: not text: {why}; remove it, or save it as text in UTF-8.")
    return data.decode("utf-8-sig", "replace")
