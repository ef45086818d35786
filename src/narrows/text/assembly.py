"""Counts of words, block after block, as one sparse matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from narrows.text.counting import Block, pack

__all__ = ["assembled"]


def assembled(blocks: list[Block], n_terms: int, columns: np.ndarray | None) -> sp.csr_array:
    """Return the CSR matrix of blocks, which are used up; ``columns`` maps old ones to new."""
    lengths, indices, data = [], [], []
    for block in reversed(blocks):
        part = block if columns is None else _renamed(block, columns)
        lengths.append(part.lengths)
        indices.append(part.indices)
        data.append(part.counts.astype(np.float32))
    blocks.clear()
    nothing = [np.empty(0, np.int32)]
    indptr = np.concatenate([[0], *lengths[::-1]]).cumsum()
    narrow = indptr[-1] <= np.iinfo(np.int32).max
    matrix = sp.csr_array(
        (
            np.concatenate((data or [np.empty(0, np.float32)])[::-1]),
            np.concatenate((indices or nothing)[::-1]),
            indptr.astype(np.int32 if narrow else np.int64),
        ),
        shape=(len(indptr) - 1, n_terms),
    )
    matrix.has_sorted_indices = True
    return matrix


def _renamed(block: Block, columns: np.ndarray) -> Block:
    """Return a block with its columns renamed, those named -1 dropped, and sorted again."""
    rows = np.repeat(np.arange(len(block.lengths)), block.lengths)
    new = columns[block.indices]
    kept = new >= 0
    keys, bits = pack(rows[kept], new[kept], len(block.lengths))
    order = keys.argsort()
    indices = (keys[order] & ((1 << bits) - 1)).astype(np.int32)
    lengths = np.bincount(rows[kept], minlength=len(block.lengths))
    return Block(lengths, indices, block.counts[kept][order])
