"""The schedule of the learning rate: a linear rise, then a cosine."""

from __future__ import annotations

import numpy as np
import pytest

from narrows.training.schedule import rate_factor


@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
def test_every_factor_is_positive_and_at_most_one(total: int) -> None:
    assert all(0 < rate_factor(step, total) <= 1 for step in range(total))


def test_the_rate_rises_and_then_falls() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    top = int(np.argmax(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_the_top_of_the_rate_is_at_the_end_of_the_warm_up() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    assert int(np.argmax(factors)) in (99, 100) and max(factors) == pytest.approx(1, abs=1e-5)


def test_the_warm_up_is_linear() -> None:
    assert rate_factor(49, 999) == pytest.approx(0.5)


def test_the_rate_is_halved_in_the_middle_of_the_cosine() -> None:
    assert rate_factor(549, 999) == pytest.approx(0.5)


def test_the_rate_ends_near_zero() -> None:
    assert rate_factor(999, 1000) < 1e-4
