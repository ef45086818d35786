"""Settings and fixtures of all tests: scikit-learn's array API checks, the data folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from copy import copy
from functools import cache

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported, or one check is skipped silently

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
import training_runs
from artefact_files import small

from narrows import Autoencoder
from narrows.data import memory
from narrows.data.readers import idx
from narrows.training.loop import TrainingStopped

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


@pytest.fixture
def x() -> np.ndarray:
    """A small table near a plane: (41, 6), made for each test."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(41, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(41, 6))


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """A table near a space of three dimensions: (120, 10), one for all tests of a file."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(120, 3))
    return (hidden @ rng.normal(size=(3, 10)) + 0.1 * rng.normal(size=(120, 10))).astype(np.float32)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Available memory of 1,000 bytes."""
    for module in (memory, idx):
        monkeypatch.setattr(module, "memory_limit", lambda: 1000)


@pytest.fixture(scope="module")
def model_rows() -> np.ndarray:
    """The rows that ``fitted_model`` is fitted to: (60, 5)."""
    return np.random.default_rng(0).normal(size=(60, 5))


@pytest.fixture(scope="module")
def fitted_model(model_rows: np.ndarray) -> Autoencoder:
    return small().fit(model_rows)


@pytest.fixture(scope="module")
def model_bytes(fitted_model: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model file of ``fitted_model``."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    fitted_model.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A place for a model file."""
    return tmp_path / "m.safetensors"


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Three clouds on a curved surface in ten dimensions, (450, 10)."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(450, 2)) + 3 * np.repeat([[0, 0], [1, 0], [0, 1]], 150, axis=0)
    return np.tanh(hidden @ rng.normal(size=(2, 10)) / 2).astype(np.float32)


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    return np.repeat(["a", "b", "c"], 150)


@pytest.fixture(scope="module")
def values(rows) -> np.ndarray:
    return 100 + 30 * rows[:, 0] * rows[:, 1]


@pytest.fixture(scope="module")
def autoencoder(rows) -> Autoencoder:
    return Autoencoder(4, hidden=(16,), max_epochs=20, random_state=0).fit(rows)


@pytest.fixture(scope="session")
def operators_listed_once() -> Iterator[None]:
    """Cache torch's list of operators, which takes half of the time of a small export."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    listed = cache(ONNXRegistry.from_torchlib)

    def copied(**opset: int) -> ONNXRegistry:
        registry = copy(listed(**opset))
        registry.functions = {name: list(metas) for name, metas in registry.functions.items()}
        return registry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(copied))
        yield


@pytest.fixture
def stopped(x: np.ndarray, tmp_path: Path) -> Path:
    """A folder with the checkpoints of steps 5 and 8 of a training."""
    for resume, steps in ((False, 5), (True, 3)):
        with pytest.raises(TrainingStopped):
            training_runs.small().fit(
                x,
                checkpoint=tmp_path,
                resume=resume,
                stop_requested=training_runs.after(steps),
            )
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
