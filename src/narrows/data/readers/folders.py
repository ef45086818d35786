"""List the files of a folder by kind: images, texts, tables, and others."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from narrows.data.readers.kinds import HEAD, is_gzipped, is_idx, not_text
from narrows.errors import InvalidData, unknown_name

__all__ = [
    "FOLDER_KINDS",
    "IMAGE_SUFFIXES",
    "FolderContents",
    "check_folder_kind",
    "folder_contents",
    "folder_kind",
    "image_files",
    "images_in",
    "text_files",
]

FOLDER_KINDS = ("images", "texts")
"""What a folder can be read as."""

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_ROW_SUFFIXES = set(
    ".npy .npz .csv .tsv .parquet .pq .jsonl .ndjson .svmlight .libsvm .arrow .feather .xls "
    ".xlsx .ods .h5 .hdf5 .mat".split()
)
_TEXT_SUFFIXES = set(".txt .text .md .rst .tex .log .eml .html .htm .xml .srt .org".split())
_OTHER_SUFFIXES = set(
    ".pdf .zip .gz .bz2 .xz .zst .7z .rar .tar .tgz .doc .docx .odt .rtf .ppt .pptx .odp .epub "
    ".mobi .ps .mp3 .wav .flac .ogg .mp4 .mov .avi .mkv .heic .avif .svg .psd .ico .pkl .pickle "
    ".pt .pth .safetensors .onnx .index .db .sqlite .exe .dll .so .o .a .pyc .class .jar "
    ".ttf .otf .woff .woff2".split()
)
_CLUTTER = {"thumbs.db", "desktop.ini"}
"""Files that operating systems create in folders, in addition to hidden files."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass
class FolderContents:
    """The number of files of each kind in a folder and its subfolders, by suffix."""

    images: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Path] = field(default_factory=dict)

    def described(self) -> str:
        """Return a description such as "12 images (.png) and 40 texts (39 .txt, 1 .md)"."""
        named = (
            ("image", self.images),
            ("text", self.texts),
            ("file of rows", self.rows),
            ("other file", self.others),
        )
        parts = [_counted(name, suffixes) for name, suffixes in named if suffixes]
        return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "no files"


def folder_kind(folder: Path) -> str:
    """Return the kind of all files of a folder, "images" or "texts".

    Raises
    ------
    InvalidData
        If it holds files of several kinds, with their numbers and how to choose one kind; or no
        files that can be read.
    """
    found = folder_contents(folder)
    if found.images and not (found.texts or found.rows or found.others):
        return "images"
    if found.texts and not (found.images or found.rows or found.others):
        return "texts"
    holds = f"{folder}: holds {found.described()}"
    if found.images or found.texts:
        least = min(found.examples, key=lambda kind: getattr(found, kind).total())
        raise InvalidData(
            f"{holds}, such as {found.examples[least]}. Choose a kind: "
            f"{folder}:kind=images or {folder}:kind=texts, in Python "
            'read(folder, kind="images") or read_documents(folder, kind="texts"); the other files '
            "are then skipped."
        )
    if found.rows:
        raise InvalidData(
            f"{holds}: a folder must hold images or texts. Give one file, such as "
            f"{found.examples['rows']}; if they are parts of one table, join them in one file "
            "first, such as by numpy.concatenate, pandas.concat or pyarrow.dataset."
        )
    if found.others:
        raise InvalidData(
            f"{holds}, such as {found.examples['others']}, but no images or texts; convert "
            "them first, such as documents to .txt."
        )
    raise InvalidData(f"{folder}: no files in it: no image files and no text files.")


def check_folder_kind(kind: object) -> None:
    """Raise UsageError unless ``kind`` is one of ``FOLDER_KINDS``."""
    if not isinstance(kind, str) or kind not in FOLDER_KINDS:
        raise unknown_name("kind", kind, FOLDER_KINDS)


def folder_contents(folder: Path) -> FolderContents:
    """Count the files of a folder by suffix; the first bytes decide for unknown suffixes.

    Raises
    ------
    InvalidData
        See ``files_in``; also if a file cannot be read.
    """
    found = FolderContents()
    for parts, path in files_in(folder):
        suffix = _suffix(parts[-1])
        kind = _kind(path, suffix)
        if kind is None:
            kind = "texts" if _may_be_text(path) else "others"
        getattr(found, kind)[suffix] += 1
        found.examples.setdefault(kind, path)
    return found


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _kind(path: Path, suffix: str) -> str | None:
    """Return the kind of a file by its name, or None if the suffix is unknown."""
    if suffix in IMAGE_SUFFIXES:
        return "images"
    inner = _suffix(path.stem) if is_gzipped(path) else suffix
    if inner in _ROW_SUFFIXES or is_idx(path):
        return "rows"
    if suffix in _OTHER_SUFFIXES:
        return "others"
    return "texts" if suffix in _TEXT_SUFFIXES else None


def _may_be_text(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return not_text(file.read(HEAD)) is None
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read: {error.strerror}.") from None


def _counted(name: str, suffixes: Counter[str]) -> str:
    """Return a description such as "3 images (2 .png, 1 .jpg)"."""
    total, known = suffixes.total(), suffixes.most_common(4)
    several = {"file of rows": "files of rows"}.get(name, f"{name}s")
    if len(suffixes) == 1:
        shown = known[0][0] or "no suffix"
    else:
        shown = ", ".join(f"{n:,} {suffix or 'without suffix'}" for suffix, n in known)
        shown += ", ..." if len(suffixes) > len(known) else ""
    return f"{total:,} {name if total == 1 else several} ({shown})"


def files_in(folder: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the files of a folder and its subfolders in order, as (parts of the path in it, path).

    Hidden files and folders, whose names begin with a dot, are skipped; links are followed. Memory
    holds the names of one folder and of the folders above it.

    Raises
    ------
    InvalidData
        Naming the path: for a folder that cannot be read, or that a link reaches again; for a pipe,
        socket or device; for a broken link.
    """
    places = {_identity(folder): str(folder)}
    waiting = [iter(_shown(folder))]
    above: list[str] = []
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            if above:
                above.pop()
        elif _is_folder(entry):
            inner = Path(entry.path)
            before = places.setdefault(_identity(inner), entry.path)
            if before != entry.path:
                raise InvalidData(
                    f"{inner}: is the same folder as {before}, through a link; its files would be "
                    "read twice, or without end. Remove the link."
                )
            above.append(entry.name)
            waiting.append(iter(_shown(inner)))
        elif entry.name.lower() not in _CLUTTER:
            yield (*above, entry.name), Path(entry.path)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        found = os.stat(folder)
    except OSError as error:
        raise InvalidData(f"{folder}: cannot be read: {error.strerror}.") from None
    return found.st_dev, found.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; refuse entries that are neither folder nor file."""
    if entry.is_file(follow_symlinks=False):
        return False  # the usual case, without a stat of the file
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        raise InvalidData(
            f"{entry.path}: a link that cannot be followed: {error.strerror}; remove it."
        ) from None
    for is_kind, what in _SPECIAL:
        if is_kind(mode):
            raise InvalidData(f"{entry.path}: {what}, not a regular file; remove it.")
    return stat.S_ISDIR(mode)


def _shown(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InvalidData(f"{folder}: cannot be read: {error.strerror}.") from None
    return sorted(kept, key=lambda entry: entry.name)


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder and its subfolders, by suffix, in order.

    Raises
    ------
    InvalidData
        If there is no image; see also ``files_in``.
    """
    paths = [*images_in(folder)]
    if not paths:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidData(f"{folder}: no image files ({kinds}).")
    return paths


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the images of a folder and its subfolders; other files are skipped."""
    return (path for parts, path in files_in(folder) if _suffix(parts[-1]) in IMAGE_SUFFIXES)


def text_files(folder: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield the texts of a folder and its subfolders; other files are skipped."""
    for parts, path in files_in(folder):
        kind = _kind(path, _suffix(parts[-1]))
        if kind == "texts" or (kind is None and _may_be_text(path)):
            yield parts, path
