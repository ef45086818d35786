"""Write, read and verify index files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.artefact import Artefact, read_artefact, write_artefact
from narrows.errors import ModelFileError
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.float_index import FloatIndex
from narrows.indexing.graph_index import check_graph
from narrows.indexing.row_encoding import VECTOR_DTYPE, decode_metadata
from narrows.indexing.settings import Settings, is_whole, read_settings
from narrows.indexing.text_column import TextColumn

__all__ = ["IndexContent", "identity", "read_index", "verify_index", "write_index"]

KIND = "index"
_GRAPH = "graph."
_SAMPLE = 64
_NEAREST = 10
_LEAST_RECALL = 0.5
_READ_DTYPES = ("float16", "float32")
"""Data types of stored vectors that are read; files written now have ``VECTOR_DTYPE``."""


@dataclass
class IndexContent:
    """The content of an index; rows are in the order in which they were added.

    ``codes`` is uint8 (n, n_bits // 8) or float32 (n, width). ``vectors`` (n, vector_width),
    float16, have length 1, or no columns. ``structure`` holds search structures that are costly to
    build.
    """

    settings: Settings
    codes: NDArray[Any]
    names: TextColumn
    metadata: TextColumn
    vectors: NDArray[Any]
    structure: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    deleted_below: int = 0
    """No deleted row had this number or a larger one as its name; 0 in older files."""


def identity(path: str | Path) -> tuple[int, int, int]:
    """Return values that differ between a file and the file that replaces it."""
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


def write_index(path: Path, content: IndexContent) -> None:
    """Write an index file, atomically and durably.

    Raises
    ------
    ModelFileError
        If the parts are inconsistent, so the file would not load; nothing is written then.
    ResourceError
        See ``write_artefact``.
    """
    arrays = {
        "codes": content.codes,
        "name_bytes": content.names.blob,
        "name_offsets": content.names.offsets,
        "metadata_bytes": content.metadata.blob,
        "metadata_offsets": content.metadata.offsets,
        # the file format has no float16, so their bytes are stored
        "vectors": np.ascontiguousarray(content.vectors).view(np.uint8),
        **{_GRAPH + name: array for name, array in content.structure.items()},
    }
    spec = {**vars(content.settings), "vector_dtype": VECTOR_DTYPE, "count": len(content.codes)}
    if content.deleted_below:
        spec["deleted_below"] = content.deleted_below
    tensors = {
        name: torch.from_numpy(np.require(array, requirements=["C", "W"]))
        for name, array in arrays.items()
    }
    artefact = Artefact(KIND, spec, tensors)
    try:
        _content(artefact)
        if content.structure:
            check_graph(content.structure, content.settings.width)
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: the index in memory is inconsistent, so it was not saved: {error} "
            "Load the last saved file and repeat later changes."
        ) from None
    write_artefact(path, artefact)


def read_index(path: Path) -> IndexContent:
    """Read an index file; every part is checked before it is used.

    Raises
    ------
    ModelFileError
        If the file is damaged, is not an index, or its parts are inconsistent.
    FileNotFoundError
        If there is no such file.
    """
    artefact = read_artefact(path, kind=KIND)
    try:
        return _content(artefact)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None


def _content(artefact: Artefact) -> IndexContent:
    spec, count = dict(artefact.spec), artefact.spec.get("count")
    spec.pop("count", None)
    deleted_below = spec.pop("deleted_below", 0)
    if not is_whole(deleted_below, 0, 1 << 63):
        raise ModelFileError(f"deleted_below: must be a whole number, got {deleted_below!r}.")
    vector_dtype = spec.pop("vector_dtype", None)
    if vector_dtype not in _READ_DTYPES:
        raise ModelFileError(f"vector_dtype: {vector_dtype!r} is invalid.")
    settings = read_settings(spec)
    if not is_whole(count, 0, 1 << 40):
        raise ModelFileError(f"count: must be a whole number >= 0, got {count!r}.")
    assert isinstance(count, int)
    arrays = {name: tensor.numpy() for name, tensor in artefact.tensors.items()}
    structure = {
        name.removeprefix(_GRAPH): arrays.pop(name) for name in [*arrays] if name.startswith(_GRAPH)
    }
    hamming = settings.metric == "hamming"
    itemsize = np.dtype(vector_dtype).itemsize
    shapes: dict[str, tuple[Any, tuple[int | None, ...]]] = {
        "codes": (np.uint8, (count, settings.width // 8))
        if hamming
        else (np.float32, (count, settings.width)),
        "name_bytes": (np.uint8, (None,)),
        "name_offsets": (np.int64, (count + 1,)),
        "metadata_bytes": (np.uint8, (None,)),
        "metadata_offsets": (np.int64, (count + 1,)),
        "vectors": (np.uint8, (count, settings.vector_width * itemsize)),
    }
    if set(arrays) != set(shapes):
        wrong = sorted(set(arrays) ^ set(shapes))
        raise ModelFileError(f"tensors are missing or unexpected: {', '.join(wrong)}.")
    for name, (dtype, shape) in shapes.items():
        found = arrays[name]
        fits = len(found.shape) == len(shape) and all(
            want in (None, have) for want, have in zip(shape, found.shape, strict=True)
        )
        if found.dtype != dtype or not fits:
            want = tuple("n" if size is None else size for size in shape)
            raise ModelFileError(
                f"{name}: must be {np.dtype(dtype)} {want} for {count} rows, "
                f"got {found.dtype} {found.shape}."
            )
    if structure and settings.kind != "hnsw":
        raise ModelFileError(f"an index of kind {settings.kind!r} must not have a graph.")
    with np.errstate(over="ignore"):
        vectors = arrays["vectors"].view(vector_dtype).astype(VECTOR_DTYPE, copy=False)
    for name, values in (("vectors", vectors), ("codes", arrays["codes"])):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelFileError(f"{name}: a value is not finite.")
    names = TextColumn(arrays["name_bytes"], arrays["name_offsets"])
    if (np.diff(names.offsets) == 0).any():
        raise ModelFileError("a name is empty.")
    metadata = TextColumn(arrays["metadata_bytes"], arrays["metadata_offsets"])
    return IndexContent(
        settings,
        arrays["codes"],
        names,
        metadata,
        vectors,
        structure,
        deleted_below,
    )


def verify_index(
    settings: Settings, codes: Any, names: TextColumn, metadata: TextColumn
) -> dict[str, Any]:
    """Return {"rows", "kind", "metric", "sampled", "recall"}.

    ``recall`` is the share of the nearest distances that the index finds for a sample of its codes.

    Raises
    ------
    ModelFileError
        If a name is repeated, metadata are not a JSON object, an exact kind differs from a full
        scan, or an approximate kind has a recall below 1/2.
    """
    n = len(codes)
    if not len(names) == len(metadata) == n:
        raise ModelFileError(f"{n} codes, {len(names)} names, {len(metadata)} rows of metadata.")
    names.rows()
    for row in np.flatnonzero(np.diff(metadata.offsets)).tolist():
        decode_metadata(metadata[row], names[row])
    sample = codes.table.codes[:: max(1, n // _SAMPLE)][:_SAMPLE]
    recall = 1.0
    if n:
        k = min(_NEAREST, n)
        hamming = settings.metric == "hamming"
        reference: Any = (FlatIndex if hamming else FloatIndex)(settings.width)
        reference.table = codes.table
        found, expected = codes.search(sample, k), reference.search(sample, k)
        recall = float((found.distances == expected.distances).mean())
        same = recall == 1 and bool((found.ids == expected.ids).all())
        if codes.exact and not same:
            raise ModelFileError(f"{settings.kind}: finds other rows than a full scan.")
        if recall < _LEAST_RECALL:
            raise ModelFileError(f"{settings.kind}: finds only {recall:.0%} of the nearest.")
    return {
        "rows": n,
        "kind": settings.kind,
        "metric": settings.metric,
        "sampled": len(sample),
        "recall": recall,
    }
