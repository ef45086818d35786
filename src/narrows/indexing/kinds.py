"""The kinds of index in this process, by name, and which of them to take."""

from __future__ import annotations

from collections.abc import Callable

from narrows.errors import unknown_name
from narrows.indexing.cells_index import CellsIndex
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
    "ivf": CellsIndex,
}


def choose_kind(n_bits: int) -> str:
    """Return what "auto" means at a width: always an exact kind.

    Up to 32 bits "hash", wider "flat". The size of the base plays no part, because "hash" itself
    compares with every code, as "flat" does, where that is cheaper than probing: below 131,072
    codes, and for queries that have no neighbors near. Beyond 32 bits few queries have, unless
    the codes are crowded; "multihash" is for those. "hnsw" and "ivf" are approximate, and taken
    only when asked for.
    """
    return "hash" if n_bits <= 32 else "flat"


def make_index(n_bits: int, kind: str = "auto") -> LocalIndex:
    """Return an empty index of packed codes.

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    kind : {"auto", "flat", "hash", "multihash", "hnsw", "ivf"}
        See ``choose_kind`` for "auto".

    Raises
    ------
    UsageError
        If there is no such kind, or the width cannot be.

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
