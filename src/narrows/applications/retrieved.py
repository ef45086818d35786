"""What queries retrieved, and how much of it is relevant."""

from __future__ import annotations

import numpy as np
import torch

from narrows.applications.ranking import Ranked
from narrows.applications.relevance import SharedLabels

__all__ = ["Retrieved"]


class Retrieved:
    """Counts of relevant rows among the first of a block of queries, q of them.

    ``ties`` is "row", the order as it is, or "random", the mean over all orders of rows that
    score the same.
    """

    def __init__(self, block: Ranked, relevance: SharedLabels, n_base: int) -> None:
        # the row left out stands last, with -inf; places that nothing fills are not relevant
        self.scores = block.scores[:, :n_base].contiguous()
        hits = relevance.of(block.queries, block.rows[:, :n_base])
        self.hits = hits & np.isfinite(self.scores.numpy())
        zero = np.zeros((len(hits), 1), np.int64)
        self.until = np.concatenate([zero, self.hits.cumsum(axis=1)], axis=1)  # before each place

    def precision(self, k: int, ties: str) -> np.ndarray:
        """Return the fraction (q,) of the first k rows that are relevant."""
        if ties == "row":
            return self.until[:, k] / k
        start, stop = self._tied(self.scores[:, k - 1 : k].contiguous())
        start, stop = start[:, 0], stop[:, 0]
        line = np.arange(len(start))
        before = self.until[line, start]
        share = (self.until[line, stop] - before) / (stop - start)
        return (before + (k - start) * share) / k

    def average_precision(self, ties: str) -> np.ndarray:
        """Return the average precision (q,), where the whole base was ranked."""
        rank = np.arange(1, self.hits.shape[1] + 1)
        relevant = np.maximum(self.until[:, -1], 1)
        if ties == "row":
            return (self.hits * self.until[:, 1:] / rank).sum(axis=1) / relevant
        # a relevant row stands at each place of its group alike, with the others around it
        start, stop = self._tied(self.scores)
        before = np.take_along_axis(self.until, start, axis=1)
        in_group = np.take_along_axis(self.until, stop, axis=1) - before
        size = stop - start
        others = (rank - 1 - start) * (in_group - 1) / np.maximum(size - 1, 1)
        return (in_group / size * (before + others + 1) / rank).sum(axis=1) / relevant

    def within(self, score: float) -> tuple[np.ndarray, np.ndarray]:
        """Return precision (q,) among the rows with at least a score, and their number (q,)."""
        size = (self.scores >= score).sum(dim=1).numpy()
        found = self.until[np.arange(len(size)), size]
        return found / np.maximum(size, 1), size

    def _tied(self, scores: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return where the groups of rows with these scores (q, m) start and stop."""
        rising = -self.scores
        start = torch.searchsorted(rising, -scores)
        stop = torch.searchsorted(rising, -scores, right=True)
        return start.numpy(), stop.numpy()
