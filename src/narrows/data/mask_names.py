"""Which mask is of which image, by the names of their files."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from narrows.data.readers.folders import image_files
from narrows.errors import InvalidData, PairingWarning

__all__ = ["places_by_name"]

_DIGITS = "0123456789"
_SEPARATORS = "_-. /"


def places_by_name(images: Path, masks: Path) -> np.ndarray:
    """Return the place, in the order of names, of the mask of every image, (n_images,) int64.

    Names are compared without suffix, such as .png; where fewer than half agree, without what all
    of a folder begin with, and end with, such as _mask, too. If as many are in both folders, and
    fewer than half agree, they go together in the order of their names.

    Raises
    ------
    InvalidData
        If half of the names agree or more, but not all.

    Warns
    -----
    PairingWarning
        If fewer than half agree.
    """
    of_images, of_masks = _names(images), _names(masks)
    in_order = np.arange(len(of_masks))
    if len(of_images) != len(of_masks):
        return in_order  # how many there are of each is said by who counts rows
    ours, theirs = of_images, of_masks
    if _n_shared(ours, theirs) * 2 < len(ours):
        ours, theirs = _cores(ours), _cores(theirs)
    if ours == theirs:
        return in_order
    place = {name: i for i, name in enumerate(theirs)}
    if len(place) == len(theirs) and set(ours) == set(theirs):
        return np.array([place[name] for name in ours])
    n_shared, n = _n_shared(ours, theirs), len(ours)
    first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    pair = f"image {of_images[first]!r} would go with mask {of_masks[first]!r}"
    if n_shared * 2 >= n:
        raise InvalidData(
            f"{masks}: {n_shared} of {n} masks have the name of an image in {images}, the others "
            f"have not; in the order of names {pair}. Give the mask of every image its name."
        )
    warnings.warn(
        f"{masks}: {n_shared} of {n} masks have the name of an image in {images}; they go together "
        f"in the order of their names: {pair}. Give masks the names of their images to be sure.",
        PairingWarning,
        stacklevel=2,
    )
    return in_order


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix() for path in image_files(folder)]


def _n_shared(ours: list[str], theirs: list[str]) -> int:
    return len({*ours} & {*theirs})


def _cores(names: list[str]) -> list[str]:
    """Return names without what all begin with and end with; digits of a number stay together."""
    begin = len(os.path.commonprefix(names).rstrip(_DIGITS))
    end = len(os.path.commonprefix([name[::-1] for name in names]).rstrip(_DIGITS))
    return [name[begin : max(begin, len(name) - end)].strip(_SEPARATORS) for name in names]
