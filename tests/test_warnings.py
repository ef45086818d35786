"""Warnings name the user's file, however deep in Narrows they arise."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from narrows import Autoencoder, CodeClassifier, read
from narrows.errors import (
    CopiesWarning,
    CopyingWarning,
    HeaderWarning,
    OutdatedWarning,
    RangeWarning,
)

X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
SMALL = {"hidden": (8,), "max_epochs": 1, "random_state": 0}


def fitted() -> Autoencoder:
    return Autoencoder(2, **SMALL).fit(X)


def table(tmp_path) -> str:
    path = tmp_path / "t.csv"
    path.write_text("0,1,2\n4,5,6\n7,8,1\n")
    return str(path)


@pytest.mark.parametrize(
    "category, call",
    [
        (CopyingWarning, lambda _: Autoencoder(6, **SMALL).fit(X)),
        (CopyingWarning, lambda _: make_pipeline(StandardScaler(), Autoencoder(6, **SMALL)).fit(X)),
        (CopyingWarning, lambda _: CodeClassifier(Autoencoder(6, **SMALL), max_epochs=1).fit(X, Y)),
        (CopiesWarning, lambda _: Autoencoder(2, **SMALL).fit(np.tile(X[:6], (10, 1)))),
        (OutdatedWarning, lambda _: fitted().partial_fit(X)),
        (RangeWarning, lambda _: fitted().transform(1e4 * X)),
        (RangeWarning, lambda _: fitted().score_samples(1e4 * X)),
        (HeaderWarning, lambda tmp_path: read(table(tmp_path))),
    ],
)
def test_a_warning_names_the_file_of_the_user(category: type, call: Callable, tmp_path) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(tmp_path)
    files = [w.filename for w in found if issubclass(w.category, category)]
    assert files and set(files) == {__file__}
