"""A segmenter on the maps of an encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from narrows.applications.heads.segmentation import (
    Overlap,
    encoder_of_maps,
    measure_masks,
    pixel_logits,
)
from narrows.data.pixel_classes import FEW, pixel_values
from narrows.estimators.heads.pixels import PixelHead
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["CodeSegmenter"]


@documented
class CodeSegmenter(PixelHead):
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
        said = self.predict(X)
        height, width, _ = encoder_of_maps(self.autoencoder_.model_).image_shape
        truth = pixel_values(y, len(said), (height, width))
        return measure_masks(said, truth, self.classes_, unknown=self.missing_label)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean Dice coefficient of the classes, the first one included, in [0, 1]."""
        return self.evaluate(X, y).mean_dice
