"""What every test has: scikit-learn's array API checks, the data folder."""

from __future__ import annotations

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported, or one check is skipped in silence

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that NARROWS_DATA names; tests that need it are skipped without it."""
    named = os.environ.get("NARROWS_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("NARROWS_DATA names no folder of data sets")
    return Path(named)


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """scikit-learn's digits: (1797, 64), whole numbers from 0 to 16."""
    from sklearn.datasets import load_digits

    return load_digits().data
