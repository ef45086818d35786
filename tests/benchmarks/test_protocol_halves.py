"""The halves of the data sets, and the rows that are held out."""

from __future__ import annotations

import numpy as np
import pytest
from protocol.sets import LOCKED, SETS, TUNING, available, halves_by_rule
from protocol.splits import sizes_up_to, split, split_anomalies
from protocol.use import Cell
from protocol.uses import USES


def test_halves_are_disjoint_and_cover_all_sets():
    assert not TUNING & LOCKED
    assert TUNING | LOCKED == set(SETS)


def test_written_halves_follow_the_rule():
    assert (TUNING, LOCKED) == halves_by_rule()


def test_sets_of_one_source_are_in_one_half():
    for one in SETS.values():
        for other in SETS.values():
            if (one.family or one.name) == (other.family or other.name):
                assert (one.name in LOCKED) == (other.name in LOCKED), (one.name, other.name)


def test_both_halves_have_every_kind():
    for half in (TUNING, LOCKED):
        assert {SETS[name].kind for name in half} == {one.kind for one in SETS.values()}


BUILT_IN = [name for name, one in SETS.items() if not one.files]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_set_is_as_large_as_listed(name):
    n = len(SETS[name].load())
    if SETS[name].kind == "text" or name.endswith("_rare"):
        assert n > 100
    else:
        assert n == SETS[name].rows


def test_every_set_of_the_folder_is_there(data_folder):
    assert all(available(one) for one in SETS.values())


def test_splits_are_disjoint_and_differ_by_seed(rng):
    rows = rng.normal(size=(200, 3))
    tests = []
    for seed in (0, 1, 2):
        drawn = split(rows, seed)
        assert not set(drawn.train) & set(drawn.test)
        assert len(drawn.train) + len(drawn.test) == 200
        tests.append(tuple(sorted(drawn.test)))
    assert len(set(tests)) == 3
    np.testing.assert_array_equal(split(rows, 1).train, split(rows, 1).train)


def test_a_published_test_half_is_kept(rng):
    rows = rng.normal(size=(300, 3))
    is_test = np.arange(300) % 3 == 0
    drawn = split(rows, 0, is_test=is_test, most=50)
    assert is_test[drawn.test].all() and len(drawn.test) == 50
    assert not is_test[drawn.train].any() and len(drawn.train) == 200


def test_training_rows_that_equal_a_held_out_row_are_dropped(rng):
    rows = rng.integers(0, 2, size=(300, 3)).astype(float)  # eight different rows
    assert len(split(rows, 0).train) == 0
    texts = [str(i // 2) for i in range(300)]  # everything twice
    drawn = split(texts, 0)
    assert not {texts[i] for i in drawn.train} & {texts[i] for i in drawn.test}


def test_clean_and_contaminated_training_share_the_held_out_rows(rng):
    rows, y = rng.normal(size=(300, 3)), (np.arange(300) < 30).astype(int)
    clean, mixed = (split_anomalies(rows, y, 0, clean=clean) for clean in (True, False))
    np.testing.assert_array_equal(clean.test, mixed.test)
    assert y[clean.test].sum() == 10
    assert y[clean.train].sum() == 0 and y[mixed.train].sum() == 20
    assert not set(mixed.train) & set(mixed.test)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(10, []), (20, [20]), (100, [30, 60, 100]), (135, [30, 60, 130]), (10**6, [30, 60, 130, 400,
     1000, 4000, 15_000, 60_000])],
)  # fmt: skip
def test_sizes_go_up_to_the_rows_that_there_are(n, sizes):
    assert sizes_up_to(n) == sizes


@pytest.mark.parametrize("name", [name for name, one in SETS.items() if one.rows < 20_000])
def test_every_set_makes_a_task_of_every_use_of_its_kind(name, data_folder):
    loaded = SETS[name].load()
    for use in (use for use in USES.values() if SETS[name].kind in use.kinds):
        data = use.select(loaded)
        if not use.suits(data):
            continue
        drawn = use.split(data, 0, use.conditions[0])
        sizes = sizes_up_to(len(drawn.train), use.sizes)
        if sizes:
            task = use.make(data, drawn, Cell(use.name, name, sizes[0], 0, use.conditions[0]))
            assert len(task.train) == sizes[0] and len(task.test) >= 10
