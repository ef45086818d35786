"""conftest.py checks the named axes of annotations at run time, in all tests."""

from __future__ import annotations

from dataclasses import dataclass

import jaxtyping
import pytest
import torch

from narrows._types import Batch, Codes, PerSample, Scalar
from narrows.losses import SquaredError

checked = jaxtyping.jaxtyped(typechecker=None)


@checked
def first(x: Batch, y: Batch) -> PerSample:
    return inner(x[:, 0])


@checked
def inner(x: PerSample) -> PerSample:
    return x


@checked
def flat(x: Batch) -> PerSample:
    return x


@checked
def mean(x: Batch) -> PerSample:
    return x.mean(dim=0)


@checked
@dataclass
class Pair:
    h: Codes
    error: Scalar
    name: str | None = None


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (first, [torch.zeros(3, 2), torch.zeros(4, 2)]),  # another number of rows
        (first, [torch.zeros(3, 2), torch.zeros(3, 1)]),  # another number of features
        (first, [torch.zeros(3, 2), torch.zeros(3)]),  # no axis of features
        (first, [torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64)]),
        (flat, [torch.zeros(3, 2)]),  # returns two axes instead of one
        (mean, [torch.zeros(3, 2)]),  # returns features instead of samples
        (Pair, [torch.zeros(3, 2), torch.zeros(3)]),
    ],
)
def test_violated_annotations_are_found(call, args):
    with pytest.raises(TypeError):
        call(*args)


def test_each_call_binds_its_own_sizes():
    assert first(torch.zeros(3, 2), torch.zeros(3, 2)).shape == (3,)
    assert first(torch.zeros(5, 4), torch.zeros(5, 4)).shape == (5,)
    assert Pair(torch.zeros(3, 2), torch.zeros(()), 5).h.shape == (3, 2)  # arrays alone


def test_the_package_is_checked():
    with pytest.raises(TypeError):
        SquaredError().per_sample(torch.zeros(3), torch.zeros(3, 2))
