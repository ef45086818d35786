"""Base class of all estimators: isolated methods, defaults for newer parameters in old pickles."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import BaseEstimator

from narrows.isolation import isolate_methods, out_of_inference

__all__ = ["WithDefaults"]


class WithDefaults(BaseEstimator):
    """An estimator whose public methods run isolated from the caller's settings of torch.

    Unpickled, it has the default of every parameter that came after it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        isolate_methods(cls)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(out_of_inference(state))
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in vars(self) and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)
