"""Make small indexes, take their files apart, and seal them again."""

from __future__ import annotations

from typing import Any

import numpy as np
from artefact_files import put_together, take_apart

from narrows.indexing.index import Index


def small_index(n: int = 50, **arguments: Any) -> Index:
    """Return an index of n rows: names "d0" on, snippets, and vectors of 4 numbers."""
    rng = np.random.default_rng(0)
    arguments = {"n_bits": 32, "model_digest": "a" * 64, "vector_width": 4, **arguments}
    index = Index.create(**arguments)
    add_rows(index, range(n), rng)
    return index


def add_rows(index: Index, numbers: Any, rng: np.random.Generator) -> None:
    n, settings = len(numbers), index.settings
    codes = (
        rng.integers(0, 256, (n, settings.width // 8), dtype=np.uint8)
        if settings.metric == "hamming"
        else rng.normal(size=(n, settings.width)).astype(np.float32)
    )
    vectors = rng.normal(size=(n, settings.vector_width)) if settings.vector_width else None
    metadata = [{"snippet": f"text {i}, ä"} if i % 2 else None for i in numbers]
    index.add([f"d{i}" for i in numbers], codes, metadata, vectors)


def answers(index: Index) -> list[Any]:
    """Return the answers of the index about all its rows."""
    return [index.names, *(index.like(name, 5) for name in index.names)]


def resealed(data: bytes, spec: Any = None, **tensors: np.ndarray | None) -> bytes:
    """Return the file with changed tensors (None removes one) or spec, and a valid digest."""
    header, body, payload = take_apart(data)
    names = {"uint8": "U8", "int64": "I64", "int32": "I32", "float32": "F32", "float64": "F64"}
    parts: dict[str, tuple[dict[str, Any], bytes]] = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        parts[name] = entry, payload[start:stop]
    for name, array in tensors.items():
        if array is None:
            del parts[name]
            continue
        entry = {"dtype": names[array.dtype.name], "shape": list(array.shape)}
        parts[name] = entry, array.tobytes()
    header, place = {}, 0
    for name, (entry, raw) in parts.items():
        header[name] = {**entry, "data_offsets": [place, place + len(raw)]}
        place += len(raw)
    body["spec"] = {**body["spec"], **spec} if isinstance(spec, dict) else spec or body["spec"]
    return put_together(header, body, b"".join(raw for _, raw in parts.values()))
