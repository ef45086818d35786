"""Document autoencoder: word proportions through a narrow code and a softmax.

Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
Science 313.

    corrupt   identity | masking          drops words
    encoder   dense, sparse-native        reads the direction of a row, not its length
    decoder   dense
    loss      multinomial                 a row is a distribution over words
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec

__all__ = ["document", "row_length"]

ROW_LENGTH = 100.0
"""Length of rows at which the first layer learns as fast as the others.

Adam moves every weight by about the learning rate in a step, but a document reads only a few dozen
of the first layer's thousands of rows.
"""


def document(
    *,
    loss: Spec = "multinomial",
    hidden: Sequence[int] = (),
    linear_path: bool = False,
    **given: Any,
) -> Objective:
    """``given`` goes to ``plain``."""
    length = row_length(hidden, linear_path)
    path = linear_path and bool(hidden)
    return plain(loss=loss, hidden=hidden, linear_path=path, row_length=length, **given)


def row_length(hidden: Sequence[int], linear_path: bool) -> float:
    """Return the length of rows for the first layer; 1 if it is itself the linear path."""
    return 1.0 if linear_path and not hidden else ROW_LENGTH
