"""Foreign files with our suffix are refused, and no code in them runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from artefact_files import minimal

from narrows import load
from narrows.errors import ModelFileError


class Trap:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    "dump",
    [
        lambda trap, path: path.write_bytes(pickle.dumps(trap)),
        lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=0)),
        lambda trap, path: torch.save(trap, path),
        lambda trap, path: torch.save({"w": trap}, path, _use_new_zipfile_serialization=False),
        lambda trap, path: joblib.dump(trap, path),
        lambda trap, path: np.save(path.open("wb"), np.array([trap], dtype=object)),
        lambda trap, path: path.write_bytes(minimal({}, b"")[:8] + pickle.dumps(trap) * 20),
    ],
    ids=["pickle", "pickle0", "torch", "torch-old", "joblib", "numpy", "behind-a-length"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_pickle_with_our_suffix_is_refused_and_does_not_run(
    tmp_path: Path, path: Path, dump: Any
) -> None:
    mark = tmp_path / "ran"
    dump(Trap(mark), path)
    with pytest.raises(ModelFileError):
        load(path)
    assert not mark.exists()


def test_the_trap_runs_when_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"m\.safetensors"):
        load(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        load(tmp_path)


def test_a_pipe_is_refused_without_blocking(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ModelFileError, match="not a regular file"):
        load(path)


def test_a_huge_foreign_file_is_not_read(path: Path) -> None:
    path.write_bytes(b"PAR1PAR1")
    os.truncate(path, 1 << 42)  # sparse: it uses no disk, but reading it would use all memory
    with pytest.raises(ModelFileError, match="not a model file, or damaged: it claims a header of"):
        load(path)
