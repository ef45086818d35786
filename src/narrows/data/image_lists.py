"""Stack lists of images into an array, and refuse data loaders and generators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from narrows.data.readers.images import image_bytes, one_number_of_channels
from narrows.errors import InvalidData

__all__ = ["is_loader", "stacked_images"]


def is_loader(x: Any) -> bool:
    """Return whether X is a torch DataLoader or Dataset."""
    return isinstance(x, DataLoader | Dataset)


def stacked_images(x: Any) -> Any:
    """Return a list of images as one array (n, height, width[, channels]).

    Images are arrays or tensors with two or three axes, whose numbers are kept, or PIL images,
    which are converted like those of a folder. Any other ``x`` is returned unchanged.

    Raises
    ------
    InvalidData
        If images differ in size, or ``x`` is a single image, a DataLoader, a Dataset or a
        generator; the message says what to give instead.
    """
    if is_loader(x):
        raise InvalidData(
            f"X: cannot be a torch {type(x).__name__}. Give its rows as one tensor or array: "
            "tensors[0] of a TensorDataset, else torch.stack([row for row, label in dataset]); or "
            "write them to a file, bigger than memory or not, and give narrows.read(path)."
        )
    if _is_picture(x):
        raise InvalidData("X: got one image; give a list of images, such as [image].")
    if isinstance(x, Iterator):
        raise InvalidData(
            f"X: a {type(x).__name__} can be read only once; give numpy.stack(list(X)), "
            "list(X) for texts, or narrows.read(path) for data bigger than memory."
        )
    if isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1:
        x = x.tolist()
    if not isinstance(x, list | tuple) or not x or not _is_image(x[0]):
        return x
    for i, image in enumerate(x):
        if not _is_image(image):
            raise InvalidData(f"X: item {i} is a {type(image).__name__}, but item 0 is an image.")
    pictures = all(map(_is_picture, x))
    images = [_array(image, i) for i, image in enumerate(x)]
    return np.stack(_of_one_shape(one_number_of_channels(images) if pictures else images))


def _is_picture(x: Any) -> bool:
    # by its methods, so that PIL is not imported
    return hasattr(x, "getbands") and hasattr(x, "convert")


def _is_image(x: Any) -> bool:
    return _is_picture(x) or (isinstance(x, np.ndarray | torch.Tensor) and x.ndim in (2, 3))


def _array(image: Any, position: int) -> np.ndarray:
    if _is_picture(image):
        try:
            return image_bytes(image)
        except (OSError, ValueError) as error:
            raise InvalidData(f"X: image {position} cannot be read: {error}.") from None
    return image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else image


def _of_one_shape(images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    first = images[0].shape
    for i, image in enumerate(images):
        if image.shape != first:
            raise InvalidData(
                f"X: image {i} has shape {image.shape}, image 0 has {first}; resize them to one "
                "size, such as PIL's image.resize((width, height)), and one number of channels."
            )
    return images
