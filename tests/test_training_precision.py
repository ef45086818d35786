"""Precision and device: what a training computes in, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_runs import small, small_trainer, weights

from narrows.errors import (
    UsageError,
)
from narrows.training.precision import resolve_device, resolve_precision


@pytest.mark.parametrize("device", ["nope", "", "cuda:9999", "meta", "hpu", "privateuseone", None])
def test_a_device_that_is_not_there_is_refused(device: Any) -> None:
    with pytest.raises(UsageError, match=r"device: .* cannot be used: .*; try 'cpu'\."):
        resolve_device(device)


def test_a_device_that_fails_without_a_word_is_refused_too(monkeypatch: Any) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(torch, "zeros", fail)
    with pytest.raises(UsageError, match="device: 'cpu' cannot be used: AssertionError; try"):
        resolve_device("cpu")


def test_bfloat16_is_close_to_float32(x: np.ndarray) -> None:
    scores = [small(precision=p).fit(x).score(x) for p in ("float32", "bfloat16")]
    assert scores[1] == pytest.approx(scores[0], rel=0.05) and scores[0] != scores[1]


def test_bfloat16_leaves_weights_and_codes_in_float32(x: np.ndarray) -> None:
    model = small(precision="bfloat16").fit(x)
    kinds = {value.dtype for value in weights(model).values()}
    assert (kinds, model.transform(x).dtype) == ({torch.float32}, np.float32)


def test_small_nets_stay_in_float32() -> None:
    assert resolve_precision("auto", torch.device("cpu"), small_trainer().objective) == "float32"


def test_the_record_names_the_precision(x: np.ndarray) -> None:
    assert small(precision="bfloat16").fit(x).model_.record["precision"] == "bfloat16"
