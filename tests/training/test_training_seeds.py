"""Seeds: a seed repeats a training to the bit, and global random states have no effect."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from training_runs import equal, small, weights


@pytest.mark.parametrize("linear_start", [False, True])
def test_the_same_seed_repeats_to_the_bit(x: np.ndarray, linear_start: bool) -> None:
    model = partial(small, linear_start=linear_start)
    assert equal(weights(model().fit(x)), weights(model().fit(x)))


@pytest.mark.parametrize("change", [{"random_state": 1}, {"learning_rate": 0.003}])
def test_another_seed_or_rate_gives_other_weights(x: np.ndarray, change: dict[str, Any]) -> None:
    model = partial(small, linear_start=False)
    assert not equal(weights(model().fit(x)), weights(model(**change).fit(x)))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_the_global_random_states_are_left_alone(x: np.ndarray, form: Any) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2]  # noqa: NPY002
    small(linear_start=False).fit(form(x))
    small().fit(form(x))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert np.random.get_state()[2] == before[2]  # noqa: NPY002


@pytest.mark.parametrize("seed", [0, 1])
def test_the_global_random_state_does_not_matter(x: np.ndarray, seed: int) -> None:
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    found = weights(small(linear_start=False).fit(x))
    torch.set_rng_state(state)
    assert equal(found, weights(small(linear_start=False).fit(x)))
