"""The tensors of a file: what its header says of them, held against its bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from narrows.errors import ModelFileError

__all__ = ["DTYPES", "check_layout", "tensors_in"]

_MAX_TENSORS = 10_000
_MAX_AXES = 8
_MAX_TENSOR_BYTES = 1 << 40

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""What is stored, by safetensors' names."""


def check_layout(header: Mapping[str, Any], size: int) -> None:
    """Refuse overlaps, holes, and shapes that do not fill their bytes.

    Parameters
    ----------
    header : mapping
        Shape, dtype and place of every tensor by its name, as read from the file.
    size : int
        Bytes of tensors that the file has.

    Raises
    ------
    ModelFileError
        If anything of it cannot be.
    """
    if len(header) > _MAX_TENSORS:
        raise ModelFileError(f"{len(header)} tensors, at most {_MAX_TENSORS} are read.")
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            shape, (start, stop), dtype = entry["shape"], entry["data_offsets"], entry["dtype"]
            counts = [*shape, start, stop]
            whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts)
            width = DTYPES[dtype].itemsize
            # axes beside an empty one are bounded too: [0, 2**62] overflows further on
            bounded = (
                whole
                and len(shape) <= _MAX_AXES
                and math.prod(max(n, 1) for n in shape) * width <= _MAX_TENSOR_BYTES
            )
            fits = bounded and math.prod(shape) * width == stop - start
        except (KeyError, TypeError, ValueError):
            fits = False
            start = stop = 0
        if not fits:
            raise ModelFileError(f"tensor {name!r} has an impossible shape, dtype or place.")
        spans.append((start, stop))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise ModelFileError("tensors overlap or leave holes.")
        end = stop
    if end != size:
        raise ModelFileError(f"{size} bytes of tensors, {end} expected: truncated or appended to.")


def tensors_in(header: Mapping[str, Any], data: bytes, offset: int) -> dict[str, Tensor]:
    """Return the tensors of a header that ``check_layout`` passed; ``data`` from ``offset`` on."""
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        if start == stop:
            tensors[name] = torch.empty(entry["shape"], dtype=dtype)
            continue
        # a copy of its own: the file's bytes are read-only and are let go
        raw = bytearray(memoryview(data)[offset + start : offset + stop])
        tensors[name] = torch.frombuffer(raw, dtype=dtype).reshape(entry["shape"])
    return tensors
