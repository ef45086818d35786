"""A folder of text files: one document a file, its class the subfolder that it lies in."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from narrows.data.readers.folders import IMAGE_SUFFIXES, shown
from narrows.errors import InvalidData
from narrows.text.documents import MAX_CHARACTERS, Document, Documents, clean

__all__ = ["read_folder", "text_files"]

_HEAD = 8192
_MAX_BYTES = 4 * MAX_CHARACTERS  # UTF-8 takes at most 4 a character
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_folder(folder: Path) -> Documents:
    """Return the text files of a folder and its subfolders, in the order of their names.

    The id is the path within the folder. If there are subfolders, the first one is the label, as
    scikit-learn's ``load_files`` has it. Hidden files and images are passed over, and links to
    folders are not followed.

    Files are UTF-8, or UTF-16 with a byte-order mark. Old collections mix encodings, so bytes
    that are neither become U+FFFD, which is no letter: words around them are found.

    Raises
    ------
    InvalidData
        Naming the file: too long, or not text (more than one byte in a hundred of its start is
        zero).
    """
    first = None
    labelled = False
    for parts, _ in text_files(folder):
        first = first or parts
        if len(parts) > 1:
            labelled = True
            break
    if first is None:
        raise InvalidData(f"{folder}: no text files.")
    return Documents(lambda: _documents(folder), origin=str(folder), labelled=labelled)


def _documents(folder: Path) -> Iterator[Document]:
    for parts, path in text_files(folder):
        name = clean("/".join(parts), str(path))
        labels = (clean(parts[0], str(path)),) if len(parts) > 1 else ()
        yield Document(name, clean(_content(path), str(path)), labels)


def text_files(folder: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the files that may be text, as parts of the path within the folder, and the path.

    One folder's names are in memory at a time, and those of the folders above it.
    """
    waiting = [iter(shown(folder))]
    above: list[str] = []
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            if above:
                above.pop()
        elif entry.is_dir(follow_symlinks=False):
            above.append(entry.name)
            waiting.append(iter(shown(Path(entry.path))))
        elif entry.is_file() and os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:
            yield (*above, entry.name), Path(entry.path)


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
    head = data[:_HEAD]
    zeros = head.count(0)
    if zeros * 100 > len(head):
        raise InvalidData(
            f"{path}: not text: {zeros} of its first {len(head)} bytes are zero; remove it, or "
            "save it as UTF-8."
        )
    return data.decode("utf-8-sig", "replace")
