"""Seal files again after changing one part or one JSON value."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from artefact_files import put_together, take_apart

_DTYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "F32": np.float32, "F64": np.float64}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def _filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def fill(array: np.ndarray) -> np.ndarray:
        kind = array.dtype.kind
        limit = value if kind == "f" else np.iinfo(array.dtype).max
        return np.full_like(array, limit)

    return fill


def _one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        if changed.size:
            at = changed.size // 2
            changed.flat[at] = value if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        return changed

    return put


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "one row more": lambda a: np.concatenate([a, a[:1]]) if a.ndim and len(a) else a[..., None],
    "flat": lambda a: a.reshape(-1) if a.ndim != 1 else a[:, None],
    "transposed": lambda a: np.ascontiguousarray(a.T) if a.ndim > 1 else a[None],
    "other dtype": lambda a: a.astype(np.float64 if a.dtype != np.float64 else np.float32),
    "integers": lambda a: np.zeros(a.shape, np.int64 if a.dtype != np.int64 else np.int32),
    "NaN": _one(np.nan),
    "infinity": _one(np.inf),
    "one of 3e38": _one(3e38),
    "all of 3e38": _filled(3e38),
    "all of 1e25": _filled(1e25),
    "empty": lambda a: a.reshape(-1)[:0],
    "missing": lambda a: None,
    "negative": lambda a: (-np.abs(a.astype(np.float64)) - 1).astype(a.dtype),
    "reversed": lambda a: np.ascontiguousarray(a.reshape(-1)[::-1]).reshape(a.shape),
    "zeros": np.zeros_like,
}
"""Changes of a tensor, by name; None removes it."""

VALUES: dict[str, Any] = {
    "null": None, "text": "x", "list": [1], "object": {"a": 1}, "true": True,
    "negative": -1, "huge": 10**30, "large": 1e300, "fraction": 0.37, "zero": 0,
}  # fmt: skip
"""Replacements of a JSON value, by name; removal is tried as well."""


def tensors_of(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file by name, read-only, and its body."""
    header, body, payload = take_apart(data)
    arrays = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        raw = np.frombuffer(payload[start:stop], _DTYPES[entry["dtype"]])
        arrays[name] = raw.reshape(entry["shape"])
    return arrays, body


def tensors_changed(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file for each of its tensors and each change."""
    arrays, body = tensors_of(data)
    for name in arrays:
        for change, made in CHANGES.items():
            with np.errstate(all="ignore"):
                changed = made(arrays[name])
            others = {k: v for k, v in arrays.items() if k != name}
            yield (
                f"{name}: {change}",
                joined(others if changed is None else {**arrays, name: changed}, body),
            )


def joined(arrays: dict[str, np.ndarray], body: dict[str, Any]) -> bytes:
    header, place, parts = {}, 0, []
    for name, array in arrays.items():
        raw = array.tobytes()
        span = [place, place + len(raw)]
        entry = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": span}
        header[name], place = entry, place + len(raw)
        parts.append(raw)
    return put_together(header, body, b"".join(parts))


def values_changed(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file for each value of its spec, at any depth, and each replacement."""
    header, body, payload = take_apart(data)
    for path in _paths(body["spec"]):
        for change, value in [*VALUES.items(), ("missing", ...)]:
            changed = copy.deepcopy(body)
            held = changed["spec"]
            for key in path[:-1]:
                held = held[key]
            if held[path[-1]] == value and type(held[path[-1]]) is type(value):
                continue
            if value is ...:
                del held[path[-1]]
            else:
                held[path[-1]] = value
            where = ".".join(map(str, path))
            yield f"{where}: {change}", put_together(header, changed, payload)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for i in sorted({0, len(value) - 1}) if value else ():
            yield from _paths(value[i], (*path, i))
