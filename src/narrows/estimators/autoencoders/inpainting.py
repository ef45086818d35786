"""What a fitted autoencoder says of hidden values: the method every estimator has."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.filling.inpainting import inpainted
from narrows.applications.filling.masks import row_masks
from narrows.core.checks import check_number
from narrows.data.arrays import plain_array
from narrows.data.image_lists import stacked_images
from narrows.data.source import Source
from narrows.estimators.autoencoders.asked import Asked
from narrows.estimators.parameters import seed_from

__all__ = ["Inpainting"]


class Inpainting(Asked):
    """The questions about rows of which a part is hidden."""

    def inpaint(
        self,
        X: Any,
        mask: Any,
        *,
        method: str = "auto",
        return_std: bool = False,
        n_draws: int = 16,
        random_state: Any = 0,
    ) -> Any:
        """Fill in what a mask hides, and return known values as they are.

        Parameters
        ----------
        X : array-like, dataframe, tensor or Source of shape (n_samples, n_features)
            Dense. What stands where a value is hidden is never read; NaN is hidden too.
        mask : array-like of bool
            True where hidden: (n_features,) for all rows or (n_samples, n_features); of images
            also (height, width) or (n_samples, height, width), with the channels or without.
        method : {"auto", "pass", "projection", "code"}, default="auto"
            "pass" is g(f(x)) once, for nets trained on hidden values (``Patches``, ``Missing``,
            ``Masking``), "projection" its fixed point from the mean fill, "code" a search for the
            code that says the known values and is likely under the density of codes. "auto" is
            "pass" where the net was trained for it, else "code".
        return_std : bool, default=False
            Return the standard deviation of ``n_draws`` fills too. For "code" they are decoded
            codes drawn given the known values; for the others fills of the row with a random
            quarter of the known values hidden as well, or, of a row of which nothing is known,
            codes drawn from the density of codes. It is how far the fill is open, not the noise
            of a single value around it.
        n_draws : int, default=16
            From 2 to 10,000; each costs about as much as the fill.
        random_state : int, RandomState or None, default=0
            Of the search and the draws.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features), in input units; images where ``fit`` was
            given images. float32; float64 for arrays and frames of wider numbers than that, so
            that known values are the given ones to the bit.
        std : ndarray of the same shape, 0 where known
            Only with ``return_std``.

        Raises
        ------
        UsageError (a ValueError)
            If X is sparse, the mask does not fit, or the method is unknown.
        InvalidData (a ValueError)
            If a known value is infinite, or the loss refuses it.
        """
        if return_std:
            check_number("n_draws", n_draws, low=2, integer=True)
        model, source = self._validated_query(X)
        shape = model.schema.image_shape or source.image_shape
        hidden = row_masks(mask, source.n_rows, source.n_features, shape)
        blocks = inpainted(
            model,
            source,
            hidden,
            method=method,
            n_draws=int(n_draws) if return_std else 0,
            generator=Generator().manual_seed(seed_from(random_state)),
        )
        fills, spreads = zip(*blocks, strict=True)
        filled = self._shaped(_with_known(X, np.concatenate(fills), hidden))
        return (filled, self._shaped(np.concatenate(spreads))) if return_std else filled

    def impute(
        self,
        X: Any,
        *,
        method: str = "auto",
        return_std: bool = False,
        n_draws: int = 16,
        random_state: Any = 0,
    ) -> Any:
        """Fill in what is NaN, and return known values as they are.

        The parameters and results are those of ``inpaint`` without a mask. X may hold NaN
        whatever the net was fitted to.
        """
        check_is_fitted(self, "model_")
        return self.inpaint(
            X,
            np.zeros(self.model_.schema.n_features, dtype=bool),
            method=method,
            return_std=return_std,
            n_draws=n_draws,
            random_state=random_state,
        )


def _with_known(X: Any, filled: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Put known values back as they were given, where float32 does not hold them."""
    if isinstance(X, Source):
        return filled
    given = np.asarray(plain_array(stacked_images(X)))
    if given.dtype.kind not in "iuf" or given.dtype.itemsize <= filled.dtype.itemsize:
        return filled
    given = given.reshape(filled.shape)
    return np.where(hidden | np.isnan(given), filled, given).astype(np.float64)
