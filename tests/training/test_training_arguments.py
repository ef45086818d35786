"""Invalid training arguments are refused in fit, by name, rule and value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_runs import small

from narrows.errors import (
    UsageError,
)


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("max_epochs", 0, "max_epochs: must be an integer >= 1, got 0"),
        ("max_epochs", -1, "max_epochs: must be an integer >= 1, got -1"),
        ("max_epochs", 1.5, "max_epochs: must be an integer >= 1, got 1.5"),
        ("max_epochs", True, "max_epochs: must be an integer >= 1, got True"),
        ("learning_rate", -1, "learning_rate: must be a number > 0, got -1"),
        ("learning_rate", 0, "learning_rate: must be a number > 0, got 0"),
        ("learning_rate", float("nan"), "learning_rate: must be a number > 0, got nan"),
        ("learning_rate", "1", "learning_rate: must be 'auto' or a number, got '1'"),
        ("batch_size", 0, "batch_size: must be an integer >= 1, got 0"),
        ("batch_size", -8, "batch_size: must be an integer >= 1, got -8"),
        ("batch_size", "all", "batch_size: must be 'auto' or an integer, got 'all'"),
        ("patience", 0, "patience: must be an integer >= 1, got 0"),
        ("patience", 2.5, "patience: must be an integer >= 1, got 2.5"),
        ("validation_fraction", 1, "validation_fraction: must be a number >= 0 and < 1, got 1"),
        ("validation_fraction", -0.1, "validation_fraction: must be a number >= 0 and < 1"),
        ("precision", "float16", "precision: must be 'auto', 'float32' or 'bfloat16', got 'float"),
        ("precision", None, "precision: must be 'auto', 'float32' or 'bfloat16', got None"),
        ("device", "nope", "device: 'nope' cannot be used: "),
    ],
)
def test_invalid_values_are_refused_in_fit(x: np.ndarray, name: str, value: Any, text: str) -> None:
    model = small(**{name: value})  # not here
    with pytest.raises(UsageError, match=text.replace("(", r"\(")):
        model.fit(x)
