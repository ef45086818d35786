"""Read data into sources of batches, and scale them."""

from narrows.data.array_sources import DenseSource, SparseSource
from narrows.data.readers import read
from narrows.data.source import Source

__all__ = ["DenseSource", "Source", "SparseSource", "read"]
