"""Sources: complete epochs, reproducible orders, and parts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from source_rows import ROWS, WIDTH, N, dense, flat, numbers, seeded, split, streamed

from narrows.data import read
from narrows.data.array_sources import SparseSource, array_source
from narrows.data.source import evenly_spaced_rows, n_batches, rows_at

KINDS = ("dense", "sparse", "npy", "parquet")


@pytest.fixture(params=KINDS)
def source(request, tmp_path, monkeypatch):
    """The same rows in memory, sparse, and streamed in blocks of 7 rows from two kinds of file."""
    if request.param == "dense":
        return array_source(ROWS)
    if request.param == "sparse":
        return array_source(sp.csr_array(ROWS))
    return streamed(request.param, tmp_path, monkeypatch)


# --- order


def test_in_order_gives_every_row_unchanged(source):
    got = torch.cat([dense(batch) for batch in source.in_order(10)])
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got.numpy(), ROWS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_batches_of_a_sparse_source_are_complete_csr_matrices(dtype):
    rows = ROWS.astype(dtype)
    weight = torch.eye(WIDTH)
    batches = [*SparseSource(sp.csr_array(rows)).in_order(10)]
    for batch in batches:
        assert batch.indptr[0] == 0 and batch.indptr[-1] == len(batch.values)
        assert batch.values.dtype == torch.float32
        assert batch.indptr.dtype == batch.indices.dtype
    products = torch.cat([batch.matmul(weight) for batch in batches])
    np.testing.assert_array_equal(products.numpy(), rows.astype(np.float32))


@pytest.mark.parametrize("batch_size", [1, 7, 10, 103, 1000])
def test_in_order_gives_whole_batches(source, batch_size):
    sizes = [len(batch) for batch in source.in_order(batch_size)]
    assert set(sizes[:-1]) <= {batch_size}
    assert len(sizes) == n_batches(source, batch_size)


@pytest.mark.parametrize("batch_size", [1, 7, 10, 25, 103, 1000])
def test_an_epoch_gives_every_row_exactly_once(source, batch_size):
    assert sorted(flat(source.shuffled(batch_size, generator=seeded()))) == list(range(N))


@pytest.mark.parametrize("batch_size", [1, 7, 10, 25, 102, 103, 1000])
def test_an_epoch_has_whole_batches_and_one_short_batch(source, batch_size):
    sizes = [len(batch) for batch in source.shuffled(batch_size, generator=seeded())]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert sizes[-1] == (N % batch_size or batch_size)
    assert len(sizes) == n_batches(source, batch_size)


def test_a_shuffle_keeps_rows_intact(source):
    for batch in source.shuffled(10, generator=seeded()):
        rows = dense(batch).numpy()
        np.testing.assert_array_equal(rows, ROWS[rows[:, 0].astype(int)])


def test_an_epoch_is_shuffled(source):
    assert flat(source.shuffled(10, generator=seeded())) != list(range(N))


def test_a_shuffle_mixes_rows_from_far_apart(source):
    first = flat(source.shuffled(10, generator=seeded()))[:20]
    assert max(first) - min(first) > 30


def test_a_shuffle_separates_neighbors(source):
    order = np.array(flat(source.shuffled(10, generator=seeded())))
    assert (np.diff(order) == 1).sum() < 15


def test_two_epochs_of_one_generator_differ(source):
    generator = seeded()
    epochs = [flat(source.shuffled(10, generator=generator)) for _ in range(2)]
    assert epochs[0] != epochs[1]


def test_one_seed_gives_one_order(source):
    first, second = (numbers(source.shuffled(10, generator=seeded(5))) for _ in range(2))
    assert first == second


def test_the_global_random_state_is_not_touched(source):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(source.shuffled(10, generator=seeded()))
    split(source, 0.3, generator=seeded())
    source.sample(5, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("start", [0, 1, 4, 10, 11, 50])
def test_start_continues_the_same_order(source, start):
    whole = numbers(source.shuffled(10, generator=seeded()))
    assert numbers(source.shuffled(10, generator=seeded(), start=start)) == whole[start:]


# --- parts


def test_split_is_disjoint_and_complete(source):
    train, held_out = split(source, 0.3, generator=seeded())
    parts = flat(train.in_order(10)), flat(held_out.in_order(10))
    assert sorted(parts[0] + parts[1]) == list(range(N))
    assert (train.n_rows, held_out.n_rows) == (len(parts[0]), len(parts[1]))
    assert 0.15 < held_out.n_rows / N < 0.45


def test_a_part_is_shuffled_within_itself(source):
    train, _ = split(source, 0.3, generator=seeded())
    assert sorted(flat(train.shuffled(10, generator=seeded()))) == flat(train.in_order(10))


def test_a_part_of_a_part_holds_only_its_rows(source):
    train, _ = split(source, 0.3, generator=seeded())
    inner, rest = split(train, 0.5, generator=seeded(1))
    assert sorted(flat(inner.in_order(9)) + flat(rest.in_order(9))) == flat(train.in_order(9))


def test_a_split_is_random_and_repeats_with_its_seed(source):
    first, again, other = (
        flat(split(source, 0.3, generator=seeded(seed))[1].in_order(10)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_split_with_nothing_to_hold_out_keeps_all_rows(source):
    train, held_out = split(source, 0.001, generator=seeded())
    assert held_out is None
    assert train.n_rows == N


def test_a_part_keeps_the_metadata(source):
    source.names, source.origin = ["a", "b", "c"], "here"
    for part in split(source, 0.3, generator=seeded()):
        assert (part.names, part.origin, part.n_features) == (["a", "b", "c"], "here", WIDTH)


@pytest.mark.parametrize("n", [1, 10, 50, 103, 500])
def test_sample_draws_without_replacement(source, n):
    drawn = numbers([source.sample(n, generator=seeded())])[0]
    assert len(drawn) == len(set(drawn)) == min(n, N)


def test_a_sample_repeats_with_its_seed_only(source):
    first, again, other = (numbers([source.sample(8, generator=seeded(s))]) for s in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("n", [1, 5, 52, 102, 103, 500])
def test_evenly_spaced_rows_reach_over_all_of_the_data(source, n):
    rows = numbers([evenly_spaced_rows(source, n)])[0]
    gaps = np.diff([*rows, N])
    assert rows[0] == 0
    assert len(rows) == min(n, N)
    assert gaps.max() - gaps.min() <= 1


# --- fingerprints


def test_rows_are_picked_in_any_order_and_with_repeats(source):
    wanted = np.array([102, 0, 7, 0])
    np.testing.assert_array_equal(rows_at(source, wanted).numpy(), ROWS[wanted])


def test_the_fingerprint_changes_with_the_data(tmp_path, monkeypatch):
    changed = ROWS.copy()
    changed[50, 1] += 1e-6
    np.save(tmp_path / "y.npy", changed)
    pairs = [
        (array_source(ROWS), array_source(changed)),
        (array_source(sp.csr_array(ROWS)), array_source(sp.csr_array(changed))),
        (streamed("npy", tmp_path, monkeypatch), read(tmp_path / "y.npy", stream=True)),
    ]
    for before, after in pairs:
        assert before.fingerprint() == before.fingerprint()
        assert before.fingerprint() != after.fingerprint()


def test_the_fingerprint_depends_on_the_shape():
    assert (
        array_source(np.zeros((2, 6))).fingerprint() != array_source(np.zeros((3, 4))).fingerprint()
    )
