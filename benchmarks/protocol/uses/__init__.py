"""List the uses."""

from __future__ import annotations

from protocol.use import Use
from protocol.uses.anomalies import ANOMALIES
from protocol.uses.codes import CODES
from protocol.uses.denoising import DENOISING
from protocol.uses.documents import DOCUMENTS
from protocol.uses.heads import HEADS
from protocol.uses.imputing import IMPUTING
from protocol.uses.inpainting import INPAINTING
from protocol.uses.matching import MATCHING
from protocol.uses.regression import REGRESSION
from protocol.uses.segmentation import SEGMENTATION

__all__ = ["USES"]

USES: dict[str, Use] = {
    use.name: use
    for use in (CODES, DENOISING, IMPUTING, INPAINTING, ANOMALIES, HEADS, REGRESSION, MATCHING,
                DOCUMENTS, SEGMENTATION)
}  # fmt: skip
