"""Search a graph of codes approximately, for collections too large to scan.

Malkov, Yashunin (2018), "Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs", IEEE PAMI 42(4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError
from narrows.indexing.code_table import CodeTable
from narrows.indexing.hamming import no_hits, top
from narrows.indexing.protocol import Hits, check_codes, check_k, check_width

__all__ = ["GraphIndex", "check_graph"]

_LINKS = 32
_CONSTRUCTION = 80
_SEARCH = 96
_VECTORS = ("levels", "offsets", "neighbors")


class GraphIndex:
    """faiss's ``IndexBinaryHNSW`` with one node per *distinct* code.

    Nodes of equal codes would link only to each other and split the graph, so equal codes share a
    node. The search is approximate: it orders the hits that it finds by (distance, id).

    Deleted ids are never found. A node without ids remains part of the graph until a quarter of
    the nodes have none; the graph is then rebuilt. Building with several threads is not
    deterministic; the graph is stored in the file, so a loaded index gives the same hits.

    Cost: about O(log n) per query; O(n log n) to build.

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    """

    exact = False

    def __init__(self, n_bits: int) -> None:
        check_width(n_bits)
        self.n_bits = n_bits
        self.table = CodeTable(n_bits // 8)
        self._nodes: NDArray[np.uint8] = np.empty((0, n_bits // 8), dtype=np.uint8)
        self._graph: Any = None
        self._order: NDArray[np.intp] | None = None  # rows sorted by node; None after a change
        self._starts: NDArray[np.intp] = np.zeros(1, dtype=np.intp)

    @property
    def graph(self) -> Any:
        """The graph of faiss, a node per distinct code, or None if it is not built yet."""
        return self._graph

    def __len__(self) -> int:
        return len(self.table)

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        self.table.add(ids, check_codes(codes, self.n_bits))
        self._order = None

    def delete(self, ids: Any) -> None:
        self.table.delete(ids)
        self._order = None

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        if not len(self) or not len(codes):
            return no_hits(len(codes), k)
        self.prepare()
        n_nodes = min(len(self._nodes), k + 16)  # to include ties at the k-th place
        while True:
            query, distance, row = self._candidates(codes, n_nodes)
            enough = np.bincount(query, minlength=len(codes)).min() >= min(k, len(self))
            if enough or n_nodes == len(self._nodes):
                return top(len(codes), k, query, distance, self.table.ids[row])
            n_nodes = min(len(self._nodes), 4 * n_nodes)

    def _candidates(self, codes: NDArray[np.uint8], n_nodes: int) -> Any:
        """Return (query, distance, row) of the rows at ``n_nodes`` nodes near each query code."""
        import faiss

        parameters: Any = faiss  # its stubs lack the class
        effort = parameters.SearchParametersHNSW(efSearch=max(_SEARCH, n_nodes))
        distances, nodes = self._graph.search(codes, n_nodes, params=effort)
        query, place = np.nonzero(nodes >= 0)
        node, distance = nodes[query, place], distances[query, place]
        counts = self._starts[node + 1] - self._starts[node]
        ends = np.cumsum(counts)
        total = ends[-1] if len(ends) else 0
        row = np.repeat(self._starts[node] - (ends - counts), counts) + np.arange(total)
        assert self._order is not None
        return np.repeat(query, counts), np.repeat(distance, counts), self._order[row]

    @property
    def ready(self) -> bool:
        return not len(self) or self._order is not None

    def prepare(self) -> None:
        if self.ready:
            return
        try:
            self._refresh()
        except BaseException:  # out of memory, Ctrl-C: the graph may have nodes that _nodes lacks
            self.forget()
            raise

    def forget(self) -> None:
        self._nodes, self._graph, self._order = self._nodes[:0], None, None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the graph, which a copy rebuilds; ``structure`` returns it."""
        return {**vars(self), "_nodes": self._nodes[:0], "_graph": None, "_order": None}

    def _refresh(self) -> None:
        """Add missing nodes to the graph, and sort the rows by node."""
        node = self._node_of_rows()
        used = np.bincount(node[node >= 0], minlength=len(self._nodes))
        if 4 * np.count_nonzero(used == 0) > len(self._nodes):
            self._nodes, self._graph = self._nodes[:0], None
            node = self._node_of_rows()
        new = np.flatnonzero(node < 0)
        if len(new):
            fresh = np.unique(self.table.codes[new], axis=0)
            if self._graph is None:
                self._graph = _empty(self.n_bits)
            self._graph.add(fresh)
            self._nodes = np.concatenate([self._nodes, fresh])
            node = self._node_of_rows()
        self._order = np.argsort(node, kind="stable")
        self._starts = np.zeros(len(self._nodes) + 1, dtype=np.intp)
        np.cumsum(np.bincount(node, minlength=len(self._nodes)), out=self._starts[1:])

    def _node_of_rows(self) -> NDArray[np.intp]:
        """Return the node of each row, -1 for a code without a node."""
        if not len(self._nodes):
            return np.full(len(self), -1, dtype=np.intp)
        nodes, rows = _as_scalars(self._nodes), _as_scalars(self.table.codes)
        order = np.argsort(nodes)
        place = np.minimum(np.searchsorted(nodes, rows, sorter=order), len(nodes) - 1)
        return np.where(nodes[order[place]] == rows, order[place], -1)

    def structure(self) -> dict[str, NDArray[Any]]:
        """Return the graph as arrays to store in a file, the input of ``restore``."""
        import faiss

        if not len(self):
            return {}
        self.prepare()
        arrays = {name: faiss.vector_to_array(getattr(self._graph.hnsw, name)) for name in _VECTORS}
        arrays["offsets"] = arrays["offsets"].astype(np.int64)
        entry = [self._graph.hnsw.entry_point, self._graph.hnsw.max_level]
        return {**arrays, "entry": np.array(entry, dtype=np.int64), "nodes": self._nodes}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore a graph that ``structure`` returned, instead of building one.

        Every number is checked here, and no reader of faiss is used: faiss would follow an invalid
        link outside of its memory.

        Raises
        ------
        ModelFileError
            If the arrays are not a graph of these rows.
        """
        import faiss

        check_graph(arrays, self.n_bits)
        graph = _empty(self.n_bits)
        nodes = np.ascontiguousarray(arrays["nodes"])
        faiss.downcast_IndexBinary(graph.storage).add(nodes)
        for name in _VECTORS:
            array = arrays[name].astype(np.uint64) if name == "offsets" else arrays[name]
            faiss.copy_array_to_vector(np.ascontiguousarray(array), getattr(graph.hnsw, name))
        graph.hnsw.entry_point, graph.hnsw.max_level = map(int, arrays["entry"])
        graph.ntotal = len(nodes)
        self._nodes, self._graph, self._order = nodes, graph, None
        if (self._node_of_rows() < 0).any():
            raise ModelFileError("graph: a code has no node.")


def _empty(n_bits: int) -> Any:
    import faiss

    graph = faiss.IndexBinaryHNSW(n_bits, _LINKS)
    graph.hnsw.efConstruction = _CONSTRUCTION
    return graph


def _as_scalars(codes: NDArray[np.uint8]) -> NDArray[Any]:
    """Return codes (n, n_bytes) as n sortable values: integers, or fixed-length byte strings."""
    width = codes.shape[1]
    size = next((size for size in (1, 2, 4, 8) if width <= size), width)
    if size == width or size <= 8:
        wide = np.zeros((len(codes), size), dtype=np.uint8)
        wide[:, :width] = codes
        codes = wide
    return codes.view(f"u{size}" if size <= 8 else f"V{size}")[:, 0]


def check_graph(arrays: Mapping[str, NDArray[Any]], n_bits: int) -> None:
    """Raise ModelFileError unless every number of a stored graph is valid."""
    import faiss

    graph = _empty(n_bits)  # keep a reference: its parts do not keep it alive
    slots_below = faiss.vector_to_array(graph.hnsw.cum_nneighbor_per_level)
    dtypes = {"levels": "i4", "offsets": "i8", "neighbors": "i4", "entry": "i8", "nodes": "u1"}
    shapes = {"levels": 1, "offsets": 1, "neighbors": 1, "entry": 1, "nodes": 2}
    for name, dtype in dtypes.items():
        array = arrays.get(name)
        if array is None or array.dtype != np.dtype(dtype) or array.ndim != shapes[name]:
            raise ModelFileError(f"graph: {name!r} is missing or has the wrong type.")
    nodes, levels, offsets = arrays["nodes"], arrays["levels"], arrays["offsets"]
    links, entry, n = arrays["neighbors"], arrays["entry"], len(arrays["nodes"])
    sizes_fit = nodes.shape[1] * 8 == n_bits and len(levels) == n and len(offsets) == n + 1
    if not sizes_fit or len(entry) != 2 or not n:
        raise ModelFileError("graph: its parts differ in size.")
    # a node of l levels has slots_below[l] links
    if levels.min() < 1 or levels.max() >= len(slots_below) or offsets[0] != 0:
        raise ModelFileError("graph: a level or an offset is invalid.")
    if not (np.diff(offsets) == slots_below[levels]).all() or offsets[-1] != len(links):
        raise ModelFileError("graph: the links do not match the levels.")
    if len(links) and (links.min() < -1 or links.max() >= n):
        raise ModelFileError("graph: a link points to no node.")
    if not 0 <= entry[0] < n or entry[1] != levels[entry[0]] - 1 or entry[1] != levels.max() - 1:
        raise ModelFileError("graph: the entry point is invalid.")
    level = np.repeat(levels, np.diff(offsets))
    place = np.arange(len(links)) - np.repeat(offsets[:-1], np.diff(offsets))
    height = np.searchsorted(slots_below, place, side="right")  # 1 for the lowest level
    linked = links >= 0
    if (levels[links[linked]] < height[linked]).any() or (height > level).any():
        raise ModelFileError("graph: a link points to a node that is not on its level.")
