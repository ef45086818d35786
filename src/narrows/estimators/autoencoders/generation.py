"""What a fitted autoencoder makes: new rows out of codes, and hidden values filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.filling.hidden import row_masks
from narrows.applications.filling.inpainting import inpainted
from narrows.applications.generation import sampling, walks
from narrows.applications.generation.memorization import Memorization, measure_memorization
from narrows.applications.generation.walks import interpolated
from narrows.core.checks import check_number
from narrows.data.arrays import plain_array
from narrows.data.image_lists import stacked_images
from narrows.data.memory import check_result_fits
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.estimators.autoencoders.queries import FittedAutoencoder
from narrows.estimators.parameters import seed_from

__all__ = ["GeneratingAutoencoder"]


class GeneratingAutoencoder(FittedAutoencoder):
    """New rows and filled-in values, each a thin method on a function of (model, source).

    Rows are float32, or float64 where ``inverse_transform`` returns it. The walks return grids
    (n_lines, n_columns, n_features), in input units; where ``fit`` was given images, images stand
    in place of the n_features of new rows and of grids. Their codes
    keep the rule of their kind: numbers stay in the range of the code's activation, of a top-k
    code the k largest stay, parts of a quantized one become the nearest entries, and a bit flips
    where it is taken past 0.
    """

    def _check_fits(self, *shape: int, way_out: str) -> None:
        """Raise ResourceError where so many rows could not be held."""
        check_result_fits((*shape, self.model_.schema.n_features), "new rows", way_out)

    def sample(
        self, n_samples: int = 1, *, density: str = "auto", random_state: Any = None
    ) -> np.ndarray:
        """Return new rows, (n_samples, n_features), in input units.

        They are g(h) for codes h drawn from a density; where the loss is in nats that is the mean
        of p(x | h), not a draw from it. The codes keep the rule of their kind: numbers stay in
        the range of the code's activation, and of a top-k code the k largest.

        Parameters
        ----------
        n_samples : int, default=1
            From 1 to 10,000,000.
        density : {"auto", "prior", "gaussian", "mixture"}, default="auto"
            "gaussian" and a "mixture" of up to ten are fitted to the codes at the end of ``fit``,
            on at most 10,000 rows; the "prior" N(0, I) is a variational model's. "auto" is the
            prior where there is one, the mixture elsewhere.
        random_state : int, RandomState or None, default=None
            An int makes a draw repeat, and its first rows are the same however many follow.

        Raises
        ------
        UsageError (a ValueError)
            If the number is out of range, or the model has no such density.
        ResourceError
            If so many rows need more memory than there is.
        """
        check_is_fitted(self, "model_")
        generator = Generator().manual_seed(seed_from(random_state))
        blocks = sampling.samples(self.model_, n_samples, density=density, generator=generator)
        self._check_fits(int(n_samples), way_out="lower n_samples")
        return self._shaped(np.concatenate(list(blocks)))

    def perturb(
        self,
        X: Any,
        *,
        amount: float = 0.5,
        n_samples: int = 1,
        noise: str = "independent",
        random_state: Any = None,
    ) -> np.ndarray:
        """Return what rows near X look like to the decoder, (n_rows, n_samples, n_features).

        They are g(h + amount * e), e normal; [i, j] is the j-th of row i. Rows of shares keep
        their totals. Amount 0 is ``reconstruct``.

        Parameters
        ----------
        X : rows
        amount : float, default=0.5
            In standard deviations that the codes have over the training rows.
        n_samples : int, default=1
            How many of each row, up to 10,000.
        noise : {"independent", "correlated"}, default="independent"
            Whether the components of e are independent, or go together as those of the codes do.
        random_state : int, RandomState or None, default=None
            An int makes a draw repeat, and a row's are the same whatever rows follow it.

        Raises
        ------
        UsageError (a ValueError)
            If a number is out of range, or the model was not fitted by ``fit``, which measures the
            codes at its end.
        """
        generator = Generator().manual_seed(seed_from(random_state))
        model, source = self._validated_query(X)
        blocks = walks.perturbed(
            model, source, amount=amount, n_samples=n_samples, noise=noise, generator=generator
        )
        self._check_fits(
            source.n_rows, int(n_samples), way_out="lower n_samples, or give fewer rows"
        )
        return self._shaped(np.concatenate(list(blocks)))

    def traverse(
        self,
        x: Any,
        component: int | Sequence[int] | None = None,
        *,
        values: Any = None,
        n_steps: int = 9,
        span: float = 2.0,
    ) -> np.ndarray:
        """Return what becomes of one row as single components of its code change,
        (n_components, n_steps, n_features).

        Parameters
        ----------
        x : one row, (n_features,) or (1, n_features)
        component : int or sequence of int, optional
            Which ones, counted from 0; a line each. None takes all.
        values : sequence of float, optional
            What the component is put at, in code units.
        n_steps, span : int, float
            Without ``values``: steps from -span to span standard deviations that the component
            has over the training rows, around the row's own; the middle of an odd number of steps
            is the reconstruction.

        Raises
        ------
        UsageError (a ValueError)
            If x is not one row, there is no such component, a number is out of range, or the code
            is quantized: its numbers do not vary alone.
        """
        steps = None
        if values is None:
            steps = walks.steps_of(n_steps, span)
        else:
            values = _step_values(values)
        model, source = self._validated_query(_as_row(x), "x")
        if component is None:
            component = range(model.n_components)
        asked = component if isinstance(component, Sequence | np.ndarray) else [component]
        if not len(asked):
            raise UsageError("component: one at least is needed, got none; None takes all.")
        lines = walks.traversed(model, source, asked, steps=steps, values=values)
        n = len(steps if values is None else values)  # pyright: ignore[reportArgumentType] -- one of them is
        self._check_fits(len(asked), n, way_out="take fewer components or steps")
        return self._shaped(np.concatenate(list(lines)))

    def interpolate(
        self, a: Any, b: Any, n_steps: int = 9, *, method: str = "linear"
    ) -> np.ndarray:
        """Return the way from rows a to rows b through the code, (n_rows, n_steps, n_features).

        The first and last step are the reconstructions of a and of b.

        Parameters
        ----------
        a, b : rows, (n_rows, n_features) or (n_features,)
        n_steps : int, default=9
            From 2 to 10,000, both ends included.
        method : {"linear", "spherical"}, default="linear"
            Straight on, or along the arc around the mean code, which stays as far from it as codes
            of rows are.

        Raises
        ------
        InvalidData (a ValueError)
            If a and b have different numbers of rows.
        UsageError (a ValueError)
            If the number is out of range, or the method unknown.
        """
        model, ours = self._validated_query(_as_row(a), "a")
        _, theirs = self._validated_query(_as_row(b), "b")
        ways = interpolated(model, ours, theirs, n_steps=n_steps, method=method)
        self._check_fits(ours.n_rows, int(n_steps), way_out="lower n_steps, or give fewer rows")
        return self._shaped(np.concatenate(list(ways)))

    def check_memorization(self, samples: Any, X: Any, held_out: Any = None) -> Memorization:
        """Return how near samples come to the training rows X, beside how near real rows come.

        ``print`` its ``table()``; its ``nearest`` are the numbers of the nearest rows of X.

        Parameters
        ----------
        samples : array-like of shape (n_samples, n_features), or images
            What ``sample`` returned, at most 10,000 rows.
        X : rows
            All that the model was trained on.
        held_out : rows, optional
            Of the same kind, and not trained on. Without them the reference is the training rows,
            each compared with the others: too near where the net knows them by heart.

        Raises
        ------
        InvalidData (a ValueError)
            If there are no samples or too many, or widths differ.
        """
        model, train = self._validated_query(X)
        others = None if held_out is None else self._validated_query(held_out, "held_out")[1]
        if np.ndim(samples) > 2:
            samples = np.reshape(samples, (len(samples), -1))
        return measure_memorization(model, samples, train, others)

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


def _as_row(x: Any) -> Any:
    """Return an array of one row where x is one axis of numbers, x itself otherwise."""
    if isinstance(x, torch.Tensor | np.ndarray) and x.ndim == 1:
        numeric = isinstance(x, torch.Tensor) or x.dtype.kind in "fiub"
        return x[None] if numeric else x
    return x


def _step_values(values: Any) -> np.ndarray:
    """Return finite float32 values on one axis."""
    try:
        steps = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        steps = np.empty(0)
    if steps.ndim != 1 or not len(steps) or not np.isfinite(steps).all():
        raise UsageError(f"values: must be finite numbers on one axis, got {values!r}.")
    return steps


def _with_known(X: Any, filled: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Put known values back as they were given, where float32 does not hold them."""
    if isinstance(X, Source):
        return filled
    given = np.asarray(plain_array(stacked_images(X)))
    if given.dtype.kind not in "iuf" or given.dtype.itemsize <= filled.dtype.itemsize:
        return filled
    given = given.reshape(filled.shape)
    return np.where(hidden | np.isnan(given), filled, given).astype(np.float64)
