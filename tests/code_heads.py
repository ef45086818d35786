"""A classifier on a small code that fits quickly, shared by the tests of heads."""

from __future__ import annotations

from typing import Any

from narrows import CodeClassifier

TRAININGS = ("frozen", "fine_tuned", "joint")
_QUICK: dict[str, Any] = {"max_epochs": 30, "batch_size": 64, "random_state": 0}


def classifier(autoencoder, **changes: Any) -> CodeClassifier:
    return CodeClassifier(autoencoder, **{**_QUICK, **changes})
