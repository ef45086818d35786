"""Generate new rows from codes, and fill in hidden values, with a fitted autoencoder."""

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
from narrows.data.array_sources import plain_array
from narrows.data.image_lists import stacked_images
from narrows.data.memory import check_result_fits
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.estimators.autoencoders.queries import FittedAutoencoder
from narrows.estimators.parameters import seed_from
from narrows.model.coding import all_rows

__all__ = ["GeneratingAutoencoder"]


class GeneratingAutoencoder(FittedAutoencoder):
    """Methods that generate or fill in values, each a thin call of ``applications``.

    Rows are float32, or float64 if ``inverse_transform`` returns it. ``perturb``, ``traverse`` and
    ``interpolate`` return grids (n_lines, n_columns, n_features), in input units; if ``fit`` was
    given images, each row is an image. Codes stay valid: components are clipped to the range of the
    code's activation, top-k codes keep their k largest components, groups of a quantized code move
    to the nearest entry, and a bit flips when it crosses 0.
    """

    def _check_fits(self, *shape: int, way_out: str) -> None:
        """Raise ResourceError if rows of this shape do not fit into memory."""
        check_result_fits((*shape, self.model_.schema.n_features), "new rows", way_out)

    def sample(
        self, n_samples: int = 1, *, density: str = "auto", random_state: Any = None
    ) -> np.ndarray:
        """Return new rows, (n_samples, n_features), in input units.

        They are g(h) for codes h drawn from a density; for losses in nats g(h) is the mean of
        p(x | h), not a sample from it. Codes are made valid: components are clipped to the range of
        the code's activation, and a top-k code keeps its k largest components.

        Parameters
        ----------
        n_samples : int, default=1
            From 1 to 10,000,000.
        density : {"auto", "prior", "gaussian", "mixture"}, default="auto"
            "gaussian", and "mixture" of up to ten Gaussians, were fitted at the end of ``fit`` to
            the codes of at most 10,000 rows; "prior" is the N(0, I) of a variational model. "auto"
            is the prior if there is one, otherwise the mixture.
        random_state : int, RandomState or None, default=None
            An int makes the sample reproducible; its first rows do not depend on ``n_samples``.

        Raises
        ------
        UsageError (a ValueError)
            If ``n_samples`` is out of range, or the model has no such density.
        ResourceError
            If the rows do not fit into memory.
        """
        check_is_fitted(self, "model_")
        generator = Generator().manual_seed(seed_from(random_state))
        blocks = sampling.samples(self.model_, n_samples, density=density, generator=generator)
        self._check_fits(int(n_samples), way_out="lower n_samples")
        return self._shaped(all_rows(blocks))

    def perturb(
        self,
        X: Any,
        *,
        amount: float = 0.5,
        n_samples: int = 1,
        noise: str = "independent",
        random_state: Any = None,
    ) -> np.ndarray:
        """Return decoded codes near the codes of X, (n_rows, n_samples, n_features).

        They are g(h + amount * e) with normal e; [i, j] is the j-th sample for row i. Rows that are
        scaled to proportions keep their totals. Amount 0 gives ``reconstruct``.

        Parameters
        ----------
        X : rows
        amount : float, default=0.5
            Size of the noise, in standard deviations of the codes of the training rows.
        n_samples : int, default=1
            Number of samples per row, up to 10,000.
        noise : {"independent", "correlated"}, default="independent"
            Whether the components of e are independent, or correlated as those of the codes are.
        random_state : int, RandomState or None, default=None
            An int makes the samples reproducible; those of a row do not depend on later rows.

        Raises
        ------
        UsageError (a ValueError)
            If a number is out of range, or the model was not trained with ``fit``, which measures
            the codes at its end.
        """
        generator = Generator().manual_seed(seed_from(random_state))
        model, source = self._validated_query(X)
        blocks = walks.perturbed(
            model, source, amount=amount, n_samples=n_samples, noise=noise, generator=generator
        )
        self._check_fits(
            source.n_rows, int(n_samples), way_out="lower n_samples, or give fewer rows"
        )
        return self._shaped(all_rows(blocks))

    def traverse(
        self,
        x: Any,
        component: int | Sequence[int] | None = None,
        *,
        values: Any = None,
        n_steps: int = 9,
        span: float = 2.0,
    ) -> np.ndarray:
        """Return reconstructions of one row while single components of its code change,
        (n_components, n_steps, n_features).

        Parameters
        ----------
        x : one row, (n_features,) or (1, n_features)
        component : int or sequence of int, optional
            Components to change, counted from 0; one line each. None takes all.
        values : sequence of float, optional
            Values of the component, in code units.
        n_steps, span : int, float
            If ``values`` is None: n_steps values around the row's own, from -span to span
            standard deviations of the component over the training rows; the middle one of an odd
            number is the reconstruction.

        Raises
        ------
        UsageError (a ValueError)
            If x is not one row, there is no such component, a number is out of range, or the code
            is quantized, so that components do not vary on their own.
        """
        steps = None
        if values is None:
            steps = walks.steps_of(n_steps, span)
        else:
            values = _step_values(values)
        model, source = self._validated_query(_as_row(x), "x")
        if component is None:
            component = range(model.n_components)
        components = component if isinstance(component, Sequence | np.ndarray) else [component]
        if not len(components):
            raise UsageError("component: must have at least one number, got none; None takes all.")
        lines = walks.traversed(model, source, components, steps=steps, values=values)
        n = len(steps if values is None else values)  # pyright: ignore[reportArgumentType] -- one of them is
        self._check_fits(len(components), n, way_out="take fewer components or steps")
        return self._shaped(all_rows(lines))

    def interpolate(
        self, a: Any, b: Any, n_steps: int = 9, *, method: str = "linear"
    ) -> np.ndarray:
        """Return the path from rows a to rows b through the code, (n_rows, n_steps, n_features).

        The first and last steps are the reconstructions of a and b.

        Parameters
        ----------
        a, b : rows, (n_rows, n_features) or (n_features,)
        n_steps : int, default=9
            From 2 to 10,000, both ends included.
        method : {"linear", "spherical"}, default="linear"
            Along a straight line, or along an arc around the mean code, which stays as far from it
            as the codes of rows are.

        Raises
        ------
        InvalidData (a ValueError)
            If a and b have different numbers of rows.
        UsageError (a ValueError)
            If ``n_steps`` is out of range, or the method is unknown.
        """
        model, starts = self._validated_query(_as_row(a), "a")
        _, ends = self._validated_query(_as_row(b), "b")
        paths = interpolated(model, starts, ends, n_steps=n_steps, method=method)
        self._check_fits(starts.n_rows, int(n_steps), way_out="lower n_steps, or give fewer rows")
        return self._shaped(all_rows(paths))

    def check_memorization(self, samples: Any, X: Any, held_out: Any = None) -> Memorization:
        """Compare the distances of samples to the training rows X with those of real rows.

        The result's ``table()`` returns a printable table; ``nearest`` are the indices of the
        nearest rows of X.

        Parameters
        ----------
        samples : array-like of shape (n_samples, n_features), or images
            Result of ``sample``, at most 10,000 rows.
        X : rows
            All rows that the model was trained on.
        held_out : rows, optional
            Rows of the same kind that were not trained on. By default the reference is the
            distance of each training row to the others.

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
        """Fill in the values that a mask hides, and leave known values unchanged.

        Parameters
        ----------
        X : array-like, dataframe, tensor or Source of shape (n_samples, n_features)
            Dense rows. Hidden values are never read; NaN counts as hidden.
        mask : array-like of bool
            True where hidden: (n_features,) for all rows, or (n_samples, n_features); for images
            also (height, width) or (n_samples, height, width), with or without channels.
        method : {"auto", "pass", "projection", "code"}, default="auto"
            "pass" applies g(f(x)) once, for nets trained on hidden values (``Patches``,
            ``Missing``, ``Masking``). "projection" iterates it from the mean to a fixed point.
            "code" searches for a code that decodes to the known values and is likely under the
            density of codes. "auto" is "pass" if the net was trained for it, otherwise "code".
        return_std : bool, default=False
            Whether to also return the standard deviation of ``n_draws`` fills. For "code" these
            are decoded codes drawn given the known values. For other methods they are fills with a
            random quarter of the known values hidden as well, or decoded draws from the density of
            codes for a row without known values. It measures the uncertainty of the fill, not the
            noise of a single value around it.
        n_draws : int, default=16
            From 2 to 10,000; each costs about as much as the fill itself.
        random_state : int, RandomState or None, default=0
            Seeds the search and the draws.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features), in input units; images if ``fit`` was
            given images. float32, or float64 if X has wider numbers, so that known values are
            returned to the bit.
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
        fills, stds = zip(*blocks, strict=True)
        filled = self._shaped(_with_known(X, np.concatenate(fills), hidden))
        return (filled, self._shaped(np.concatenate(stds))) if return_std else filled

    def impute(
        self,
        X: Any,
        *,
        method: str = "auto",
        return_std: bool = False,
        n_draws: int = 16,
        random_state: Any = 0,
    ) -> Any:
        """Fill in NaN, and leave known values unchanged.

        Parameters and results are as in ``inpaint``, without the mask. X may contain NaN even if
        the training rows did not.
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
    """Return a one-dimensional numeric x as an array of one row; any other x unchanged."""
    if isinstance(x, torch.Tensor | np.ndarray) and x.ndim == 1:
        numeric = isinstance(x, torch.Tensor) or x.dtype.kind in "fiub"
        return x[None] if numeric else x
    return x


def _step_values(values: Any) -> np.ndarray:
    """Return values as a one-dimensional float32 array; raise UsageError unless all are finite."""
    try:
        steps = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        steps = np.empty(0)
    if steps.ndim != 1 or not len(steps) or not np.isfinite(steps).all():
        raise UsageError(f"values: must be a sequence of finite numbers, got {values!r}.")
    return steps


def _with_known(X: Any, filled: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Restore known values of X that float32 cannot represent."""
    if isinstance(X, Source):
        return filled
    given = np.asarray(plain_array(stacked_images(X)))
    if given.dtype.kind not in "iuf" or given.dtype.itemsize <= filled.dtype.itemsize:
        return filled
    given = given.reshape(filled.shape)
    return np.where(hidden | np.isnan(given), filled, given).astype(np.float64)
