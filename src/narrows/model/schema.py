"""The schema of the rows that a model was fitted to: features, names, image shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Schema", "read_schema"]


@dataclass(frozen=True)
class Schema:
    """The kind of rows, "table" or "image", their number of features, column names and image
    shape."""

    n_features: int
    kind: str = "table"
    names: list[str] | None = None
    image_shape: tuple[int, ...] | None = None


def read_schema(spec: Any) -> Schema:
    """Return the schema of a file's JSON values.

    Raises
    ------
    TypeError, ValueError
        If the values are not those of a schema, or do not fit each other.
    """
    schema = Schema(**spec)
    if schema.kind not in ("image", "table"):
        raise ValueError(f"rows of the kind {schema.kind!r}")
    names = schema.names
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise ValueError("names of features that are not strings")
    if schema.names is not None and len(schema.names) != schema.n_features:
        raise ValueError(f"{len(schema.names)} names for {schema.n_features} features")
    if schema.image_shape is None:
        return schema
    shape = tuple(schema.image_shape)
    if not all(isinstance(side, int) for side in shape) or math.prod(shape) != schema.n_features:
        raise ValueError(f"images of shape {shape} for {schema.n_features} features")
    return replace(schema, image_shape=shape)
