"""Write and read model files: safetensors files that contain their own digest.

The file has a single metadata key, "narrows", which holds a JSON object. Its field ``sha256`` is
the SHA-256 of the whole file with these 64 digits set to "0". The reader checks the structure and
then the digest before it creates a tensor, and runs no code from the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from narrows._version import __version__
from narrows.artefact.durable import replacing
from narrows.artefact.strict_json import json_object
from narrows.artefact.tensors import DTYPES, check_layout, tensors_in
from narrows.errors import LaterFormat, ModelFileError

__all__ = ["FORMAT_VERSION", "Artefact", "read_artefact", "write_artefact"]

FORMAT_VERSION = 1
_KEY = "narrows"
_BLANK = "0" * 64
_MAX_HEADER = 64 << 20

# Format n is read by applying MIGRATIONS[n], MIGRATIONS[n + 1], ... to the artefact until the
# current format is reached.
MIGRATIONS: dict[int, Any] = {}

_KIND_NAMES = {"model": "a model file", "index": "an index", "checkpoint": "a checkpoint"}


@dataclass
class Artefact:
    """The content of a file: JSON values and named tensors.

    ``kind`` is "model", "index" or "checkpoint"; a reader expects one kind and refuses the others.
    """

    kind: str
    spec: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def write_artefact(path: str | Path, artefact: Artefact) -> None:
    """Write an artefact to ``path``, atomically and durably.

    Raises
    ------
    ResourceError
        If the disk is full or the folder cannot be written to; an old file is unchanged.
    ModelFileError
        If a tensor is not finite or has an unsupported dtype, or the spec has a value that JSON
        cannot represent.
    """
    for name, tensor in artefact.tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise ModelFileError(f"{path}: tensor {name!r} is {tensor.dtype}, which is not stored.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(f"{path}: tensor {name!r} is not finite; nothing was written.")
    data = _to_bytes(artefact)
    with replacing(Path(path)) as file:
        file.write(data)


def _to_bytes(artefact: Artefact) -> bytes:
    body = {
        "kind": artefact.kind,
        "format_version": artefact.format_version,
        "sha256": _BLANK,
        "libraries": {
            "narrows": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "spec": artefact.spec,
    }
    try:
        text = json.dumps(body, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the model's parameters are not JSON values: {error}.") from None
    tensors, stored = {}, set()
    for name, tensor in artefact.tensors.items():
        tensors[name] = tensor.detach().cpu().contiguous()
        if tensors[name].data_ptr() in stored:  # a weight of two layers; the format has no links
            tensors[name] = tensors[name].clone()
        stored.add(tensors[name].data_ptr())
    data = bytearray(to_safetensors(tensors, metadata={_KEY: text}))
    start, stop = _digest_span(bytes(data[: _header_end(data, len(data))]))
    data[start:stop] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def read_artefact(path: str | Path, *, kind: str, also: str | None = None) -> Artefact:
    """Read a file, refusing everything that ``write_artefact`` did not write.

    ``also`` is another kind that the caller accepts.

    Raises
    ------
    ModelFileError
        If the file is damaged, has another format or one of a later version, or holds another kind
        than ``kind``.
    FileNotFoundError
        If the file does not exist.
    """
    path = Path(path)
    try:
        return _parse(_read(path, kind), kind, also)
    except ModelFileError as error:
        raise type(error)(f"{path}: {error}") from None


def _read(path: Path, kind: str) -> bytes:
    """Return the bytes of a file; refuse non-regular and foreign files before reading them."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        way_out = ""
        if newest := max(path.glob("checkpoint-*.safetensors"), default=None):
            way_out = f"; name one of its checkpoints, such as the newest, {newest.name}"
        raise ModelFileError(f"is a folder, not {_KIND_NAMES.get(kind, kind)}{way_out}.")
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError("not a regular file.")
    with open(path, "rb") as file:
        start = file.read(8)
        # the size of the open file: the path may be a new file by now
        _header_end(start, os.fstat(file.fileno()).st_size, kind)
        return start + file.read()


def _parse(data: bytes, kind: str, also: str | None = None) -> Artefact:
    end = _header_end(data, len(data), kind)
    header = json_object(data[8:end], "header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise ModelFileError("not a Narrows model: the metadata lack the key 'narrows'.")
    check_layout(header, len(data) - end)
    body = json_object(metadata[_KEY], "metadata")
    version = body.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"format_version: must be a whole number >= 1, got {version!r}.")
    if version > FORMAT_VERSION:
        raise LaterFormat(
            f"written in format {version}, this Narrows reads up to {FORMAT_VERSION}; upgrade it."
        )
    start, stop = _digest_span(data[:end], str(body.get("sha256")))
    digest = hashlib.sha256(data[:start])
    digest.update(_BLANK.encode())
    digest.update(memoryview(data)[stop:])
    if digest.hexdigest() != body["sha256"]:
        raise ModelFileError("damaged: the content does not match its SHA-256; restore a copy.")
    held = body.get("kind")
    if not isinstance(held, str) or held not in _KIND_NAMES:
        raise ModelFileError(f"holds a {held!r}, not a {kind!r}.")
    if held not in (kind, also):
        raise ModelFileError(f"is {_KIND_NAMES[held]}, not {_KIND_NAMES[kind]}.")
    spec = body.get("spec")
    if not isinstance(spec, dict):
        raise ModelFileError("the spec is missing.")
    artefact = Artefact(held, spec, tensors_in(header, data, end), version)
    while artefact.format_version < FORMAT_VERSION:
        artefact = MIGRATIONS[artefact.format_version](artefact)
    for name, tensor in artefact.tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(f"tensor {name!r} is not finite.")
    return artefact


def _header_end(start: bytes | bytearray, size: int, kind: str = "model") -> int:
    """Return the offset at which the header ends, from the first 8 bytes of a file."""
    if size < 10:
        raise ModelFileError(f"too short to be {_KIND_NAMES.get(kind, kind)}.")
    length = int.from_bytes(start[:8], "little")
    if length > min(_MAX_HEADER, size - 8):
        raise ModelFileError(
            f"not {_KIND_NAMES.get(kind, kind)}, or damaged: it claims a header of {length} bytes."
        )
    return 8 + length


def _digest_span(header: bytes, digest: str = _BLANK) -> tuple[int, int]:
    r"""Return start and end of the digest, which follows \"sha256\": in the escaped metadata."""
    marker = b'\\"sha256\\": \\"' + digest.encode(errors="replace")
    if len(digest) != 64 or header.count(marker) != 1:
        raise ModelFileError("the digest is missing.")
    stop = header.index(marker) + len(marker)
    return stop - 64, stop
