"""What all estimators are: scikit-learn's, whose copies of before know the parameters of now."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["WithDefaults"]


class WithDefaults(BaseEstimator):
    """An estimator that, unpickled, has the default of every parameter that came after it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in vars(self) and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)
