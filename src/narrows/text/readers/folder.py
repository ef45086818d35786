"""Read the documents in a folder of text files; subfolders are their labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from narrows.data.readers.folders import check_folder_kind, folder_kind, text_files
from narrows.data.readers.kinds import HEAD, UTF16_MARKS, not_text
from narrows.errors import InvalidData
from narrows.text.documents import MAX_CHARACTERS, Document, Documents, clean

__all__ = ["read_folder"]

_MAX_BYTES = 4 * MAX_CHARACTERS  # UTF-8 has at most 4 bytes per character


def read_folder(folder: Path, *, kind: str | None = None) -> Documents:
    """Return the text files of a folder and its subfolders, sorted by name.

    The id of a document is its path in the folder. The first subfolder, if any, is its label, as in
    scikit-learn's ``load_files``. Hidden files are skipped; links to folders are followed. With
    ``kind="texts"`` other files are skipped too: images, tables, and files that are not text by
    their suffix or first bytes. Otherwise a folder that holds other files is refused.

    Files are UTF-8, or UTF-16 with a byte-order mark. Old collections mix encodings, so other bytes
    become U+FFFD, which is not a letter: the words around them are found.

    Raises
    ------
    InvalidData
        Naming the file that is too long, not text, a pipe, or a link to a folder above; or naming
        the kinds of files in the folder, if they are not texts alone and ``kind`` is not "texts".
    """
    if kind is None:
        kind = folder_kind(folder)
    check_folder_kind(kind)
    if kind != "texts":
        raise InvalidData(f"{folder}: no text files; read images with narrows.read.")
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
    if data.startswith(UTF16_MARKS):
        return data.decode("utf-16", "replace")
    why = not_text(data[:HEAD])
    if why is not None:
        raise InvalidData(f"{path}: not text: {why}; remove it, or save it as text in UTF-8.")
    return data.decode("utf-8-sig", "replace")
