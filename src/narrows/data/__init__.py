"""Data: readers, sources, scaling."""

from narrows.data.array_sources import DenseSource, SparseSource
from narrows.data.readers import read
from narrows.data.source import Source

__all__ = ["DenseSource", "Source", "SparseSource", "read"]
