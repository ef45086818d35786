"""Check the tensor layout in a file's header, and read the tensors."""

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
"""The data types that are stored, by their names in safetensors."""


def check_layout(header: Mapping[str, Any], size: int) -> None:
    """Refuse tensors that overlap, leave gaps, or do not fill their bytes.

    Parameters
    ----------
    header : mapping
        Shape, dtype and offsets of every tensor by name, as read from the file.
    size : int
        Number of bytes of tensors in the file.

    Raises
    ------
    ModelFileError
        If an entry is invalid.
    """
    if len(header) > _MAX_TENSORS:
        raise ModelFileError(f"{len(header)} tensors, but at most {_MAX_TENSORS} are read.")
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            shape, (start, stop), dtype = entry["shape"], entry["data_offsets"], entry["dtype"]
            counts = [*shape, start, stop]
            whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts)
            width = DTYPES[dtype].itemsize
            # also bound the other axes of an empty tensor: [0, 2**62] overflows later
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
            raise ModelFileError(f"tensor {name!r} has an invalid shape, dtype or offset.")
        spans.append((start, stop))
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise ModelFileError("tensors overlap or leave gaps.")
        end = stop
    if end != size:
        raise ModelFileError(f"{size} bytes of tensors, expected {end}: truncated or extended.")


def tensors_in(header: Mapping[str, Any], data: bytes, offset: int) -> dict[str, Tensor]:
    """Return the tensors of a checked header; their bytes begin at ``offset`` of ``data``."""
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        if start == stop:
            tensors[name] = torch.empty(entry["shape"], dtype=dtype)
            continue
        # a copy: the bytes of the file are read-only and will be freed
        raw = bytearray(memoryview(data)[offset + start : offset + stop])
        tensors[name] = torch.frombuffer(raw, dtype=dtype).reshape(entry["shape"])
    return tensors
