"""Linear baselines that codes are compared with: LSA and TF-IDF of counts, PCA of other rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from narrows.core.checks import check_number
from narrows.core.sparse import SparseRows
from narrows.data.array_sources import joined, rows_in_memory
from narrows.data.csr import checked_csr
from narrows.data.source import Source
from narrows.data.tfidf import is_tfidf
from narrows.errors import InvalidData, UsageError, unknown_name
from narrows.model.baseline import fill_with_means
from narrows.model.coding import scaled_batches
from narrows.model.model import Model
from narrows.neighbors.nearest import nearest_rows
from narrows.neighbors.ranking import unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "WEIGHTINGS",
    "baselines_of_counts",
    "baselines_of_rows",
    "comparable_rows",
    "lsa_codes",
    "pca_codes",
    "principal_components",
    "smoothed_codes",
    "weighted",
]

WEIGHTINGS = ("log", "log_tfidf", "proportions", "tfidf")

Baselines = dict[str, tuple[Any, Any]]
"""Rows of the base and of the queries, by the name of the baseline."""


def comparable_rows(model: Model, source: Source) -> Any:
    """Return the rows to compute baselines from: counts (n, n_features) as they are, other rows as
    the model scales them, with missing values at the mean of their feature."""
    if model.scaling.shares:
        return rows_in_memory(source)
    rows = joined(scaled for _, scaled in scaled_batches(model, source))
    return rows if sp.issparse(rows) else fill_with_means(torch.from_numpy(rows)).numpy()


def baselines_of_counts(
    base: Any, queries: Any, widths: Sequence[int], *, weighting: str, seed: int
) -> tuple[Baselines, str]:
    """Return LSA codes of each width and TF-IDF rows of log(1 + count), and a line about them.

    ``base`` and ``queries`` are counts (n, n_words); everything is fitted on the base.
    """
    baselines: Baselines = {}
    if widths:
        of_base, of_queries = lsa_codes(
            base, queries, n_components=max(widths), weighting=weighting, seed=seed
        )
        # the first columns of a wide code are the narrow code
        baselines = {f"LSA ({w})": (of_base[:, :w], of_queries[:, :w]) for w in widths}
    base_rows, query_rows = weighted(base, queries, weighting="log_tfidf")
    baselines[f"TF-IDF ({base.shape[1]})"] = base_rows, query_rows
    lsa, were = (f"LSA (weighting {weighting}) and ", "were") if widths else ("", "was")
    if already_tfidf(base):
        rows = "of rows that are tf-idf already and were not weighted again"
        lsa = "LSA and " if widths else ""
    else:
        rows = "of log(1 + count)"
    return baselines, f"{lsa}TF-IDF, {rows}, {were} fitted on those {base.shape[0]} others"


def baselines_of_rows(
    base: Any, queries: Any, widths: Sequence[int], *, seed: int
) -> tuple[Baselines, str]:
    """Return PCA codes of each width and the rows (n, n_features), and a line about them."""
    baselines: Baselines = {}
    if widths:
        of_base, of_queries = principal_components(
            base, queries, n_components=max(widths), seed=seed
        )
        baselines = {f"PCA ({w})": (of_base[:, :w], of_queries[:, :w]) for w in widths}
    baselines[f"the rows ({base.shape[1]})"] = base, queries
    return baselines, (
        f"PCA was fitted on those {base.shape[0]} others; by cosine of its codes, and of the rows"
        if widths
        else "by cosine of the rows"
    )


def weighted(train: ArrayLike, *others: ArrayLike, weighting: str) -> list[Any]:
    """Return weighted counts (n, n_words) as float32 CSR: the training rows, then the others.

    "log" is log(1 + count). "proportions" is the count over the total of the row. "tfidf" is the
    count times 1 + log((1 + n) / (1 + document frequency)), with n and the frequencies of the
    training rows, and with rows scaled to length 1; "log_tfidf" is the same of log(1 + count).
    Rows of zeros stay zeros. If the training rows look like tf-idf already (see ``is_tfidf``),
    neither of the two weights rows again.

    Raises
    ------
    InvalidData
        For negative or missing counts, or if the numbers of words differ.
    UsageError
        For an unknown weighting.
    """
    if weighting not in WEIGHTINGS:
        raise unknown_name("weighting", weighting, WEIGHTINGS)
    counts = [_counts(rows) for rows in (train, *others)]
    if len(widths := {rows.shape[1] for rows in counts}) > 1:
        raise InvalidData(f"counts: all must be of the same words, got {sorted(widths)} columns.")
    if weighting == "log":
        return [rows.log1p() for rows in counts]
    if weighting == "proportions":
        from sklearn.preprocessing import normalize

        return [normalize(rows, norm="l1") for rows in counts]
    if already_tfidf(counts[0]):
        return counts
    from sklearn.feature_extraction.text import TfidfTransformer

    if weighting == "log_tfidf":
        counts = [rows.log1p() for rows in counts]
    transformer = TfidfTransformer().fit(counts[0])
    return [transformer.transform(rows) for rows in counts]


def lsa_codes(
    train: ArrayLike,
    *others: ArrayLike,
    n_components: int,
    weighting: str = "log_tfidf",
    seed: int = 0,
) -> list[np.ndarray]:
    """Return latent semantic analysis of counts: truncated SVD of the weighted rows, uncentered.

    The first k columns of a wider code are the code of width k.

    Parameters
    ----------
    train, *others : ndarray or sparse matrix, (n, n_words)
        Counts. The weighting and the SVD are fitted on ``train`` alone.
    n_components : int
        Width of the codes, less than n_words.
    weighting : {"log", "log_tfidf", "proportions", "tfidf"}, default="log_tfidf"
        See ``weighted``. On half a million abstracts the default retrieved best at every
        number of rows.
    seed : int, default=0
        Seed of the randomized SVD.

    Returns
    -------
    codes : list of ndarray, (n, n_components) float32
        Codes of the training rows, then of the others, to be compared by cosine.

    Raises
    ------
    InvalidData
        As in ``weighted``.
    UsageError
        For an unknown weighting, or too many components for the words or the training rows.

    Examples
    --------
    >>> counts = [[2, 1, 0, 0], [1, 3, 0, 0], [0, 0, 4, 1], [0, 0, 1, 1]]
    >>> lsa_codes(counts, n_components=2)[0].shape
    (4, 2)

    References
    ----------
    Deerwester, Dumais, Furnas, Landauer, Harshman (1990), "Indexing by latent semantic
    analysis", JASIS 41.
    """
    from sklearn.decomposition import TruncatedSVD

    rows = weighted(train, *others, weighting=weighting)
    _check_components(n_components, rows[0])
    svd = TruncatedSVD(n_components, random_state=seed).fit(rows[0])
    return [svd.transform(part).astype(np.float32, copy=False) for part in rows]


def smoothed_codes(base: np.ndarray, *others: np.ndarray, n_neighbors: int) -> list[np.ndarray]:
    """Return codes averaged with those of their nearest rows of the base, by cosine.

    Neighbors blur the differences between single documents and bring out what a topic shares: that
    helps to find rows of the same label, and harms the search for one document.

    Parameters
    ----------
    base, *others : ndarray, (n, width)
        Codes; no row of the base is its own neighbor.
    n_neighbors : int
        Less than the number of rows of the base. All of them and the row itself count alike, with
        codes of length 1.

    Returns
    -------
    codes : list of ndarray, (n, width) float32
        Of the base, then of the others.

    Examples
    --------
    >>> smoothed_codes(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), n_neighbors=1)[0]
    array([[1. , 0. ],
           [1. , 0. ],
           [0.5, 0.5]], dtype=float32)
    """
    check_number("n_neighbors", n_neighbors, low=0, high=len(base) - 1, integer=True)
    parts = [unit_rows(part) for part in (base, *others)]
    if n_neighbors == 0:
        return parts
    near = [nearest_rows(parts[0], n_neighbors)]
    near += [nearest_rows(parts[0], n_neighbors, queries=part) for part in parts[1:]]
    return [
        (part + parts[0][rows].sum(axis=1)) / (1 + n_neighbors)
        for part, rows in zip(parts, near, strict=True)
    ]


def pca_codes(
    train: ArrayLike, *others: ArrayLike, n_components: int = 2, seed: int = 0
) -> list[np.ndarray]:
    """Return the first principal components of log(1 + count), in the form of ``lsa_codes``.

    Sparse rows are centered without being densified. Raises as ``lsa_codes`` does.
    """
    rows = weighted(train, *others, weighting="log")
    return principal_components(*rows, n_components=n_components, seed=seed)


def principal_components(
    train: Any, *others: Any, n_components: int = 2, seed: int = 0
) -> list[np.ndarray]:
    """Return the first principal components of rows, dense or CSR, float32 (n, n_components).

    They are fitted on the training rows, whose components come first, then those of the others.

    Raises
    ------
    UsageError
        For too many components for the features or the training rows.
    """
    from sklearn.decomposition import PCA

    _check_components(n_components, train)
    solver = "arpack" if sp.issparse(train) else "auto"
    pca = PCA(n_components, svd_solver=solver, random_state=seed).fit(train)
    return [pca.transform(part).astype(np.float32, copy=False) for part in (train, *others)]


def already_tfidf(rows: Any) -> bool:
    """Return whether rows, dense or sparse, look like tf-idf (see ``is_tfidf``)."""
    matrix: Any = sp.csr_array(rows).astype(np.float32)
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return is_tfidf(SparseRows(*parts, n_features=matrix.shape[1]))


def _check_components(n_components: int, rows: Any) -> None:
    check_number("n_components", n_components, low=1, integer=True)
    if n_components >= min(rows.shape):
        raise UsageError(
            f"n_components: must be less than the number of features and of rows to fit, got "
            f"{n_components} for {rows.shape[0]} rows of {rows.shape[1]}."
        )


def _counts(rows: Any) -> Any:
    matrix = sp.csr_array(checked_csr(rows, "counts") if sp.issparse(rows) else np.asarray(rows))
    matrix = matrix.astype(np.float32)
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise InvalidData("counts: must be finite and not negative; LSA weighs counts of words.")
    return matrix
