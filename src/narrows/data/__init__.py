"""Data: readers, sources, scaling."""

from narrows.data.readers import read
from narrows.data.source import DenseSource, Source, SparseSource

__all__ = ["DenseSource", "Source", "SparseSource", "read"]
