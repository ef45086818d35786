"""Document autoencoder: word proportions through a narrow code and a softmax.

Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
Science 313.

    corrupt   identity | masking          drops words
    encoder   dense, sparse-native        reads the direction of a row, not its length
    decoder   dense
    loss      multinomial                 a row is a distribution over words
"""

from __future__ import annotations

from typing import Any

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec

__all__ = ["document"]

ROW_LENGTH = 100.0
"""Length of rows at which the first layer learns as fast as the others.

Adam moves every weight by about the learning rate in a step, but a document reads only a few dozen
of the first layer's thousands of rows.
"""


def document(*, loss: Spec = "multinomial", **given: Any) -> Objective:
    """``given`` goes to ``plain``."""
    return plain(loss=loss, row_length=ROW_LENGTH, **given)
