"""What loading leaves unchecked, because it takes an object a row or a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.errors import ModelFileError
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.float_index import FloatIndex
from narrows.indexing.index_rows import decode_metadata
from narrows.indexing.settings import Settings
from narrows.indexing.texts import TextColumn

__all__ = ["verify_index"]

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
