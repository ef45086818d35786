"""Connect to a collection of codes on a Milvus server, and split calls into the sizes it allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import MissingExtra, ResourceError, UsageError

__all__ = ["MilvusCollection"]

_ROWS = 10_000
"""Rows per call."""


class MilvusCollection:
    """Ids and binary codes in a Milvus collection, which is created if it does not exist.

    Raises
    ------
    MissingExtra
        If pymilvus is not installed.
    ResourceError
        By the constructor and every method, if the server cannot be reached or a call fails.
    UsageError
        If the collection exists and does not hold codes of ``n_bits``.
    """

    def __init__(self, uri: str, n_bits: int, collection: str, token: str, timeout: float) -> None:
        self._n_bits = n_bits
        self._uri, self._collection, self._timeout = uri, collection, timeout
        client = _client()
        with self._answering("connect"):
            self._client = client(uri=uri, token=token, timeout=timeout)
            if self._client.has_collection(collection, timeout=timeout):
                self._check_collection()
                self._client.load_collection(collection, timeout=timeout)
            else:
                self._create_collection()

    def count(self) -> int:
        with self._answering("count"):
            rows = self._client.query(
                self._collection, filter="", output_fields=["count(*)"], timeout=self._timeout
            )
        return int(rows[0]["count(*)"])

    def insert(self, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Add rows whose ids do not exist yet."""
        for start in range(0, len(ids), _ROWS):
            rows = slice(start, start + _ROWS)
            data = [
                {"id": int(i), "code": code.tobytes()}
                for i, code in zip(ids[rows], codes[rows], strict=True)
            ]
            with self._answering(f"insert (rows {start} on are not added)"):
                self._client.insert(self._collection, data, timeout=self._timeout)

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Delete rows whose ids exist."""
        for start in range(0, len(ids), _ROWS):
            some = [int(i) for i in ids[start : start + _ROWS]]
            with self._answering("delete"):
                self._client.delete(self._collection, ids=some, timeout=self._timeout)

    def nearest(
        self,
        codes: NDArray[np.uint8],
        limit: int,
        ring: dict[str, int] | None = None,
        condition: str = "",
    ) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Return (distances, ids) of each query code, nearest first."""
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

    def known(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of ``ids`` that exist, in the order of ``ids``."""
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

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def drop(self) -> None:
        """Delete the collection with its content, and close the connection."""
        with self._answering("drop"):
            self._client.drop_collection(self._collection, timeout=self._timeout)
        self.close()

    def _create_collection(self) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("code", DataType.BINARY_VECTOR, dim=self._n_bits)
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
                f"collection: {self._collection!r} at {self._uri} does not hold codes; choose "
                "another name."
            )
        width = int(fields["code"]["params"]["dim"])
        if width != self._n_bits:
            raise UsageError(
                f"n_bits: the collection {self._collection!r} at {self._uri} has codes of {width} "
                f"bits, got {self._n_bits}; choose another collection, or its model."
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
