"""Arrays as tensors on the same memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor"]


def as_tensor(array: Tensor | np.ndarray) -> Tensor:
    """Return a tensor on the same memory where torch allows it, a copy where it does not."""
    if isinstance(array, Tensor):
        return array
    # strides that torch has no word for: backwards, or through records of mixed fields
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        # torch warns of undefined behavior on a write; nothing here ever writes to it
        flags = array.__array_interface__
        view = np.asarray(_Unlocked(flags, array))
        return torch.from_numpy(view)
    return torch.from_numpy(array)


class _Unlocked:
    """The same memory under an array interface that does not say read-only."""

    def __init__(self, interface: dict, owner: np.ndarray) -> None:
        address, _ = interface["data"]
        self.__array_interface__ = {**interface, "data": (address, False)}
        self._owner = owner
