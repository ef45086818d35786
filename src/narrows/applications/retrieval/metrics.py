"""Precision and recall of retrieval by labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from narrows.applications.retrieval.ranking import Ranked, ranked
from narrows.applications.retrieval.scores import distance_of
from narrows.core.checks import check_number
from narrows.data.csr import checked_csr
from narrows.errors import InvalidData, UsageError, unknown_name

__all__ = [
    "CUTOFFS",
    "Labels",
    "RetrievalResult",
    "Retrieved",
    "SharedLabels",
    "measure_retrieval",
    "n_labeled",
]

CUTOFFS = (1, 3, 7, 15, 31, 63, 127, 255, 511, 1023)
"""Numbers of retrieved rows, as in Hinton and Salakhutdinov (2006)."""


@dataclass(frozen=True)
class RetrievalResult:
    """Means over all queries; a query without any relevant row counts 0 in each of them.

    Attributes
    ----------
    n_queries, n_base : int
        Queries, and rows that each of them could retrieve.
    n_without_relevant : int
        Queries to which no row at all is relevant.
    distance : {"cosine", "hamming"}
    ties : {"row", "random"}
    cutoffs : tuple of int
        Those of the cut-offs asked for that the base has rows for.
    precision : tuple of float
        Fraction of the rows retrieved that are relevant, at each cut-off.
    precision_at_100 : float or None
        None where there are fewer than 100 rows.
    mean_average_precision : float or None
        Over the ranking of the whole base; None where it was not asked for.
    radius : int or None
        In bits.
    precision_within_radius : float or None
        Of the rows at a Hamming distance of at most ``radius``; a query with none counts 0.
    n_empty_balls : int or None
        Queries with no row within the radius.
    """

    n_queries: int
    n_base: int
    n_without_relevant: int
    distance: str
    ties: str
    cutoffs: tuple[int, ...]
    precision: tuple[float, ...]
    precision_at_100: float | None
    mean_average_precision: float | None = None
    radius: int | None = None
    precision_within_radius: float | None = None
    n_empty_balls: int | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def measure_retrieval(
    queries: Any,
    base: Any,
    query_labels: Labels,
    base_labels: Labels,
    *,
    cutoffs: Sequence[int] = CUTOFFS,
    leave_one_out: bool = False,
    ties: str = "row",
    average_precision: bool = False,
    radius: int | None = None,
) -> RetrievalResult:
    """Retrieve for each query the nearest rows of a base; return how many are relevant.

    A row is relevant to a query if the two share at least one label. Nearest is by cosine for
    numbers, dense or CSR, by Hamming distance for packed bits.

    Parameters
    ----------
    queries, base : ndarray or sparse matrix, (n, width)
        Codes; uint8 arrays are packed bits, eight to a byte.
    query_labels, base_labels : labels
        One a row, (n,), or several: a sparse matrix (n, n_labels).
    cutoffs : sequence of int
        How many rows to retrieve; those beyond the size of the base are left out.
    leave_one_out : bool
        The base are the queries themselves, and no row is retrieved for itself.
    ties : {"row", "random"}
        Among rows at one distance: the lower row number first; or the mean over all their
        orders, in closed form. Short bit codes have ties by the thousand, and the order of the
        rows in the file then decides: "random" is the fair number for them.
    average_precision : bool
        Also the mean average precision, sum over the relevant rows of the precision at their
        rank, over their number. It sorts the whole base for every query: 75 times as long as
        the precision at 1,023 of 264,622 rows.
    radius : int, optional
        Also the precision within this Hamming distance.

    Returns
    -------
    result : RetrievalResult

    Raises
    ------
    InvalidData
        If numbers of rows disagree, there are none, or codes or labels are of different kinds.
    UsageError
        For a cut-off below 1, an unknown rule for ties, or a radius for codes that are no bits.

    Examples
    --------
    >>> import numpy as np
    >>> base, labels = np.array([[1, 0], [2, 1], [0, 3]]), ["ship", "ship", "grain"]
    >>> measure_retrieval(base[:1], base, labels[:1], labels, cutoffs=(1, 3)).precision
    (1.0, 0.6666666666666666)

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313. McSherry, Najork (2008), "Computing information retrieval performance measures
    efficiently in the presence of tied scores", ECIR.
    """
    distance = distance_of(queries)
    _check_arguments(cutoffs, ties, radius, distance)
    relevance = SharedLabels(query_labels, base_labels)
    for name, codes, n in (("queries", queries, relevance.n_queries),
                           ("base", base, relevance.n_base)):  # fmt: skip
        if codes.shape[0] != n:
            raise InvalidData(f"{name}: {codes.shape[0]} rows of codes, but labels of {n} rows.")
    n_base = relevance.n_base - leave_one_out
    if not relevance.n_queries or n_base < 1:
        raise InvalidData("queries, base: at least one of each is needed.")
    kept = tuple(int(k) for k in cutoffs if k <= n_base)
    asked: list[int] = sorted({*kept, *((100,) if n_base >= 100 else ())})
    blocks = ranked(
        queries,
        base,
        depth=n_base if average_precision else max(asked, default=1),
        reach=math.inf if radius is None else -radius,
        leave_one_out=leave_one_out,
    )
    precision = np.zeros(len(asked))
    average = within = 0.0
    empty = 0
    for block in blocks:
        answers = Retrieved(block, relevance, n_base)
        precision += [answers.precision(k, ties).sum() for k in asked]
        if average_precision:
            average += answers.average_precision(ties).sum()
        if radius is not None:
            inside, size = answers.within(-radius)
            within += inside.sum()
            empty += int((size == 0).sum())
    n = relevance.n_queries
    mean = dict(zip(asked, (precision / n).tolist(), strict=True))
    return RetrievalResult(
        n_queries=n,
        n_base=n_base,
        n_without_relevant=int(relevance.without_any(leave_one_out=leave_one_out).sum()),
        distance=distance,
        ties=ties,
        cutoffs=kept,
        precision=tuple(mean[k] for k in kept),
        precision_at_100=mean.get(100),
        mean_average_precision=float(average / n) if average_precision else None,
        radius=radius,
        precision_within_radius=None if radius is None else float(within / n),
        n_empty_balls=None if radius is None else empty,
    )


def _check_arguments(cutoffs: Sequence[int], ties: str, radius: int | None, distance: str) -> None:
    for k in cutoffs:
        check_number("cutoffs", k, low=1, integer=True)
    if ties not in ("row", "random"):
        raise unknown_name("ties", ties, ("row", "random"))
    if radius is not None:
        check_number("radius", radius, low=0, integer=True)
        if distance != "hamming":
            raise UsageError("radius: is of packed bits (uint8); cosines have none. Leave it out.")


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


Labels = Any
"""One label a row, (n,) of numbers or strings; or several, a sparse matrix (n, n_labels) whose
stored values other than 0 are the labels that a row has."""


class SharedLabels:
    """Relevance of the rows of a base to queries: 1 where they share a label, 0 where not.

    A row without any label shares none, and is relevant to nothing.

    Parameters
    ----------
    queries, base : labels
        Both of one kind: (n,) each, or sparse with the same columns.

    Raises
    ------
    InvalidData
        If they are of different kinds or widths, missing (NaN), or malformed.
    """

    def __init__(self, queries: Labels, base: Labels) -> None:
        if sp.issparse(queries) != sp.issparse(base):
            raise InvalidData(
                "labels: those of the queries and of the base must both be one a row, or both "
                "sparse (n, n_labels)."
            )
        if sp.issparse(queries):
            ours, theirs = _flags(queries, "query_labels"), _flags(base, "base_labels")
            if ours.shape[1] != theirs.shape[1]:
                raise InvalidData(
                    "labels: the columns of both must be the same labels, got "
                    f"{ours.shape[1]} for the queries and {theirs.shape[1]} for the base."
                )
        else:
            ours, theirs = _indicators(queries, base)
        self.n_queries, self.n_base = ours.shape[0], theirs.shape[0]
        self._per_label = np.asarray(theirs.sum(axis=0)).ravel()
        self._flags = ours
        # one label a row is compared as a number; several as sets of bits, 64 to a word
        self._single = not sp.issparse(queries)
        self._queries, self._base = (
            flags.indices if self._single else _words(flags) for flags in (ours, theirs)
        )

    def of(self, queries: slice, rows: np.ndarray) -> np.ndarray:
        """Return the relevance (q, w) of ``rows`` (q, w) to some queries."""
        if self._single:
            return self._queries[queries, None] == self._base[rows]
        shared = np.zeros(rows.shape, bool)
        for ours, theirs in zip(self._queries, self._base, strict=True):  # memory stays (q, w)
            shared |= (ours[queries, None] & theirs[rows]) != 0
        return shared

    def without_any(self, *, leave_one_out: bool) -> np.ndarray:
        """Return which queries (n,) have no relevant row at all, themselves apart if asked."""
        shared = self._per_label > int(leave_one_out)
        return ~(self._flags @ shared.astype(np.int64) > 0)


def n_labeled(labels: Labels) -> int:
    """Return the number of rows that ``labels`` are of."""
    return labels.shape[0] if sp.issparse(labels) else len(labels)


def _flags(labels: Any, name: str) -> Any:
    matrix = checked_csr(labels, name).astype(bool).astype(np.int64)
    matrix.eliminate_zeros()
    return matrix


def _indicators(queries: Any, base: Any) -> tuple[Any, Any]:
    """Return single labels as CSR of one 1 a row, over the classes of both."""
    arrays = [
        _column(labels, n) for labels, n in ((queries, "query_labels"), (base, "base_labels"))
    ]
    if len({array.dtype.kind in "OSU" for array in arrays}) > 1:
        raise InvalidData("labels: numbers for one of queries and base, strings for the other.")
    classes, codes = np.unique(np.concatenate(arrays), return_inverse=True)
    n = len(arrays[0])
    return tuple(
        sp.csr_array(
            (np.ones(len(part), np.int64), part, np.arange(len(part) + 1)),
            shape=(len(part), len(classes)),
        )
        for part in (codes[:n], codes[n:])
    )  # pyright: ignore[reportReturnType] -- two of them


def _column(labels: Any, name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InvalidData(
            f"{name}: expected one label a row, (n,), or a sparse matrix (n, n_labels); "
            f"got {array.shape}."
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InvalidData(f"{name}: NaN at row {int(np.isnan(array).argmax())}.")
    return array.astype(str) if array.dtype.kind == "O" else array


def _words(flags: Any) -> np.ndarray:
    """Return the labels of every row as bits, (n_words, n)."""
    words = np.zeros((-(-flags.shape[1] // 64), flags.shape[0]), np.uint64)
    row = np.repeat(np.arange(flags.shape[0]), np.diff(flags.indptr))
    bit = np.uint64(1) << (flags.indices % 64).astype(np.uint64)
    np.bitwise_or.at(words, (flags.indices // 64, row), bit)
    return words
