"""A damaged model file is refused, with an error that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from narrows import load
from narrows.artefact.file import Artefact, _parse, _to_bytes
from narrows.errors import ModelFileError


def refused(data: bytes) -> bool:
    """Return whether the bytes are refused by ModelFileError; any other error is a failure."""
    try:
        _parse(data, "model")
    except ModelFileError:
        return True
    return False


def test_any_of_300_random_bit_flips_is_refused(model_bytes: bytes) -> None:
    rng = np.random.default_rng(1)
    for at, bit in zip(rng.integers(len(model_bytes), size=300), rng.integers(8, size=300)):  # noqa: B905 -- equal lengths
        data = bytearray(model_bytes)
        data[at] ^= 1 << bit
        assert refused(bytes(data)), (at, bit)


def test_any_of_300_random_other_bytes_is_refused(model_bytes: bytes) -> None:
    rng = np.random.default_rng(2)
    for at in rng.integers(len(model_bytes), size=300):
        data = bytearray(model_bytes)
        data[at] = (data[at] + rng.integers(1, 256)) % 256
        assert refused(bytes(data)), at


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_flip_in_the_header_is_refused(bit: int) -> None:
    sound = _to_bytes(Artefact("model", {"names": ["\U0001f600", "[é"]}, {"w": torch.ones(2)}))
    for at in range(len(sound)):
        data = bytearray(sound)
        data[at] ^= 1 << bit
        assert refused(bytes(data)), at


def test_truncation_anywhere_is_refused(model_bytes: bytes) -> None:
    size = len(model_bytes)
    cuts = {*range(0, size, 37), *range(12), *range(size - 12, size)}
    assert all(refused(model_bytes[:cut]) for cut in cuts)


@pytest.mark.parametrize("more", [b"\0", b"\n", b"more", b"\0" * 4096])
def test_appended_bytes_are_refused(model_bytes: bytes, more: bytes) -> None:
    with pytest.raises(ModelFileError, match="truncated or extended"):
        _parse(model_bytes + more, "model")


def test_a_flipped_weight_names_the_digest(model_bytes: bytes) -> None:
    data = bytearray(model_bytes)
    data[-1] ^= 1
    with pytest.raises(ModelFileError, match="does not match its SHA-256; restore a copy"):
        _parse(bytes(data), "model")


def test_the_error_names_the_file(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(model_bytes[:-1])
    with pytest.raises(ModelFileError, match=r"m\.safetensors: .* bytes of tensors"):
        load(path)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
def test_a_tiny_file_is_refused(size: int) -> None:
    with pytest.raises(ModelFileError, match="too short to be a model file"):
        _parse(b"\0" * size, "model")
