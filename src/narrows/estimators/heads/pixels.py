"""How a segmenter learns: a head of every pixel, on the maps of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.heads.segmentation import encoder_of_maps
from narrows.core.checks import check_number
from narrows.core.terms import Trainable
from narrows.data.pixel_classes import pixel_classes
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.convolutional import ConvolutionalAutoencoder
from narrows.estimators.heads.base import CodeHead
from narrows.estimators.parameters import batch_size_for
from narrows.estimators.sample_weights import check_class_weight, class_weights
from narrows.estimators.targets import check_known_classes, warn_of_held_out_classes
from narrows.model.model import Model
from narrows.objectives.segmentation import SegmentationHead, SegmentationTask, head_sizes, pyramid
from narrows.training.precision import resolve_device
from narrows.training.sizes import check_head_fits

__all__ = ["PixelHead"]

_MOST = 32_767
"""Classes that the places of pixels, int16, tell apart."""


class PixelHead(CodeHead):
    """A head that says the class of every pixel. CodeSegmenter asks it."""

    width: int
    flips: bool
    missing_label: Any
    max_classes: int
    class_weight: Any

    layer = -1
    hidden = ()
    corruption = "identity"
    dropout = 0.0
    _classification = True
    _answer = "pixels"

    def fit(  # pyright: ignore[reportIncompatibleMethodOverride] -- pixels have no weights
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
        groups, block_length, gap, validation_data, checkpoint, resume, stop_requested
            As in ``CodeClassifier.fit``.

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
            return super().fit(
                X,
                y,
                groups=groups,
                block_length=block_length,
                gap=gap,
                validation_data=validation_data,
                checkpoint=checkpoint,
                resume=resume,
                stop_requested=stop_requested,
            )
        finally:
            del self._masks

    def _read_y(
        self, y: Any, n_rows: int, training: Tensor, weights: np.ndarray | None = None
    ) -> Tensor:
        self._masks = y
        return torch.zeros(n_rows, 1)  # how many pixels there are is known with the autoencoder

    def _check_held_out_y(self, y: np.ndarray, n_rows: int) -> None:
        if y.dtype.kind in "biuf":  # what is no mask is refused where masks are read
            ours, theirs = np.unique(y[:n_rows]), np.unique(y[n_rows:])
            told = theirs[(theirs == theirs) & (theirs != self.missing_label)]
            check_known_classes(np.setdiff1d(told, ours).tolist())

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return ConvolutionalAutoencoder(random_state=self.random_state, device=self.device)

    def _prepared(
        self, source: Source, seed: int, training: Tensor
    ) -> tuple[Trainable, Source, Scaling]:
        if source.sparse:
            raise UsageError("X: sparse input is not supported, images are dense; use toarray().")
        model = self.autoencoder_.model_
        height, width, _ = encoder_of_maps(model).image_shape
        places, self.classes_ = pixel_classes(
            self._masks,
            source.n_rows,
            (height, width),
            unknown=self.missing_label,
            most=int(self.max_classes),
        )
        counts = np.bincount(places[training.numpy()].ravel() + 1, minlength=len(self.classes_) + 1)
        learned = counts[1:] > 0
        if learned.sum() == 1:
            raise UsageError(
                f"y: every pixel {'is' if len(learned) < 2 else 'to train on is'} of the class "
                f"{int(self.classes_[learned][0])}; masks need two classes."
            )
        if not learned.any():
            raise UsageError("y: no pixel to train on has a class that is known.")
        warn_of_held_out_classes(self.classes_[~learned], "masks with")
        source.targets = torch.from_numpy(places)
        model.to(resolve_device(self.device))
        self.layer_ = 0
        widths = [int(self.width), len(self.classes_)]
        check_head_fits(
            *head_sizes(encoder_of_maps(model), *widths),
            batch_size=batch_size_for(self.batch_size, source.n_rows),
            device=model.device,
            lower=f"width={self.width!r}",
        )
        generator = Generator().manual_seed(seed)
        head = self._new_head(model, widths, self.activation, generator=generator)
        self.head_ = head.to(model.device)
        frozen = self.training == "frozen"
        if frozen:
            rows = source.where(training)
            some = rows.sample(256, generator=Generator().manual_seed(seed)).to(model.device)
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

    def _weigh(self, task: Trainable, split: Split) -> None:
        if self.class_weight is not None:
            assert isinstance(task, SegmentationTask) and split.training.targets is not None
            told = split.training.targets.reshape(-1)
            weights = class_weights(self.class_weight, self.classes_, told)
            share = told[told >= 0].long().bincount(minlength=len(weights)).double()
            mean = (weights * share).sum() / share.sum()
            task.class_weights = (weights / mean).float()

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

    def _restore_targets(self, spec: Mapping[str, Any], n_outputs: int) -> None:
        values = spec["classes"]
        if not all(type(value) is int for value in values) or len(values) != n_outputs:
            raise ValueError(f"{len(values)} classes for {n_outputs} outputs")
        self.classes_ = np.array(values, dtype=np.int64)
        if np.unique(self.classes_).tolist() != values:
            raise ValueError("the classes are not in order")
