"""Codes of floats by cosine: exact hits in order, with zero rows and extreme lengths."""

from __future__ import annotations

import numpy as np
import pytest

from narrows.errors import UsageError
from narrows.indexing.float_index import FloatIndex, unit_codes


def cosine_distances(queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """1 - cosine in float64, a row of zeros at 1 from everything."""
    a, b = queries.astype(np.float64), codes.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)[None]
    return 1 - np.divide(a @ b.T, lengths, out=np.zeros((len(a), len(b))), where=lengths > 0)


def filled(rng: np.random.Generator, n: int = 400, width: int = 10) -> tuple:
    index, codes = FloatIndex(width), rng.normal(size=(n, width)).astype(np.float32)
    ids = rng.permutation(10 * n)[:n]
    index.add(ids, codes)
    return index, ids, codes


@pytest.mark.parametrize("n_queries", [1, 5, 300])
@pytest.mark.parametrize("k", [1, 10, 400])
def test_the_nearest_by_cosine_are_found(rng, n_queries, k):
    index, ids, codes = filled(rng)
    queries = rng.normal(size=(n_queries, 10)).astype(np.float32)
    distances = cosine_distances(queries, codes)
    hits = index.search(queries, k)
    expected = np.sort(distances, axis=1)[:, :k]
    np.testing.assert_allclose(hits.distances, expected, atol=2e-7)
    place = np.argsort(ids)[np.searchsorted(np.sort(ids), hits.ids)]
    np.testing.assert_allclose(np.take_along_axis(distances, place, axis=1), expected, atol=2e-7)
    assert all(len(set(row)) == k for row in hits.ids.tolist())


def test_a_single_query_gives_the_same_bits_as_in_a_batch(rng):
    index, _, codes = filled(rng)
    together = index.search(codes[:50], 9)
    alone = [index.search(codes[i : i + 1], 9) for i in range(50)]
    np.testing.assert_array_equal(np.concatenate([a.distances for a in alone]), together.distances)
    np.testing.assert_array_equal(np.concatenate([a.ids for a in alone]), together.ids)


@pytest.mark.parametrize("n_equal", [5, 300])
def test_ties_go_to_the_smallest_ids(rng, n_equal):
    index, codes = FloatIndex(4), rng.normal(size=(500, 4)).astype(np.float32)
    codes[:n_equal] = codes[0]
    ids = rng.permutation(500)
    index.add(ids, codes)
    assert index.search(codes[:1], 3).ids.tolist() == [np.sort(ids[:n_equal])[:3].tolist()]


def test_the_length_of_a_query_does_not_matter(rng):
    index, _, codes = filled(rng)
    scaled = codes[:20] * 10.0 ** rng.integers(-18, 18, (20, 1)).astype(np.float32)
    np.testing.assert_array_equal(index.search(scaled, 5).ids, index.search(codes[:20], 5).ids)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_lengths_beyond_float32_are_scaled_to_1(scale):
    np.testing.assert_allclose(unit_codes(np.array([[3.0, 4.0]]) * scale), [[0.6, 0.8]], rtol=1e-6)


def test_a_row_of_zeros_has_distance_1_to_every_row(rng):
    index, ids, _ = filled(rng, n=20)
    index.add(np.array([999]), np.zeros((1, 10), dtype=np.float32))
    hits = index.search(rng.normal(size=(1, 10)), 21)
    assert hits.distances[hits.ids == 999].tolist() == [1.0]


def test_a_query_of_zeros_gets_the_first_ids_at_distance_1(rng):
    index, ids, _ = filled(rng)
    hits = index.search(np.zeros((1, 10), dtype=np.float32), 4)
    assert hits.ids.tolist() == [np.sort(ids)[:4].tolist()] and (hits.distances == 1).all()


def test_missing_hits_are_minus_one(rng):
    index, _, codes = filled(rng, n=3)
    for query in (codes[:1], np.zeros((1, 10))):
        hits = index.search(query, 5)
        assert (hits.ids[:, 3:] == -1).all() and (hits.distances[:, 3:] == -1).all()


def test_an_empty_index_finds_nothing():
    index = FloatIndex(3)
    assert (index.search(np.ones((1, 3)), 2).ids == -1).all()


def test_deleted_codes_are_not_found(rng):
    index, ids, codes = filled(rng)
    index.search(codes[:1], 1)
    index.delete(ids[:100])
    hits = index.search(codes, 300)
    assert not np.isin(hits.ids, ids[:100]).any() and len(index) == 300


def test_codes_added_after_a_search_are_found(rng):
    index, _, codes = filled(rng)
    index.search(codes[:1], 1)
    more = rng.normal(size=(5, 10))
    index.add(np.arange(9000, 9005), more)
    assert index.search(more, 1).ids[:, 0].tolist() == list(range(9000, 9005))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused(value):
    codes = np.ones((2, 3))
    codes[1, 2] = value
    with pytest.raises(UsageError, match="codes: row 1, column 2 is .*, not finite"):
        FloatIndex(3).add(np.arange(2), codes)


def test_codes_of_another_width_are_refused(rng):
    with pytest.raises(UsageError, match="codes: must have 10 columns, got 9"):
        filled(rng)[0].search(np.ones((1, 9)), 1)


def test_packed_bits_are_refused(rng):
    with pytest.raises(UsageError, match="codes: must be a table of floats, got uint8"):
        filled(rng)[0].search(np.ones((1, 10), dtype=np.uint8), 1)
