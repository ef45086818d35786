"""Choose and make an index in memory by the name of its kind."""

from __future__ import annotations

from collections.abc import Callable

from narrows.errors import unknown_name
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.graph_index import GraphIndex
from narrows.indexing.hash_index import HashIndex
from narrows.indexing.protocol import LocalIndex

__all__ = ["KINDS", "choose_kind", "make_index"]


def _hash(n_bits: int) -> HashIndex:
    return HashIndex(n_bits, n_tables=1)


KINDS: dict[str, Callable[[int], LocalIndex]] = {
    "flat": FlatIndex,
    "hash": _hash,
    "multihash": HashIndex,
    "hnsw": GraphIndex,
}


def choose_kind(n_bits: int) -> str:
    """Return the kind that "auto" selects for codes of ``n_bits`` bits; it is always exact.

    It is "hash" up to 32 bits, and "flat" beyond. The number of codes does not matter, because
    "hash" scans all codes where that is cheaper than probing: below 131,072 codes, and for queries
    without near neighbors. Beyond 32 bits most queries have none, unless many codes are nearly
    equal; choose "multihash" for those. "hnsw" is approximate, and never selected automatically.
    """
    return "hash" if n_bits <= 32 else "flat"


def make_index(n_bits: int, kind: str = "auto") -> LocalIndex:
    """Return an empty index of packed codes.

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    kind : {"auto", "flat", "hash", "multihash", "hnsw"}
        "auto" selects the kind by ``choose_kind``.

    Raises
    ------
    UsageError
        If the kind is unknown or the width is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> index = make_index(8)
    >>> index.add(np.array([7, 3, 5]), np.array([[0b1111], [0b0001], [0b0010]], dtype=np.uint8))
    >>> index.search(np.array([[0]], dtype=np.uint8), k=2).ids
    array([[3, 5]])
    """
    if kind == "auto":
        kind = choose_kind(n_bits)
    if kind not in KINDS:
        raise unknown_name("kind of index", kind, [*KINDS, "auto"])
    return KINDS[kind](n_bits)
