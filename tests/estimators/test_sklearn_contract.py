"""scikit-learn's checks on every estimator; two checks of repeated rows are expected to fail."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import NOT_TO_THE_LAST_DIGIT

from narrows.estimators.all_estimators import AUTOENCODERS


def _small(cls: type) -> Any:
    more = {"pretrain_epochs": 2} if cls.__name__ == "StackedAutoencoder" else {}
    return cls(n_components=2, max_epochs=2, random_state=0, **more)


# some checks fit a single feature, which a code of two numbers can copy, and
# tables, which are not images
@pytest.mark.filterwarnings("ignore::narrows.errors.ImageShapeWarning")
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks(
    [_small(cls) for cls in AUTOENCODERS],
    expected_failed_checks=lambda estimator: NOT_TO_THE_LAST_DIGIT,
    xfail_strict=True,
)
def test_sklearn_contract(estimator, check):
    check(estimator)
