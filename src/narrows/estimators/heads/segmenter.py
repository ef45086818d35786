"""Segment images with a head on an encoder's feature maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from narrows.applications.heads.segmentation import Overlap, measure_masks, pixel_logits
from narrows.core.checks import check_number
from narrows.data.pixel_classes import FEW, pixel_classes, pixel_values
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.estimators.autoencoders.convolutional import ConvolutionalAutoencoder
from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.fit import fit_head_to_rows, open_head_stages, train_by_recipe
from narrows.estimators.heads.kind import HeadKind, RawTargets
from narrows.estimators.held_out import HeldOut
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import keep
from narrows.estimators.sample_weights import check_class_weight, class_weights
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import check_known_classes, warn_of_held_out_classes
from narrows.fitting.head import HeadRecipe, HeadSettings, PreparedHead
from narrows.fitting.map_head import map_head, prepare_on_maps
from narrows.model.features import encoder_of_maps
from narrows.model.model import Model
from narrows.objectives.segmentation import SegmentationHead

__all__ = ["CodeSegmenter", "segmenter_recipe"]

_MAX_CLASSES = 32_767
"""Most classes that fit int16, the dtype of class indices of pixels."""


@documented
class CodeSegmenter(CodeHead):
    """Predict the class of every pixel of an image from the feature maps of an encoder.

    The head upsamples the encoder's last maps step by step to the pixels, and adds the maps of each
    depth and the image itself. Few masks are enough if the encoder was trained on many images.

    Parameters
    ----------
    autoencoder : autoencoder, FrozenEstimator, path or None, default=None
        A ``ConvolutionalAutoencoder`` or the path of its model file, used as in
        ``CodeClassifier``. None fits one to X.
    training : ...
    width : int, default=16
        Number of channels of the head's maps.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation of the head's maps.
    flips : bool, default=True
        Whether images are flipped at random in training, horizontally and vertically. Set False
        if orientation distinguishes classes.
    reconstruction_weight : float, default=0.1
        Weight of the autoencoder's J with training="joint".
    missing_label : int or None, default=None
        Value of y that marks pixels of unknown class.
    max_classes : int, default=32
        More classes than this are refused, because masks that were compressed (JPEG), smoothed or
        resized contain values between their classes.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class's pixels in the loss, as in ``CodeClassifier``.
    max_epochs : int or None, default=None
        Maximum number of passes over the rows. None takes as many as make about 1,000 steps, from
        50 to 500.
    batch_size : ...
    learning_rate : float or None, default=None
        Peak learning rate of Adam; None takes 0.002.
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
        Classes of pixels, in ascending order.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, with the encoder trained further unless ``training`` is "frozen".
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats per image.
    validation_history_ : list of float
        Mean held-out cross-entropy per epoch, in nats per image.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        The resolved ``max_epochs``.

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid.

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
    activation: str
    flips: bool
    missing_label: Any
    max_classes: int
    class_weight: Any

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

    @staticmethod
    def _kind() -> HeadKind:
        return HeadKind(
            check_parameters=_check_parameters,
            read_y=_read_y,
            check_held_out_y=_check_held_out_y,
            train=partial(train_by_recipe, segmenter_recipe),
            target_spec=_target_spec,
            restore_targets=_restore_classes,
            exported=lambda head: {"prediction": "pixels", "classes": head.classes_.tolist()},
            default_autoencoder=ConvolutionalAutoencoder,
            widths_in=SegmentationHead.widths_in,
            untrained_net=_untrained_net,
        )

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
        """Fit the head to images and their masks, and the encoder unless ``training`` is "frozen".

        Parameters
        ----------
        X : array-like, dataframe, tensor or Source of shape (n_samples, n_features)
            Images as rows, or an array (n_samples, height, width[, channels]).
        y : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), of int or bool
            Class of every pixel; may have a channel axis of length 1 before or after height and
            width. (n_samples,) if all pixels of an image have the same class.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : pair (X, y), optional
            Images and masks to hold out, instead of a fraction of X.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            If rows or masks are invalid.
        UsageError (a ValueError)
            If a constructor argument is invalid.
        """
        fit_head_to_rows(
            self,
            X,
            y,
            held_out=HeldOut(groups, block_length, gap, validation_data),
            stages=open_head_stages(self, checkpoint, resume, stop_requested),
        )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class of every pixel, (n_samples, n_pixels,
        n_classes)."""
        check_is_fitted(self, "head_")
        source = query_source(self, X)
        blocks = pixel_logits(self.autoencoder_.model_, self.head_, source)
        return np.concatenate([softmax(block, axis=2) for block in blocks])

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every pixel, (n_samples, n_pixels), row by row."""
        check_is_fitted(self, "head_")
        source = query_source(self, X)
        blocks = pixel_logits(self.autoencoder_.model_, self.head_, source)
        return np.concatenate([self.classes_[block.argmax(axis=2)] for block in blocks])

    def evaluate(self, X: Any, y: Any) -> Overlap:
        """Return Dice and intersection over union of the predictions with the masks y."""
        predicted = self.predict(X)
        height, width, _ = encoder_of_maps(self.autoencoder_.model_).image_shape
        truth = pixel_values(y, len(predicted), (height, width))
        return measure_masks(predicted, truth, self.classes_, unknown=self.missing_label)

    def score(self, X: Any, y: Any) -> float:
        """Return the Dice coefficient averaged over all classes, the first included, in [0, 1]."""
        return self.evaluate(X, y).mean_dice

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


def _check_parameters(head: CodeSegmenter) -> None:
    check_class_weight(head.class_weight)
    check_number("width", head.width, low=1, integer=True)
    check_number("max_classes", head.max_classes, low=2, high=_MAX_CLASSES, integer=True)
    if head.missing_label is not None:
        check_number("missing_label", head.missing_label, integer=True)


def _read_y(head: CodeSegmenter, raw: RawTargets) -> Tensor:
    """Return the class of every pixel, int16 (n_samples, n_pixels), -1 where unknown."""
    height, width, _ = encoder_of_maps(raw.model).image_shape
    indices, head.classes_ = pixel_classes(
        raw.y,
        raw.n_rows,
        (height, width),
        unknown=head.missing_label,
        most=int(head.max_classes),
    )
    training = indices[raw.training.numpy()].ravel()
    learned = np.bincount(training + 1, minlength=len(head.classes_) + 1)[1:] > 0
    if learned.sum() == 1:
        raise UsageError(
            f"y: every {'' if len(learned) < 2 else 'training '}pixel has the class "
            f"{int(head.classes_[learned][0])}; masks need at least two classes."
        )
    if not learned.any():
        raise UsageError("y: no training pixel has a known class.")
    warn_of_held_out_classes(head.classes_[~learned], "masks with")
    return torch.from_numpy(indices)


def _check_held_out_y(head: CodeSegmenter, y: np.ndarray, n_rows: int) -> None:
    if y.dtype.kind in "biuf":  # other dtypes are refused when the masks are read
        learned, held_out = np.unique(y[:n_rows]), np.unique(y[n_rows:])
        known = held_out[(held_out == held_out) & (held_out != head.missing_label)]
        check_known_classes(np.setdiff1d(known, learned).tolist())


def segmenter_recipe(head: CodeSegmenter) -> HeadRecipe:
    """Return how to build and train the head of a segmenter, once y has been read."""

    def prepare(
        model: Model, source: Source, settings: HeadSettings, seed: int, training: Tensor
    ) -> PreparedHead:
        assert source.targets is not None
        return prepare_on_maps(
            model,
            source,
            settings,
            seed,
            training,
            widths=[int(head.width), len(head.classes_)],
            activation=head.activation,
            flips=bool(head.flips),
            class_weights=_class_weights(head, source.targets[training].reshape(-1)),
        )

    return HeadRecipe(prepare, rates=(2e-3, 2e-3))


def _class_weights(head: CodeSegmenter, pixels: Tensor) -> Tensor | None:
    """Return the weights of the classes, with mean 1 over the training pixels of known class."""
    if head.class_weight is None:
        return None
    weights = class_weights(head.class_weight, head.classes_, pixels)
    counts = pixels[pixels >= 0].long().bincount(minlength=len(weights)).double()
    mean = (weights * counts).sum() / counts.sum()
    return (weights / mean).float()


def _untrained_net(model: Model, spec: Mapping[str, Any]) -> SegmentationHead:
    return map_head(model, spec["widths"], spec["activation"], generator=Generator())


def _target_spec(head: CodeSegmenter) -> dict[str, Any]:
    return {"classes": head.classes_.tolist()}


def _restore_classes(head: CodeSegmenter, spec: dict[str, Any]) -> None:
    values, n_outputs = spec["classes"], spec["widths"][-1]
    if not all(type(value) is int for value in values) or len(values) != n_outputs:
        raise ValueError(f"{len(values)} classes for {n_outputs} outputs")
    head.classes_ = np.array(values, dtype=np.int64)
    if np.unique(head.classes_).tolist() != values:
        raise ValueError("the classes are not sorted")
