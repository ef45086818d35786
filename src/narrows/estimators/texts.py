"""Recognize texts in X."""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.data.image_lists import is_loader
from narrows.data.source import Source
from narrows.text import Documents, as_documents

__all__ = ["documents_where", "is_texts", "text_column"]

_N_INSPECTED = 100


def text_column(X: Any) -> Any:
    """Return the column of a one-column frame, table or array of texts; any other X unchanged.

    ``ColumnTransformer`` passes such frames if the column is named in a list. Arrow strings become
    a list.
    """
    if "string" in str(getattr(X, "type", "")) and hasattr(X, "to_pylist"):
        return X.to_pylist()
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or shape[1] != 1:
        return X
    if isinstance(X, np.ndarray):
        return X[:, 0] if X.dtype.kind in "OUT" else X
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    if hasattr(X, "to_series"):  # polars
        return X.to_series(0)
    return text_column(X.column(0)) if hasattr(X, "column") else X  # arrow


def is_texts(X: Any) -> bool:
    """Return whether X holds texts: Documents, or a sequence or one column of strings."""
    X = text_column(X)
    if isinstance(X, Documents | str | bytes):
        return True
    if getattr(X, "ndim", 1) != 1 or isinstance(X, Source) or not hasattr(X, "__len__"):
        return False
    if not len(X):
        return False
    if isinstance(X, dict | set) or is_loader(X):
        return False
    first = X.iloc[:_N_INSPECTED] if hasattr(X, "iloc") else X[:_N_INSPECTED]
    # the first value may be missing; the reader of texts reports that
    return any(isinstance(text, str) for text in first)


def documents_where(X: Any, kept: np.ndarray) -> Documents:
    """Return the documents where the mask ``kept`` is True."""
    documents = as_documents(X)
    return Documents(
        lambda: (text for text, keep in zip(documents, kept, strict=True) if keep),
        origin=documents.origin,
        labeled=documents.labeled,
    )
