"""Sources: every row once, one order a seed, and the same rows from memory and from a file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator

from narrows.data import DenseSource, SparseSource, read, stream
from narrows.data.arrays import array_source
from narrows.data.csr import checked_csr, checked_sparse
from narrows.data.scaling import SCALES, choose_loss, choose_scale, fit_scaling
from narrows.data.source import sparse_rows
from narrows.data.statistics import describe
from narrows.errors import InvalidData, UsageError
from narrows.estimators._input import fit_source, query_source

N, WIDTH = 103, 3
# the first column is the row's number, so that rows can be told apart
ROWS = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)
ROWS[:, 0] = np.arange(N)
KINDS = ("dense", "sparse", "npy", "parquet")


@pytest.fixture(params=KINDS)
def source(request, tmp_path, monkeypatch):
    """The same rows in memory, sparse, and streamed in blocks of 7 rows from two kinds of file."""
    if request.param == "dense":
        return array_source(ROWS)
    if request.param == "sparse":
        return array_source(sp.csr_array(ROWS))
    return streamed(request.param, tmp_path, monkeypatch)


@pytest.fixture(params=("npy", "parquet"))
def stream_source(request, tmp_path, monkeypatch):
    return streamed(request.param, tmp_path, monkeypatch)


def streamed(kind, folder, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4 * WIDTH * 7)
    monkeypatch.setattr(stream, "POOL_BLOCKS", 3)
    if kind == "npy":
        np.save(folder / "x.npy", ROWS)
        return read(folder / "x.npy", stream=True)
    table = pa.table({name: ROWS[:, i] for i, name in enumerate("abc")})
    pq.write_table(table, folder / "x.parquet", row_group_size=11)
    return read(folder / "x.parquet", stream=True)


def dense(batch):
    return batch if isinstance(batch, torch.Tensor) else batch.to_dense()


def numbers(batches):
    return [dense(batch)[:, 0].int().tolist() for batch in batches]


def flat(batches):
    return [number for batch in numbers(batches) for number in batch]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- order


def test_in_order_gives_every_row_as_it_is(source):
    got = torch.cat([dense(batch) for batch in source.in_order(10)])
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got.numpy(), ROWS)


@pytest.mark.parametrize("batch_size", [1, 7, 10, 103, 1000])
def test_in_order_gives_whole_batches(source, batch_size):
    sizes = [len(batch) for batch in source.in_order(batch_size)]
    assert set(sizes[:-1]) <= {batch_size}
    assert len(sizes) == source.n_batches(batch_size)


@pytest.mark.parametrize("batch_size", [1, 7, 10, 25, 103, 1000])
def test_an_epoch_gives_every_row_exactly_once(source, batch_size):
    assert sorted(flat(source.shuffled(batch_size, generator=seeded()))) == list(range(N))


@pytest.mark.parametrize("batch_size", [1, 7, 10, 25, 102, 103, 1000])
def test_an_epoch_has_whole_batches_and_keeps_the_short_one(source, batch_size):
    sizes = [len(batch) for batch in source.shuffled(batch_size, generator=seeded())]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert sizes[-1] == (N % batch_size or batch_size)
    assert len(sizes) == source.n_batches(batch_size)


def test_rows_keep_together_in_a_shuffle(source):
    for batch in source.shuffled(10, generator=seeded()):
        rows = dense(batch).numpy()
        np.testing.assert_array_equal(rows, ROWS[rows[:, 0].astype(int)])


def test_an_epoch_is_shuffled(source):
    assert flat(source.shuffled(10, generator=seeded())) != list(range(N))


def test_a_shuffle_mixes_rows_from_far_apart(source):
    first = flat(source.shuffled(10, generator=seeded()))[:20]
    assert max(first) - min(first) > 30


def test_a_shuffle_separates_neighbours(source):
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
    source.split(0.3, generator=seeded())
    source.sample(5, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("start", [0, 1, 4, 10, 11, 50])
def test_start_continues_the_same_order(source, start):
    whole = numbers(source.shuffled(10, generator=seeded()))
    assert numbers(source.shuffled(10, generator=seeded(), start=start)) == whole[start:]


# --- parts


def test_split_is_disjoint_and_complete(source):
    train, held_out = source.split(0.3, generator=seeded())
    parts = flat(train.in_order(10)), flat(held_out.in_order(10))
    assert sorted(parts[0] + parts[1]) == list(range(N))
    assert (train.n_rows, held_out.n_rows) == (len(parts[0]), len(parts[1]))
    assert 0.15 < held_out.n_rows / N < 0.45


def test_a_part_is_shuffled_within_itself(source):
    train, _ = source.split(0.3, generator=seeded())
    assert sorted(flat(train.shuffled(10, generator=seeded()))) == flat(train.in_order(10))


def test_a_part_of_a_part_holds_only_its_rows(source):
    train, _ = source.split(0.3, generator=seeded())
    inner, rest = train.split(0.5, generator=seeded(1))
    assert sorted(flat(inner.in_order(9)) + flat(rest.in_order(9))) == flat(train.in_order(9))


def test_a_split_is_random_and_repeats_with_its_seed(source):
    first, again, other = (
        flat(source.split(0.3, generator=seeded(seed))[1].in_order(10)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_split_that_leaves_nothing_to_hold_out_keeps_all(source):
    train, held_out = source.split(0.001, generator=seeded())
    assert held_out is None
    assert train.n_rows == N


def test_a_part_keeps_the_description(source):
    source.names, source.origin = ["a", "b", "c"], "here"
    for part in source.split(0.3, generator=seeded()):
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
    rows = numbers([source.evenly(n)])[0]
    gaps = np.diff([*rows, N])
    assert rows[0] == 0
    assert len(rows) == min(n, N)
    assert gaps.max() - gaps.min() <= 1


def test_evenly_reads_only_the_units_it_needs(stream_source, monkeypatch):
    read_units = []
    blocks = stream_source._blocks
    monkeypatch.setattr(stream_source, "_blocks", lambda u: read_units.append(u) or blocks(u))
    stream_source.evenly(3)
    assert len(read_units) == 3


# --- streams against memory


@pytest.mark.parametrize("dtype", ["u1", "<i4", "<f2", ">f4", "<f8"])
def test_npy_streamed_equals_npy_in_memory(tmp_path, rng, dtype):
    path = tmp_path / "x.npy"
    np.save(path, rng.integers(0, 200, (50, 4, 5)).astype(dtype))
    pair = [read(path, stream=stream) for stream in (True, False)]
    assert isinstance(pair[0], stream.StreamSource) and isinstance(pair[1], DenseSource)
    assert torch.equal(*(torch.cat(list(s.in_order(7))) for s in pair))
    for field in ("n_rows", "n_features", "kind", "image_shape", "origin", "names"):
        assert getattr(pair[0], field) == getattr(pair[1], field)


def test_parquet_streamed_equals_parquet_in_memory(tmp_path, rng):
    path = tmp_path / "x.parquet"
    table = pa.table({"i": rng.integers(0, 9, 50), "f": rng.normal(size=50), "b": [True] * 50})
    pq.write_table(table, path, row_group_size=9)
    pair = [read(path, stream=stream) for stream in (True, False)]
    assert isinstance(pair[0], stream.StreamSource) and isinstance(pair[1], DenseSource)
    assert torch.equal(*(torch.cat(list(s.in_order(7))) for s in pair))
    for field in ("n_rows", "n_features", "kind", "image_shape", "origin", "names"):
        assert getattr(pair[0], field) == getattr(pair[1], field)


def test_statistics_of_a_stream_equal_those_from_memory(stream_source):
    streamed, memory = describe(stream_source), describe(array_source(ROWS))
    torch.testing.assert_close(streamed.mean, memory.mean)
    torch.testing.assert_close(streamed.variance, memory.variance)
    assert (streamed.low, streamed.high) == (memory.low, memory.high)


def test_a_file_that_shrinks_while_it_is_streamed_is_noticed(tmp_path, monkeypatch):
    source = streamed("npy", tmp_path, monkeypatch)
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidData, match=r"x\.npy: truncated at row 99"):
        list(source.in_order(10))


def test_an_empty_row_group_is_never_held_out(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": np.arange(6.0)})
    with pq.ParquetWriter(path, table.schema) as writer:
        for part in (table[:3], table[:0], table[:0], table[3:]):
            writer.write_table(part)
    source = read(path, stream=True)
    for seed in range(5):
        _, held_out = source.split(0.5, generator=seeded(seed))
        assert held_out is not None and held_out.n_rows == 3


def test_a_row_wider_than_a_block_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4)
    np.save(tmp_path / "x.npy", ROWS)
    assert sorted(flat(read(tmp_path / "x.npy", stream=True).shuffled(9, generator=seeded()))) == (
        list(range(N))
    )


def test_fingerprint_tells_changed_data(tmp_path, monkeypatch):
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


def test_fingerprint_tells_the_shape():
    assert (
        array_source(np.zeros((2, 6))).fingerprint() != array_source(np.zeros((3, 4))).fingerprint()
    )


# --- arrays of every kind


def fitted(X):
    """X as an estimator sees it: rows as the nets get them."""
    source = fit_source(BaseEstimator(), X)
    describe(source)
    return np.vstack([dense(batch).numpy() for batch in source.in_order(2)])


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_map(array, folder):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


def record_field(array):
    """A view whose strides are no multiple of its items'."""
    records = np.zeros(len(array), dtype=[("flag", "u1"), ("x", "f4", (array.shape[1],))])
    records["x"] = array
    return records["x"]


LAYOUTS = {
    "read-only": lambda a, _: read_only(a),
    "memory map": memory_map,
    "fortran": lambda a, _: np.asfortranarray(a),
    "backwards": lambda a, _: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "every other": lambda a, _: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "record field": lambda a, _: record_field(a),
    "big-endian": lambda a, _: a.astype(">f4"),
    "float64": lambda a, _: a.astype(np.float64),
    "object": lambda a, _: a.astype(object),
    "longdouble": lambda a, _: a.astype(np.longdouble),
    "tensor": lambda a, _: torch.tensor(a, requires_grad=True),
    "turned tensor": lambda a, _: torch.tensor(a.T.copy()).T,
    "csr": lambda a, _: sp.csr_array(a),
    "csc matrix": lambda a, _: sp.csc_matrix(a),
    "coo": lambda a, _: sp.coo_array(a),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_rows_and_stays_as_it_was(tmp_path, layout):
    X = LAYOUTS[layout](ROWS, tmp_path)
    np.testing.assert_array_equal(fitted(X), ROWS)
    after = X.toarray() if sp.issparse(X) else X.detach() if isinstance(X, torch.Tensor) else X
    np.testing.assert_array_equal(np.asarray(after, dtype=np.float32), ROWS)


@pytest.mark.parametrize("layout", ["read-only", "memory map", "backwards", "record field"])
def test_shuffling_does_not_write_to_the_input(tmp_path, layout):
    X = LAYOUTS[layout](ROWS, tmp_path)
    for batch in fit_source(BaseEstimator(), X).shuffled(10, generator=seeded()):
        batch.zero_()
    np.testing.assert_array_equal(X, ROWS)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int64, np.uint16, np.float16])
def test_other_numbers_are_converted(dtype):
    X = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    np.testing.assert_array_equal(fitted(X), X.astype(np.float32))


def test_bfloat16_tensors_are_converted():
    np.testing.assert_array_equal(fitted(torch.ones(3, 2, dtype=torch.bfloat16)), np.ones((3, 2)))


def test_bytes_are_taken_as_images_and_kept_as_bytes():
    source = fit_source(BaseEstimator(), np.full((3, 2), 200, np.uint8))
    assert source.kind == "image"
    assert source._array.dtype == torch.uint8


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((0, 2)), r"Found array with 0 sample\(s\)"),
        (np.ones((1, 2)), r"Found array with 1 sample\(s\).* minimum of 2"),
        (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
        (np.ones(3), "Expected 2D array, got 1D array"),
        (np.ones((3, 2, 2)), "dim 3"),
        (np.ones((3, 2), complex), "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert string to float"),
        (sp.csr_array((0, 4)), r"0 sample\(s\)"),
        (sp.csr_array(np.ones(4)), "expected 2 axes"),
        (torch.ones(3, 2).to_sparse(), "layout torch.sparse_coo is not supported"),
        (DenseSource(np.ones((3, 0), np.float32)), r"0 feature\(s\)"),
        (DenseSource(np.ones((1, 3), np.float32)), r"1 sample\(s\)"),
    ],
    ids=lambda value: None,
)
def test_what_is_no_table_of_numbers_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        fit_source(BaseEstimator(), X)


def with_value(value, kind=np.float64):
    X = np.ones((4, 3), dtype=kind)
    X[2, 1] = value
    return X


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (with_value(np.nan), "NaN"),
        (with_value(-np.inf), "infinity"),
        (with_value(1e300), r"too large for dtype\('float32'\)"),
        (with_value(None, object), "NaN"),
        (with_value(1e300, object), r"too large for dtype\('float32'\)"),
        (with_value(np.longdouble("1e4000"), np.longdouble), "too large"),
        (with_value(np.inf, np.float16), "infinity"),
        (sp.csr_array(with_value(np.nan)), "NaN"),
        (sp.csr_array(with_value(1e300)), "too large"),
        (torch.tensor(with_value(np.nan)), "NaN"),
        (np.ma.masked_equal(with_value(5), 5), "NaN"),
    ],
    ids=lambda value: None,
)  # fmt: skip
def test_what_is_not_finite_is_named_by_row_and_column(X, what):
    with pytest.raises(InvalidData, match=rf"Input X contains .*{what}.* at row 2, column 1"):
        describe(fit_source(BaseEstimator(), X))


def test_a_value_is_named_by_its_row_in_the_whole_data():
    X = np.ones((40_000, 2), np.float32)
    X[33_333, 1] = np.nan
    with pytest.raises(InvalidData, match="at row 33333, column 1"):
        describe(array_source(X))


def test_a_sum_beyond_float32_is_no_infinity():
    assert describe(array_source(np.full((100, 2), 3e38))).high == pytest.approx(3e38)


def test_a_source_of_another_width_is_refused():
    estimator = BaseEstimator()
    fit_source(estimator, array_source(np.ones((3, 2))))
    with pytest.raises(InvalidData, match="has 3 features, but BaseEstimator is expecting 2"):
        query_source(estimator, array_source(np.ones((3, 3))))


def test_a_source_with_columns_in_another_order_is_refused():
    estimator = BaseEstimator()
    sources = [array_source(np.ones((3, 2))) for _ in range(2)]
    sources[0].names, sources[1].names = ["a", "b"], ["b", "a"]
    fit_source(estimator, sources[0])
    with pytest.raises(InvalidData, match="column 0 is 'b', the model was fitted with 'a' there"):
        query_source(estimator, sources[1])


# --- CSR


def matrix(form="csr", **changes):
    made = sp.csr_array(np.array([[0, 1, 2], [3, 0, 0], [0, 4, 5], [6, 0, 0]], np.float32))
    made = made.asformat(form)
    for name, change in changes.items():
        setattr(made, name, change(getattr(made, name)))
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": lambda i: i + 10**8}, "indices must be < 3"),
        ({"indices": lambda i: i - 1}, "indices must be >= 0"),
        ({"indptr": lambda p: p + np.int32([0, 10**6, 0, 0, 0])}, "non-decreasing"),
        ({"indptr": lambda p: p[:-1]}, "index pointer size 4 should be 5"),
        ({"indptr": lambda p: p + 1}, "index pointer should start with 0"),
        ({"indptr": lambda p: p + np.int32([0, 0, 0, 0, 10**6])}, "should be less than"),
        ({"data": lambda d: d[:-1]}, "same size"),
        ({"indices": lambda i: i.astype(float)}, "indices must be signed integers, got float64"),
        ({"indices": lambda i: i.astype(np.uint64)}, "must be signed integers, got uint64"),
    ],
)
@pytest.mark.parametrize("door", [lambda X: fit_source(BaseEstimator(), X), SparseSource])
def test_a_malformed_csr_is_refused(door, changes, message):
    with pytest.raises(InvalidData, match=f"X: malformed CSR matrix: .*{message}"):
        door(matrix(**changes))


@pytest.mark.parametrize("form", ["csc", "bsr"])
def test_other_compressed_formats_are_checked_before_scipy_crashes_on_them(form):
    X = matrix(form)
    X.indices = X.indices + 10**8
    with pytest.raises(InvalidData, match=f"X: malformed {form.upper()} matrix"):
        checked_sparse(X)


def test_duplicates_are_summed():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    np.testing.assert_array_equal(fitted(X), [[0, 2], [1, 0]])


def test_unsorted_indices_are_sorted():
    X = sp.csr_array((np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.array([0, 2, 3])))
    source = fit_source(BaseEstimator(), X)
    assert next(source.in_order(2)).indices.tolist() == [0, 1, 1]


def test_a_stale_belief_about_the_format_is_not_trusted():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    X.has_canonical_format = True
    assert checked_csr(X).data.tolist() == [2, 1]


def test_64_bit_indices_give_the_same_rows():
    wide = matrix(indices=lambda i: i.astype(np.int64), indptr=lambda p: p.astype(np.int64))
    np.testing.assert_array_equal(fitted(wide), matrix().toarray())


def test_explicit_zeros_give_the_same_rows():
    X = matrix()
    X.data[2] = 0
    np.testing.assert_array_equal(fitted(X), X.toarray())


def test_room_to_spare_is_left_to_its_owner():
    X = matrix(data=lambda d: np.r_[d, 7, 7], indices=lambda i: np.r_[i, np.int32([0, 99])])
    np.testing.assert_array_equal(fitted(X), matrix().toarray())
    assert len(X.data) == 8


def test_a_csr_matrix_is_never_changed():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    list(fit_source(BaseEstimator(), X).shuffled(1, generator=seeded()))
    for old, new in zip(before, (X.data, X.indices, X.indptr), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.filterwarnings("error")
def test_a_read_only_csr_is_read():
    X = matrix()
    X.data, X.indices, X.indptr = map(read_only, (X.data, X.indices, X.indptr))
    np.testing.assert_array_equal(sparse_rows(X).to_dense().numpy(), X.toarray())
    np.testing.assert_array_equal(fitted(X), X.toarray())


# --- statistics


def hard_columns(rng):
    n = 40_000  # more than two blocks
    return np.stack(
        [
            rng.normal(size=n),
            rng.normal(1e6, 1, n),
            rng.normal(-3e4, 0.01, n),
            np.full(n, 7.7),
            np.zeros(n),
            np.where(np.arange(n) == 39_999, 1e20, 0),
            np.sort(rng.normal(size=n)),
            rng.normal(size=n) * 1e-30,
        ],
        axis=1,
    ).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_mean_and_variance_equal_numpys_on_hard_columns(rng, form):
    X = hard_columns(rng)
    statistics = describe(array_source(form(X)))
    wide = X.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, wide.mean(0), rtol=1e-10)
    np.testing.assert_allclose(statistics.variance, wide.var(0), rtol=1e-7, atol=1e-20)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_range_is_over_everything(form):
    X = np.array([[0, 2.5], [1, -4], [0, 0]], np.float32)
    statistics = describe(array_source(form(X)))
    assert (statistics.low, statistics.high, statistics.n_rows) == (-4, 2.5, 3)
    assert not statistics.whole_numbers


def test_the_range_of_sparse_rows_includes_zero():
    statistics = describe(array_source(sp.csr_array(np.array([[0, 3], [4, 0]], np.float32))))
    assert (statistics.low, statistics.high) == (0, 4)


# --- scaling


def scaled(X, kind):
    source = X if isinstance(X, DenseSource) else array_source(X)
    return fit_scaling(kind, source, describe(source)), next(source.in_order(source.n_rows))


@pytest.mark.parametrize("kind", [kind for kind in SCALES if kind != "proportions"])
def test_inverse_undoes_forward(rng, kind):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)).astype(np.float32), kind)
    torch.testing.assert_close(scaling.inverse(scaling.forward(x)), x, rtol=1e-5, atol=1e-5)


def test_standard_scaling_gives_mean_zero_and_variance_one(rng):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)), "standard")
    z = scaling.forward(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(4))


def test_centering_keeps_the_width(rng):
    scaling, x = scaled(rng.normal(3, 10, size=(50, 4)), "center")
    torch.testing.assert_close(scaling.forward(x), x - x.mean(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_unit_scaling_stays_in_the_unit_interval(dtype):
    scaling, x = scaled(np.array([[5, 105], [55, 30]], dtype), "unit")
    expected = x / 255 if dtype == np.uint8 else (x - 5) / 100
    torch.testing.assert_close(scaling.forward(x), expected)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_sum_to_one(form):
    scaling, x = scaled(form(np.array([[1, 3], [0, 5]], np.float32)), "proportions")
    torch.testing.assert_close(dense(scaling.forward(x)), torch.tensor([[0.25, 0.75], [0, 1]]))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_of_an_empty_or_tiny_row_are_finite(form):
    scaling, x = scaled(form(np.array([[0, 0], [1e-45, 0], [2, 2]], np.float32)), "proportions")
    expected = torch.tensor([[0, 0], [1, 0], [0.5, 0.5]])
    torch.testing.assert_close(dense(scaling.forward(x)), expected)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_proportions_do_not_hide_negative_values_from_the_loss(form):
    scaling, x = scaled(form(np.array([[-1, -1], [1, -1], [3, -1]], np.float32)), "proportions")
    assert (dense(scaling.forward(x)).min(1).values < 0).all()


@pytest.mark.parametrize("kind", SCALES)
@pytest.mark.parametrize("value", [0, 7.7, -1e6, 3e38])
def test_constant_columns_get_scale_one_and_stay_finite(kind, value):
    X = np.full((1000, 2), value, np.float32)
    scaling, x = scaled(X, kind)
    assert scaling.scale is None or (scaling.scale == 1).all()
    assert torch.isfinite(scaling.forward(x)).all()


def test_a_deviation_that_float32_rounds_to_zero_counts_as_none():
    X = np.zeros((10_000, 2), np.float32)
    X[0] = 1e-45, 1
    scaling, x = scaled(X, "standard")
    assert scaling.scale[0] == 1
    assert torch.isfinite(scaling.forward(x)).all()


@pytest.mark.parametrize("kind", ["none", "unit", "proportions"])
def test_sparse_scaling_equals_dense_scaling(rng, kind):
    X = rng.poisson(1.0, size=(30, 6)).astype(np.float32)
    (of_dense, x), (of_sparse, rows) = scaled(X, kind), scaled(sp.csr_array(X), kind)
    torch.testing.assert_close(of_sparse.forward(rows).to_dense(), of_dense.forward(x))


def test_sparse_standard_scaling_is_the_dense_one_without_the_shift(rng):
    X = rng.poisson(1.0, size=(30, 6)).astype(np.float32)
    (of_dense, x), (of_sparse, rows) = scaled(X, "standard"), scaled(sp.csr_array(X), "standard")
    assert of_sparse.shift is None
    torch.testing.assert_close(of_sparse.forward(rows).to_dense(), x / of_dense.scale)


@pytest.mark.parametrize("kind", [kind for kind in SCALES if kind != "proportions"])
def test_inverse_undoes_sparse_forward(rng, kind):
    X = sp.random_array((20, 5), density=0.4, format="csr", rng=0, data_sampler=rng.standard_normal)
    scaling, rows = scaled(X, kind)
    back = scaling.inverse(scaling.forward(rows).to_dense())
    torch.testing.assert_close(back, rows.to_dense())


def counts(high=3):
    return sp.csr_array(np.array([[0, high], [1, 0]], np.float32))


@pytest.mark.parametrize(
    ("X", "scale", "loss", "link"),
    [
        (np.array([[0, 255], [3, 4]], np.uint8), "unit", "squared_error", "logistic"),
        (np.array([[0, 1], [0.5, 0.2]]), "none", "squared_error", "logistic"),
        (np.array([[0, 1.5], [0.5, 0.2]]), "standard", "squared_error", "identity"),
        (np.array([[-0.1, 1], [0.5, 0.2]]), "standard", "squared_error", "identity"),
        (counts(), "proportions", "multinomial", None),
        (counts(0.5), "none", "squared_error", "identity"),
        (counts(-3), "none", "squared_error", "identity"),
        (sp.csr_array((4, 3)), "none", "squared_error", "identity"),
    ],
)
def test_auto_chooses_scale_and_loss(X, scale, loss, link):
    source = array_source(X)
    statistics = describe(source)
    assert choose_scale("auto", source, statistics) == scale
    chosen = choose_loss(scale, source, statistics)
    assert (chosen["name"], chosen.get("link")) == (loss, link)


@pytest.mark.parametrize("kind", SCALES)
def test_a_scale_that_is_named_is_kept(kind):
    source = array_source(ROWS)
    assert choose_scale(kind, source, describe(source)) == kind


def test_an_unknown_scale_suggests_the_near_one():
    source = array_source(ROWS)
    with pytest.raises(UsageError, match="Did you mean 'standard'"):
        choose_scale("standart", source, describe(source))
