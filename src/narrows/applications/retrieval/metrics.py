"""Measure the precision of retrieval by shared labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from narrows.core.checks import check_number
from narrows.data.csr import checked_csr
from narrows.errors import InvalidData, unknown_name
from narrows.neighbors.ranking import Ranked, distance_of, ranked

__all__ = [
    "CUTOFFS",
    "Labels",
    "RetrievalResult",
    "Retrieved",
    "SharedLabels",
    "measure_retrieval",
    "n_labeled",
    "checked_points",
    "plane_accuracy",
]

CUTOFFS = (1, 3, 7, 15, 31, 63, 127, 255, 511, 1023)
"""Numbers of retrieved rows, as in Hinton and Salakhutdinov (2006)."""


@dataclass(frozen=True)
class RetrievalResult:
    """Precision averaged over all queries; a query without any relevant row scores 0.

    Attributes
    ----------
    n_queries, n_base : int
        Number of queries, and of rows that each query can retrieve.
    n_without_relevant : int
        Number of queries to which no row is relevant.
    distance : {"cosine", "hamming"}
    ties : {"row", "random"}
    cutoffs : tuple of int
        The requested cut-offs up to the size of the base.
    precision : tuple of float
        Fraction of the retrieved rows that are relevant, at each cut-off.
    precision_at_100 : float or None
        None if the base has fewer than 100 rows.
    """

    n_queries: int
    n_base: int
    n_without_relevant: int
    distance: str
    ties: str
    cutoffs: tuple[int, ...]
    precision: tuple[float, ...]
    precision_at_100: float | None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def measure_retrieval(
    queries: Any,
    base: Any,
    query_labels: Labels,
    base_labels: Labels,
    *,
    cutoffs: Sequence[int] = CUTOFFS,
    ties: str = "row",
) -> RetrievalResult:
    """Return the mean precision of the rows of a base that are nearest to each query.

    A row is relevant to a query if the two share at least one label. Codes of numbers, dense or
    CSR, are compared by cosine, packed bits by Hamming distance.

    Parameters
    ----------
    queries, base : ndarray or sparse matrix, (n, width)
        Codes; uint8 arrays are packed bits, eight to a byte.
    query_labels, base_labels : labels
        One per row, (n,), or several: a sparse matrix (n, n_labels).
    cutoffs : sequence of int
        Numbers of rows to retrieve; those beyond the size of the base are left out.
    ties : {"row", "random"}
        Order of rows at the same distance: by row number, or the mean over all their orders, in
        closed form. Short bit codes have ties by the thousand, and by "row" the order of the rows
        in the file decides; "random" is fair.

    Returns
    -------
    result : RetrievalResult

    Raises
    ------
    InvalidData
        If numbers of rows disagree or are 0, or if codes or labels are of different kinds.
    UsageError
        For a cut-off below 1, or an unknown rule for ties.

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
    _check_arguments(cutoffs, ties)
    relevance = SharedLabels(query_labels, base_labels)
    for name, codes, n in (("queries", queries, relevance.n_queries),
                           ("base", base, relevance.n_base)):  # fmt: skip
        if codes.shape[0] != n:
            raise InvalidData(f"{name}: {codes.shape[0]} rows of codes, but labels of {n} rows.")
    n_queries, n_base = relevance.n_queries, relevance.n_base
    if not n_queries or not n_base:
        raise InvalidData("queries, base: at least one of each is needed.")
    kept = tuple(int(k) for k in cutoffs if k <= n_base)
    depths = sorted({*kept, *((100,) if n_base >= 100 else ())})
    sums = np.zeros(len(depths))
    for block in ranked(queries, base, depth=max(depths, default=1)):
        retrieved = Retrieved(block, relevance)
        sums += [retrieved.precision(k, ties).sum() for k in depths]
    mean = dict(zip(depths, (sums / n_queries).tolist(), strict=True))
    return RetrievalResult(
        n_queries=n_queries,
        n_base=n_base,
        n_without_relevant=int(relevance.without_any().sum()),
        distance=distance_of(queries),
        ties=ties,
        cutoffs=kept,
        precision=tuple(mean[k] for k in kept),
        precision_at_100=mean.get(100),
    )


def _check_arguments(cutoffs: Sequence[int], ties: str) -> None:
    for k in cutoffs:
        check_number("cutoffs", k, low=1, integer=True)
    if ties not in ("row", "random"):
        raise unknown_name("ties", ties, ("row", "random"))


class Retrieved:
    """The ranked rows of a block of q queries, and how many of the first k are relevant."""

    def __init__(self, block: Ranked, relevance: SharedLabels) -> None:
        self.scores = block.scores
        # unfilled places have the score -inf and are not relevant
        hits = relevance.of(block.queries, block.rows) & np.isfinite(self.scores.numpy())
        zero = np.zeros((len(hits), 1), np.int64)
        self.hits_before = np.concatenate([zero, hits.cumsum(axis=1)], axis=1)

    def precision(self, k: int, ties: str) -> np.ndarray:
        """Return the fraction of the first k rows that are relevant, (q,).

        ``ties`` is "row", the order as it is, or "random", the mean over all orders of rows with
        the same score.
        """
        if ties == "row":
            return self.hits_before[:, k] / k
        start, stop = self._tied_with(k)
        query = np.arange(len(start))
        before = self.hits_before[query, start]
        share = (self.hits_before[query, stop] - before) / (stop - start)
        return (before + (k - start) * share) / k

    def _tied_with(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the rows that score as the k-th does start and stop, (q,) each."""
        ascending, kth = -self.scores, -self.scores[:, k - 1 : k].contiguous()
        start = torch.searchsorted(ascending, kth)
        stop = torch.searchsorted(ascending, kth, right=True)
        return start[:, 0].numpy(), stop[:, 0].numpy()


Labels = Any
"""One label per row, (n,) of numbers or strings, or several: a sparse matrix (n, n_labels), whose
non-zero values mark the labels of a row."""


class SharedLabels:
    """Relevance of the rows of a base to queries: True if they share a label.

    A row without a label is relevant to no query.

    Parameters
    ----------
    queries, base : labels
        Both (n,), or both sparse with the same columns.

    Raises
    ------
    InvalidData
        If they are of different kinds or widths, missing (NaN), or malformed.
    """

    def __init__(self, queries: Labels, base: Labels) -> None:
        if sp.issparse(queries) != sp.issparse(base):
            raise InvalidData(
                "labels: those of the queries and of the base must both be one per row, or both "
                "sparse (n, n_labels)."
            )
        if sp.issparse(queries):
            of_queries, of_base = _flags(queries, "query_labels"), _flags(base, "base_labels")
            if of_queries.shape[1] != of_base.shape[1]:
                raise InvalidData(
                    "labels: the columns of both must be the same labels, got "
                    f"{of_queries.shape[1]} for the queries and {of_base.shape[1]} for the base."
                )
        else:
            of_queries, of_base = _indicators(queries, base)
        self.n_queries, self.n_base = of_queries.shape[0], of_base.shape[0]
        self._used_labels = (np.asarray(of_base.sum(axis=0)).ravel() > 0).astype(np.int64)
        self._flags = of_queries
        # one label per row is compared as a number, several as sets of bits, 64 per word
        self._single = not sp.issparse(queries)
        self._queries, self._base = (
            flags.indices if self._single else _words(flags) for flags in (of_queries, of_base)
        )

    def of(self, queries: slice, rows: np.ndarray) -> np.ndarray:
        """Return the relevance (q, w) of ``rows`` (q, w) to some queries."""
        if self._single:
            return self._queries[queries, None] == self._base[rows]
        shared = np.zeros(rows.shape, bool)
        for of_queries, of_base in zip(self._queries, self._base, strict=True):  # memory: (q, w)
            shared |= (of_queries[queries, None] & of_base[rows]) != 0
        return shared

    def without_any(self) -> np.ndarray:
        """Return which queries have no relevant row at all, boolean (n,)."""
        return ~(self._flags @ self._used_labels > 0)


def n_labeled(labels: Labels) -> int:
    """Return the number of rows of ``labels``."""
    return labels.shape[0] if sp.issparse(labels) else len(labels)


def _flags(labels: Any, name: str) -> Any:
    matrix = checked_csr(labels, name).astype(bool).astype(np.int64)
    matrix.eliminate_zeros()
    return matrix


def _indicators(queries: Any, base: Any) -> tuple[Any, Any]:
    """Return single labels as one-hot CSR matrices over the classes of both."""
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
            f"{name}: expected one label per row, (n,), or a sparse matrix (n, n_labels); "
            f"got {array.shape}."
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InvalidData(f"{name}: NaN at row {int(np.isnan(array).argmax())}.")
    return array.astype(str) if array.dtype.kind == "O" else array


def _words(flags: Any) -> np.ndarray:
    """Return the labels of each row as bits, 64 per word, (n_words, n)."""
    words = np.zeros((-(-flags.shape[1] // 64), flags.shape[0]), np.uint64)
    row = np.repeat(np.arange(flags.shape[0]), np.diff(flags.indptr))
    bit = np.uint64(1) << (flags.indices % 64).astype(np.uint64)
    np.bitwise_or.at(words, (flags.indices // 64, row), bit)
    return words


def plane_accuracy(xy: Any, labels: Labels, *, n_neighbors: int = 1) -> float:
    """Return how often a point's nearest neighbor shares a label with it.

    This is the mean over all points of the fraction of their ``n_neighbors`` nearest other points,
    by Euclidean distance, that share a label with them: with one neighbor and one label per point,
    the leave-one-out accuracy of a nearest-neighbor classifier. Points without a label count 0.
    Neighbors at the same place, as in a collapsed code, are taken in a fixed random order, not in
    that of the rows. Cost O(n log n).

    Parameters
    ----------
    xy : ndarray, (n, 2)
        Any other width works, too.
    labels : labels
        One per point, (n,), or several: a sparse matrix (n, n_labels).
    n_neighbors : int, default=1

    Raises
    ------
    InvalidData
        If there are fewer than two points, values are not finite, or the number of labels differs.
    UsageError
        If ``n_neighbors`` is not from 1 to the number of other points.

    Examples
    --------
    >>> plane_accuracy([[0, 0], [0, 1], [5, 5], [5, 6]], ["sea", "sea", "land", "sky"])
    0.5
    """
    from scipy.spatial import KDTree

    xy = checked_points(xy, labels)
    check_number("n_neighbors", n_neighbors, low=1, high=len(xy) - 1, integer=True)
    # noise far below the resolution of float32 puts points at the same place into random order
    extent = float(np.ptp(xy, axis=0).max()) or 1.0
    noise = np.random.default_rng(0).uniform(-1, 1, xy.shape)
    scaled = (xy - xy.mean(axis=0)) / extent + 1e-10 * noise
    near = np.asarray(KDTree(scaled).query(scaled, k=n_neighbors + 1)[1])
    own = near == np.arange(len(near))[:, None]
    own[~own.any(axis=1), -1] = True
    others = near[~own].reshape(len(near), n_neighbors)
    shared = SharedLabels(labels, labels).of(slice(None), others)
    return float(shared.mean())


def checked_points(xy: Any, labels: Labels) -> np.ndarray:
    xy = np.asarray(xy, dtype=np.float64)
    if xy.ndim != 2 or len(xy) < 2 or not np.isfinite(xy).all():
        raise InvalidData(
            f"maps: expected two or more points (n, 2), all finite; got shape {xy.shape}."
        )
    if len(xy) != n_labeled(labels):
        raise InvalidData(f"maps: {len(xy)} points, but labels of {n_labeled(labels)} rows.")
    return xy
