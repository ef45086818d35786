"""What of an index is in its file, and what a file must hold to become an index."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.float_index import FloatIndex
from narrows.indexing.graph_index import check_graph
from narrows.indexing.settings import Settings, is_whole, read_settings
from narrows.indexing.stored_rows import decode_metadata
from narrows.indexing.texts import TextColumn

__all__ = ["IndexContent", "identity", "read_index", "verify_index", "write_index"]

if TYPE_CHECKING:
    from narrows.artefact import Artefact


KIND = "index"
_GRAPH = "graph."


@dataclass
class IndexContent:
    """Rows in the order in which they were added: row i of everything belongs together.

    ``codes`` uint8 (n, n_bits // 8) or float32 (n, width); ``vectors`` (n, vector_width) of
    length 1, or 0 columns; ``structure`` what an index would rather not build again.
    """

    settings: Settings
    codes: NDArray[Any]
    names: TextColumn
    metadata: TextColumn
    vectors: NDArray[Any]
    structure: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    deleted_below: int = 0
    """Numbers from here on were never the name of a row that was deleted; 0 in older files."""


def identity(path: str | Path) -> tuple[int, int, int]:
    """Return what tells a file from the one that replaces it."""
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


def write_index(path: Path, content: IndexContent) -> None:
    """Write an index file, atomically and durably; see ``write_artefact`` for what it raises.

    Raises
    ------
    ModelFileError
        If the parts do not fit together, so the file would not load; nothing is written then.
    """
    import torch

    from narrows.artefact import Artefact, write_artefact

    arrays = {
        "codes": content.codes,
        "name_bytes": content.names.blob,
        "name_offsets": content.names.offsets,
        "metadata_bytes": content.metadata.blob,
        "metadata_offsets": content.metadata.offsets,
        # the model file has no half floats: their bytes
        "vectors": np.ascontiguousarray(content.vectors).view(np.uint8),
        **{_GRAPH + name: array for name, array in content.structure.items()},
    }
    spec = {**vars(content.settings), "count": len(content.codes)}
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
            "Load the last saved file and repeat the changes since."
        ) from None
    write_artefact(path, artefact)


def read_index(path: Path) -> IndexContent:
    """Read an index file back; every part is checked before it is used.

    Raises
    ------
    ModelFileError
        If the file is damaged, no index, or its parts do not fit together.
    FileNotFoundError
        If there is no such file.
    """
    from narrows.artefact import read_artefact

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
    settings = read_settings(spec)
    if not is_whole(count, 0, 1 << 40):
        raise ModelFileError(f"count: must be a whole number >= 0, got {count!r}.")
    assert isinstance(count, int)
    arrays = {name: tensor.numpy() for name, tensor in artefact.tensors.items()}
    structure = {
        name.removeprefix(_GRAPH): arrays.pop(name) for name in [*arrays] if name.startswith(_GRAPH)
    }
    hamming = settings.metric == "hamming"
    itemsize = np.dtype(settings.vector_dtype).itemsize
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
        odd = sorted(set(arrays) ^ set(shapes))
        raise ModelFileError(f"an index has no, or lacks, the tensors {', '.join(odd)}.")
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
        raise ModelFileError(f"kind {settings.kind!r} has no graph, but there is one.")
    vectors = arrays["vectors"].view(settings.vector_dtype)
    for name, values in (("vectors", vectors), ("codes", arrays["codes"])):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelFileError(f"{name}: a value is not finite.")
    names = TextColumn(arrays["name_bytes"], arrays["name_offsets"])
    if (np.diff(names.offsets) == 0).any():
        raise ModelFileError("a name is empty.")
    metadata = TextColumn(arrays["metadata_bytes"], arrays["metadata_offsets"])
    return IndexContent(
        settings, arrays["codes"], names, metadata, vectors, structure, deleted_below
    )


_SAMPLE = 64
_NEAREST = 10
_LEAST_RECALL = 0.5


def verify_index(
    settings: Settings, codes: Any, names: TextColumn, metadata: TextColumn
) -> dict[str, Any]:
    """Return {"rows", "kind", "metric", "sampled", "recall"}, the last of nearest distances.

    Raises
    ------
    ModelFileError
        If a name stands twice, metadata are no JSON object, an exact kind differs from comparing
        with every code, or an approximate one finds less than half of the nearest distances.
    """
    n = len(codes)
    if not len(names) == len(metadata) == n:
        raise ModelFileError(f"{n} codes, {len(names)} names, {len(metadata)} rows of metadata.")
    names.rows()
    for row in np.flatnonzero(np.diff(metadata.offsets)).tolist():
        decode_metadata(metadata[row], names[row])
    sample = codes.rows.codes[:: max(1, n // _SAMPLE)][:_SAMPLE]
    recall = 1.0
    if n:
        k = min(_NEAREST, n)
        hamming = settings.metric == "hamming"
        yardstick: Any = (FlatIndex if hamming else FloatIndex)(settings.width)
        yardstick.rows = codes.rows
        found, right = codes.search(sample, k), yardstick.search(sample, k)
        recall = float((found.distances == right.distances).mean())
        same = recall == 1 and bool((found.ids == right.ids).all())
        if codes.exact and not same:
            raise ModelFileError(f"{settings.kind}: finds other rows than comparing with all.")
        if recall < _LEAST_RECALL:
            raise ModelFileError(f"{settings.kind}: finds only {recall:.0%} of the nearest.")
    return {
        "rows": n,
        "kind": settings.kind,
        "metric": settings.metric,
        "sampled": len(sample),
        "recall": recall,
    }
