"""The same contract on a Milvus server, for bases that outgrow one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.checks import check_number
from narrows.errors import MissingExtra, ResourceError, UsageError
from narrows.indexing.hamming import no_hits, ragged, top
from narrows.indexing.protocol import (
    Hits,
    RaggedHits,
    check_codes,
    check_ids,
    check_k,
    check_radius,
    check_width,
)

__all__ = ["MilvusIndex"]

_MOST = 16_384
"""Hits a query, and queries a call, that Milvus answers."""

_ROWS = 10_000
_HITS = 1_000_000


class MilvusIndex:
    """Binary codes in a Milvus collection, Hamming distance native, exact (``BIN_FLAT``).

    The order is that of every index here, by distance and then by id, though Milvus breaks ties
    as it likes: what is tied at the k-th place is asked for until it is whole.

    The server has no rule against two rows of one id, so ``add`` asks before it inserts: let one
    writer at a time add. Ten thousand rows go in a call; an error between two calls leaves the
    earlier ones added, and says so.

    Parameters
    ----------
    uri : str
        "http://host:19530", or the path of a file that ends in .db (Milvus Lite, in tests).
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    collection : str
        Made if it is not there.
    token : str
        "user:password", where the server asks for it.
    timeout : float
        Seconds that connecting, and each call, may take.

    Raises
    ------
    MissingExtra
        If pymilvus is not installed.
    ResourceError
        If the server cannot be reached, or a call fails.
    UsageError
        If the collection is there and holds something else.
    """

    exact = True

    def __init__(
        self,
        uri: str,
        n_bits: int,
        *,
        collection: str = "narrows",
        token: str = "",
        timeout: float = 10.0,
    ) -> None:
        check_width(n_bits)
        check_number("timeout", timeout, low=0, low_open=True)
        self.n_bits = n_bits
        self._uri, self._collection, self._timeout = uri, collection, timeout
        client = _client()
        with self._answering("connect"):
            self._client = client(uri=uri, token=token, timeout=timeout)
            if self._client.has_collection(collection, timeout=timeout):
                self._check_collection()
                self._client.load_collection(collection, timeout=timeout)
            else:
                self._create_collection()

    def __len__(self) -> int:
        with self._answering("count"):
            rows = self._client.query(
                self._collection, filter="", output_fields=["count(*)"], timeout=self._timeout
            )
        return int(rows[0]["count(*)"])

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        codes = check_codes(codes, self.n_bits)
        ids = check_ids(ids, len(codes))
        known = self._known(ids)
        if len(known):
            raise UsageError(f"ids: {known[0]} is in the index already; delete it first.")
        for start in range(0, len(ids), _ROWS):
            rows = slice(start, start + _ROWS)
            data = [
                {"id": int(i), "code": code.tobytes()}
                for i, code in zip(ids[rows], codes[rows], strict=True)
            ]
            with self._answering(f"insert (rows {start} on are not added)"):
                self._client.insert(self._collection, data, timeout=self._timeout)

    def delete(self, ids: Any) -> None:
        ids = check_ids(ids)
        missing = np.setdiff1d(ids, self._known(ids))
        if len(missing):
            first = ids[np.isin(ids, missing)][0]
            raise UsageError(f"ids: {first} is not in the index.")
        for start in range(0, len(ids), _ROWS):
            some = [int(i) for i in ids[start : start + _ROWS]]
            with self._answering("delete"):
                self._client.delete(self._collection, ids=some, timeout=self._timeout)

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        """Return the k nearest of each code; UsageError if k is above 16,384 and within n."""
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        found = min(k, len(self))
        if found > _MOST:
            raise UsageError(f"k: Milvus answers with at most {_MOST:,} hits a query, got {k:,}.")
        hits = no_hits(len(codes), k)
        active, limit = np.arange(len(codes) if found else 0), min(_MOST, found + 16)
        while len(active):
            step = max(1, min(_MOST, _HITS // limit))
            left: list[int] = []
            for start in range(0, len(active), step):
                some = active[start : start + step]
                for i, answer in zip(some, self._ask(codes[some], limit), strict=True):
                    distance, ids = answer
                    tied = len(ids) == limit and distance[-1] == distance[found - 1]
                    if tied and limit < _MOST:
                        left.append(int(i))
                        continue
                    if tied:
                        distance, ids = self._first_tied(codes[i], found, distance, ids)
                    part = top(1, k, np.zeros(len(ids), dtype=np.intp), distance, ids)
                    hits.distances[i], hits.ids[i] = part.distances[0], part.ids[0]
            active, limit = np.array(left, dtype=np.intp), min(_MOST, 8 * limit)
        return hits

    def within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        codes, radius = check_codes(codes, self.n_bits), check_radius(radius)
        query, distance, ids = [np.empty(0, np.intp)], [np.empty(0, np.int32)], [np.empty(0, int)]
        for i, code in enumerate(codes):
            for near, found in self._ball(code, min(radius, self.n_bits), 0, 2**63 - 1):
                query.append(np.full(len(found), i))
                distance.append(near)
                ids.append(found)
        columns = np.concatenate(query), np.concatenate(distance), np.concatenate(ids)
        return ragged(len(codes), *columns)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def drop(self) -> None:
        """Delete the collection with all that is in it, and let the connection go."""
        with self._answering("drop"):
            self._client.drop_collection(self._collection, timeout=self._timeout)
        self.close()

    def _ball(
        self, code: NDArray[np.uint8], radius: int, low: int, high: int
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Yield all within ``radius`` with ids in [low, high], in as many calls as it takes."""
        ring = {"radius": radius + 1, "range_filter": 0}
        distance, ids = self._ask(code[None], _MOST, ring, f"id >= {low} and id <= {high}")[0]
        if len(ids) < _MOST:
            yield distance, ids
            return
        middle = int(np.median(ids))
        yield from self._ball(code, radius, low, middle)
        yield from self._ball(code, radius, middle + 1, high)

    def _first_tied(
        self, code: NDArray[np.uint8], k: int, distance: NDArray[np.int32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the nearer ones and the smallest ids of the thousands tied at the k-th place.

        Each call bounds the ids by the best that are known, so that what is left shrinks.
        """
        at = int(distance[k - 1])
        nearer = distance < at
        needed = k - int(nearer.sum())
        tied = np.sort(ids[distance == at])
        while True:
            bound = int(tied[needed - 1])
            ring = {"radius": at + 1, "range_filter": at}
            tied = np.sort(self._ask(code[None], _MOST, ring, f"id <= {bound}")[0][1])
            if len(tied) < _MOST:
                break
        return (
            np.append(distance[nearer], np.full(needed, at, dtype=np.int32)),
            np.append(ids[nearer], tied[:needed]),
        )

    def _ask(
        self,
        codes: NDArray[np.uint8],
        limit: int,
        ring: dict[str, int] | None = None,
        condition: str = "",
    ) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Return (distances, ids) of each code, nearest first."""
        with self._answering("search"):
            answers = self._client.search(
                self._collection,
                data=[code.tobytes() for code in codes],
                anns_field="code",
                limit=limit,
                filter=condition,
                search_params={"metric_type": "HAMMING", "params": ring or {}},
                timeout=self._timeout,
            )
        return [
            (
                np.array([round(hit["distance"]) for hit in answer], dtype=np.int32),
                np.array([hit["id"] for hit in answer], dtype=np.int64),
            )
            for answer in answers
        ]

    def _known(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of ``ids`` that are there, in the order of ``ids``."""
        found: list[int] = []
        for start in range(0, len(ids), _ROWS):
            some = [int(i) for i in ids[start : start + _ROWS]]
            with self._answering("look ids up"):
                rows = self._client.query(
                    self._collection,
                    filter=f"id in {some}",
                    output_fields=["id"],
                    timeout=self._timeout,
                )
            found += [row["id"] for row in rows]
        return ids[np.isin(ids, np.array(found, dtype=np.int64))]

    def _create_collection(self) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("code", DataType.BINARY_VECTOR, dim=self.n_bits)
        params = self._client.prepare_index_params()
        params.add_index("code", index_type="BIN_FLAT", metric_type="HAMMING")
        self._client.create_collection(
            self._collection,
            schema=schema,
            index_params=params,
            consistency_level="Strong",
            timeout=self._timeout,
        )

    def _check_collection(self) -> None:
        from pymilvus import DataType

        found = self._client.describe_collection(self._collection, timeout=self._timeout)
        fields = {field["name"]: field for field in found["fields"]}
        binary = fields.get("code", {}).get("type") == DataType.BINARY_VECTOR
        if not binary or fields.get("id", {}).get("type") != DataType.INT64:
            raise UsageError(
                f"collection: {self._collection!r} at {self._uri} holds something else than "
                "codes; choose another name."
            )
        width = int(fields["code"]["params"]["dim"])
        if width != self.n_bits:
            raise UsageError(
                f"n_bits: the collection {self._collection!r} at {self._uri} has codes of {width} "
                f"bits, got {self.n_bits}; choose another collection, or the model it was made of."
            )

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except MilvusException as error:
            raise ResourceError(
                f"Milvus at {self._uri}: cannot {what}: {error.message} "
                "Check the address, and that the server runs."
            ) from error


def _client() -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingExtra(
            "MilvusIndex: pymilvus is not installed: pip install 'narrows[milvus]'"
        ) from error
    return MilvusClient
