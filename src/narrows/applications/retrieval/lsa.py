"""Linear baselines of a document's code: latent semantic analysis, PCA, and TF-IDF rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from narrows.core.checks import check_number
from narrows.data.csr import checked_csr
from narrows.errors import InvalidData, UsageError, unknown_name

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["WEIGHTINGS", "lsa_codes", "pca_codes", "principal_components", "weighted"]

WEIGHTINGS = ("log", "log_tfidf", "proportions", "tfidf")


def weighted(train: ArrayLike, *others: ArrayLike, weighting: str) -> list[Any]:
    """Return counts (n, n_words) weighted, as float32 CSR: the training rows, then the others.

    "log" is log(1 + count); "proportions" the count over the row's total; "tfidf" the count times
    1 + log((1 + n) / (1 + document frequency)), n and the frequencies being those of the training
    rows, and rows scaled to length 1; "log_tfidf" the same of log(1 + count). A row of zeros
    stays one.

    Raises
    ------
    InvalidData
        For negative or missing counts, or other words than the training rows'.
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

    The first k columns of a longer code are the code of k numbers.

    Parameters
    ----------
    train, *others : ndarray or sparse matrix, (n, n_words)
        Counts. The weighting and the SVD are fitted on the first alone.
    n_components : int
        Width of the codes, less than n_words.
    weighting : {"log", "log_tfidf", "proportions", "tfidf"}, default="log_tfidf"
        As in ``weighted``. On half a million abstracts the default retrieved best at every
        number of rows.
    seed : int, default=0
        Of the randomized SVD.

    Returns
    -------
    codes : list of ndarray, (n, n_components) float32
        Of the training rows, then of the others. The cosine compares them.

    Raises
    ------
    InvalidData
        As ``weighted``.
    UsageError
        For an unknown weighting, or more components than words or training rows allow.

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


def pca_codes(
    train: ArrayLike, *others: ArrayLike, n_components: int = 2, seed: int = 0
) -> list[np.ndarray]:
    """Return the first principal components of log(1 + count), as ``lsa_codes`` does its own.

    Sparse rows are centered without being densified. Raises as ``lsa_codes``.
    """
    rows = weighted(train, *others, weighting="log")
    return principal_components(*rows, n_components=n_components, seed=seed)


def principal_components(
    train: Any, *others: Any, n_components: int = 2, seed: int = 0
) -> list[np.ndarray]:
    """Return the first principal components of rows as they are, dense or CSR, float32
    (n, n_components): of the training rows, on which they are fitted, then of the others.

    Raises
    ------
    UsageError
        For more components than features or training rows allow.
    """
    from sklearn.decomposition import PCA

    _check_components(n_components, train)
    solver = "arpack" if sp.issparse(train) else "auto"
    pca = PCA(n_components, svd_solver=solver, random_state=seed).fit(train)
    return [pca.transform(part).astype(np.float32, copy=False) for part in (train, *others)]


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
