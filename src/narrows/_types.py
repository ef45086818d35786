"""Named axes for array annotations.

The names are checked at run time only in the tests, where jaxtyping is installed;
elsewhere they are plain tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    Batch = Tensor
    Codes = Tensor
    Outputs = Tensor
    PerSample = Tensor
    Scalar = Tensor
else:
    try:
        from jaxtyping import Float
    except ModuleNotFoundError:
        Batch = Codes = Outputs = PerSample = Scalar = Tensor
    else:
        Batch = Float[Tensor, "batch features"]
        Codes = Float[Tensor, "batch components"]
        Outputs = Float[Tensor, "batch features"]
        PerSample = Float[Tensor, " batch"]
        Scalar = Float[Tensor, ""]

__all__ = ["Batch", "Codes", "Outputs", "PerSample", "Scalar"]
