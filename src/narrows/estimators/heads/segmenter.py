"""A segmenter on the maps of an encoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from narrows.applications.heads.segmentation import (
    Overlap,
    encoder_of_maps,
    measure_masks,
    pixel_logits,
)
from narrows.core.checks import check_number
from narrows.core.terms import Trainable
from narrows.data.pixel_classes import FEW, pixel_classes, pixel_values
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.convolutional import ConvolutionalAutoencoder
from narrows.estimators.heads.base import CodeHead, GivenTargets
from narrows.estimators.heads.fit import fit_rows, learn_head, opened
from narrows.estimators.held_out import HeldOut
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import keep
from narrows.estimators.sample_weights import check_class_weight, class_weights
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import check_known_classes, warn_of_held_out_classes
from narrows.fitting.head import HeadRecipe, HeadSettings, Prepared
from narrows.fitting.map_head import map_head, on_maps
from narrows.model.model import Model
from narrows.objectives.segmentation import SegmentationHead, SegmentationTask

__all__ = ["CodeSegmenter"]

_MOST = 32_767
"""Classes that the places of pixels, int16, tell apart."""


@documented
class CodeSegmenter(CodeHead):
    """Say what every pixel of an image is, from maps of several depths of an encoder.

    The head goes from the encoder's last maps upwards to the pixels, adding the maps of every
    depth and the image itself. Few masks are enough where the encoder has seen many images.

    Parameters
    ----------
    autoencoder : autoencoder, FrozenEstimator, path or None, default=None
        A ``ConvolutionalAutoencoder`` or the path of its model file, used as in
        ``CodeClassifier``. None fits one to X.
    training : ...
    width : int, default=16
        Channels of the head's maps.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Of the head's maps.
    flips : bool, default=True
        Whether images are turned over in training, left to right and top to bottom. Set False
        where up and down, or left and right, tell classes apart.
    reconstruction_weight : float, default=0.1
        Of the autoencoder's J in "joint".
    missing_label : int or None, default=None
        The value in y of pixels whose class is not known.
    max_classes : int, default=32
        More classes than this are refused: masks that were compressed (JPEG), smoothed or resized
        hold values between their classes.
    class_weight : dict, "balanced" or None, default=None
        The weight of each class's pixels in the loss, as in ``CodeClassifier``.
    max_epochs : int or None, default=None
        Passes over the rows; None takes 1000 steps, and from 50 to 500 passes.
    batch_size : ...
    learning_rate : float or None, default=None
        The highest rate of Adam; None takes 0.002.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    classes_ : ndarray of int
        What a pixel can be, in order.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, trained on where ``training`` says so.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats per image.
    validation_history_ : list of float
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        What ``max_epochs`` came to.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value.

    References
    ----------
    Lin et al. (2017), "Feature pyramid networks for object detection", CVPR. Ronneberger, Fischer,
    Brox (2015), "U-Net: convolutional networks for biomedical image segmentation", MICCAI.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import CodeSegmenter, ConvolutionalAutoencoder
    >>> X = load_digits().images[:200]
    >>> ae = ConvolutionalAutoencoder(8, channels=(8, 16), max_epochs=1, random_state=0).fit(X)
    >>> segmenter = CodeSegmenter(ae, max_epochs=5, random_state=0).fit(X[:50], X[:50] > 7)
    >>> segmenter.predict(X[50:]).shape
    (150, 64)
    """

    width: int
    flips: bool
    missing_label: Any
    max_classes: int
    class_weight: Any

    _answer = "pixels"
    _net = SegmentationHead
    _new_net = staticmethod(map_head)

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        training: str = "frozen",
        width: int = 16,
        activation: str = "silu",
        flips: bool = True,
        reconstruction_weight: float = 0.1,
        missing_label: int | None = None,
        max_classes: int = FEW,
        class_weight: Any = None,
        max_epochs: int | None = None,
        batch_size: int | str = "auto",
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: tuple[Any, Any] | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit the head to images and their masks, and the encoder too where ``training`` says so.

        Parameters
        ----------
        X : array-like, dataframe, tensor or Source of shape (n_samples, n_features)
            Images as rows, or an array (n_samples, height, width[, channels]).
        y : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), of int or bool
            The class of every pixel, also with an axis of one channel before or behind height and
            width; (n_samples,) where all pixels of an image are of one class.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : pair (X, y), optional
            Images and masks to hold out in the place of a share of X.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            Rows or masks that cannot be.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        """
        fit_rows(
            self,
            X,
            y,
            held_out=HeldOut(groups, block_length, gap, validation_data),
            stages=lambda: opened(self, checkpoint, resume, stop_requested),
            learn=partial(learn_head, self._recipe),
        )
        return self

    def _read_y(self, given: GivenTargets) -> Tensor:
        """Return the class of every pixel, int16 (n_samples, n_pixels), -1 where unknown."""
        height, width, _ = encoder_of_maps(given.model).image_shape
        places, self.classes_ = pixel_classes(
            given.y,
            given.n_rows,
            (height, width),
            unknown=self.missing_label,
            most=int(self.max_classes),
        )
        of_training = places[given.training.numpy()].ravel()
        learned = np.bincount(of_training + 1, minlength=len(self.classes_) + 1)[1:] > 0
        if learned.sum() == 1:
            raise UsageError(
                f"y: every pixel {'is' if len(learned) < 2 else 'to train on is'} of the class "
                f"{int(self.classes_[learned][0])}; masks need two classes."
            )
        if not learned.any():
            raise UsageError("y: no pixel to train on has a class that is known.")
        warn_of_held_out_classes(self.classes_[~learned], "masks with")
        return torch.from_numpy(places)

    def _recipe(self) -> HeadRecipe:
        def prepare(
            model: Model, source: Source, settings: HeadSettings, seed: int, training: Tensor
        ) -> Prepared:
            widths = [int(self.width), len(self.classes_)]
            flips = bool(self.flips)
            return on_maps(model, source, settings, seed, training, widths=widths, flips=flips)

        return HeadRecipe(prepare, weigh=self._weigh, rates=(2e-3, 2e-3))

    def _weigh(self, task: Trainable, split: Split) -> None:
        if self.class_weight is not None:
            assert isinstance(task, SegmentationTask) and split.training.targets is not None
            pixels = split.training.targets.reshape(-1)
            weights = class_weights(self.class_weight, self.classes_, pixels)
            share = pixels[pixels >= 0].long().bincount(minlength=len(weights)).double()
            mean = (weights * share).sum() / share.sum()
            task.class_weights = (weights / mean).float()

    def _check_held_out_y(self, y: np.ndarray, n_rows: int) -> None:
        if y.dtype.kind in "biuf":  # what is no mask is refused where masks are read
            learned, held_out = np.unique(y[:n_rows]), np.unique(y[n_rows:])
            known = held_out[(held_out == held_out) & (held_out != self.missing_label)]
            check_known_classes(np.setdiff1d(known, learned).tolist())

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return ConvolutionalAutoencoder(random_state=self.random_state, device=self.device)

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return ConvolutionalAutoencoder(random_state=self.random_state, device=self.device)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class of every pixel, (n, n_pixels, n_classes)."""
        check_is_fitted(self, "head_")
        source = query_source(self, X)
        blocks = pixel_logits(self.autoencoder_.model_, self.head_, source)
        return np.concatenate([softmax(block, axis=2) for block in blocks])

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of every pixel, (n_samples, n_pixels), row by row."""
        check_is_fitted(self, "head_")
        source = query_source(self, X)
        blocks = pixel_logits(self.autoencoder_.model_, self.head_, source)
        return np.concatenate([self.classes_[block.argmax(axis=2)] for block in blocks])

    def evaluate(self, X: Any, y: Any) -> Overlap:
        """Return Dice and intersection over union with the true masks."""
        predicted = self.predict(X)
        height, width, _ = encoder_of_maps(self.autoencoder_.model_).image_shape
        truth = pixel_values(y, len(predicted), (height, width))
        return measure_masks(predicted, truth, self.classes_, unknown=self.missing_label)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean Dice coefficient of the classes, the first one included, in [0, 1]."""
        return self.evaluate(X, y).mean_dice

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_class_weight(self.class_weight)
        check_number("width", self.width, low=1, integer=True)
        check_number("max_classes", self.max_classes, low=2, high=_MOST, integer=True)
        if self.missing_label is not None:
            check_number("missing_label", self.missing_label, integer=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _target_spec(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist()}

    def _restore_targets(self, spec: dict[str, Any], n_outputs: int) -> None:
        values = spec["classes"]
        if not all(type(value) is int for value in values) or len(values) != n_outputs:
            raise ValueError(f"{len(values)} classes for {n_outputs} outputs")
        self.classes_ = np.array(values, dtype=np.int64)
        if np.unique(self.classes_).tolist() != values:
            raise ValueError("the classes are not in order")
