"""How many of the rows retrieved by a code are of the query's class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from narrows.applications.ranking import ranked
from narrows.applications.relevance import Labels, SharedLabels
from narrows.applications.retrieved import Retrieved
from narrows.applications.scores import distance_of
from narrows.checks import check_number
from narrows.errors import InvalidData, UsageError, unknown_name

__all__ = ["CUTOFFS", "RetrievalResult", "measure_retrieval"]

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
