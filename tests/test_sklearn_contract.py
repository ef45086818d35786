"""scikit-learn's own checks on every estimator, without expected failures."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows.estimators import ALL

_SMALL = {"n_components": 2, "max_epochs": 2, "random_state": 0}


# some checks fit a single feature: that two numbers can copy it is what the warning says; and
# tables, which are no images
@pytest.mark.filterwarnings("ignore::narrows.errors.ImageShapeWarning")
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks([cls(**_SMALL) for cls in ALL])
def test_sklearn_contract(estimator, check):
    check(estimator)
