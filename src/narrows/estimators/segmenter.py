"""A segmenter on the maps of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from narrows.applications.segmentation import (
    Overlap,
    encoder_of_maps,
    measure_masks,
    pixel_logits,
)
from narrows.checks import check_number
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.estimators._base import AbstractAutoencoder
from narrows.estimators._code_head import CodeHead
from narrows.estimators._input import query_source
from narrows.estimators._parameters import documented
from narrows.estimators._settings import keep
from narrows.estimators._targets import mask_values, read_masks
from narrows.estimators.convolutional import ConvolutionalAutoencoder
from narrows.model import Model
from narrows.segmentation import SegmentationHead, SegmentationTask, pyramid
from narrows.terms import Trainable
from narrows.training.precision import resolve_device

__all__ = ["CodeSegmenter"]


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

    layer = -1
    hidden = ()
    corruption = "identity"
    dropout = 0.0
    _classification = True
    _answer = "pixels"

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
        truth = mask_values(y, len(said), (height, width))
        return measure_masks(said, truth, self.classes_, unknown=self.missing_label)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean Dice coefficient of the classes after the first, in [0, 1]."""
        return self.evaluate(X, y).mean_dice

    def fit(self, X: Any, y: Any) -> CodeSegmenter:
        """Fit the head to images and their masks, and the encoder too where ``training`` says so.

        Parameters
        ----------
        X : array-like, dataframe, tensor or Source of shape (n_samples, n_features)
            Images as rows, or an array (n_samples, height, width[, channels]).
        y : array-like of shape (n_samples, n_pixels) or (n_samples, height, width), of int or bool
            The class of every pixel; (n_samples,) where all pixels of an image are of one class.

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
        self._check_parameters()
        self._masks = y
        try:
            return super().fit(X, y)
        finally:
            del self._masks

    def _read_y(self, y: Any, n_rows: int) -> Tensor:
        return torch.zeros(n_rows, 1)  # how many pixels there are is known with the autoencoder

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return ConvolutionalAutoencoder(random_state=self.random_state, device=self.device)

    def _prepared(self, source: Source, seed: int) -> tuple[Trainable, Source, Scaling]:
        if source.sparse:
            raise UsageError("X: sparse input is not supported, images are dense; use toarray().")
        model = self.autoencoder_.model_
        height, width, _ = encoder_of_maps(model).image_shape
        places, self.classes_ = read_masks(
            self._masks, source.n_rows, (height, width), unknown=self.missing_label
        )
        if len(self.classes_) < 2:
            raise UsageError(
                f"y: every pixel is of the class {int(self.classes_[0])}; masks need two classes."
            )
        source.targets = torch.from_numpy(places)
        model.to(resolve_device(self.device))
        self.layer_ = 0
        widths = [int(self.width), len(self.classes_)]
        generator = Generator().manual_seed(seed)
        head = self._new_head(model, widths, self.activation, generator=generator)
        self.head_ = head.to(model.device)
        frozen = self.training == "frozen"
        if frozen:
            some = source.sample(256, generator=Generator().manual_seed(seed)).to(model.device)
            with torch.no_grad():
                self.head_.start_at(pyramid(model.objective, model.scaling.forward(some)))
        task = SegmentationTask(
            model.objective,
            self.head_,
            frozen=frozen,
            reconstruction_weight=self._weight_of_rows(),
            flips=bool(self.flips),
        )
        return task, source, model.scaling

    def _new_head(
        self, model: Model, widths: list[int], activation: str, *, generator: Generator
    ) -> Any:
        encoder = encoder_of_maps(model)
        width, n_outputs = widths
        return SegmentationHead(
            encoder.image_shape,
            channels=encoder.channels[1:],
            n_outputs=n_outputs,
            width=width,
            activation=activation,
            generator=generator,
        )

    def _widths(self) -> list[int]:
        return list(self.head_.last.shape[::-1])

    @staticmethod
    def _widths_in(tensors: Mapping[str, Tensor]) -> list[int]:
        return list(tensors["last"].shape)

    def _rate(self) -> float:
        return 2e-3 if self.learning_rate is None else float(self.learning_rate)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("width", self.width, low=1, integer=True)
        if self.missing_label is not None:
            check_number("missing_label", self.missing_label, integer=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _target_spec(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist()}

    def _restore_targets(self, spec: Mapping[str, Any], n_outputs: int) -> None:
        values = spec["classes"]
        if not all(type(value) is int for value in values) or len(values) != n_outputs:
            raise ValueError(f"{len(values)} classes for {n_outputs} outputs")
        self.classes_ = np.array(values, dtype=np.int64)
        if np.unique(self.classes_).tolist() != values:
            raise ValueError("the classes are not in order")
