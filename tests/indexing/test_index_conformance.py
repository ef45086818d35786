"""One contract for every kind of index, and for Milvus, against brute force."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_oracle import all_distances, made_codes, nearest

from narrows.errors import NarrowsError, UsageError
from narrows.indexing import hash_index
from narrows.indexing.kinds import KINDS, make_index

# "probing": the two that probe, made to do so on bases so small that they would scan
NAMES = [*KINDS, "hash probing", "multihash probing", "milvus"]
EXACT = [name for name in NAMES if name != "hnsw"]


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    from narrows.indexing.milvus_index import MilvusIndex

    path = tmp_path_factory.mktemp("milvus") / "codes.db"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # milvus_lite imports pkg_resources
            held = MilvusIndex(str(path), 8, collection="held", timeout=30)
    except Exception as error:
        pytest.skip(f"Milvus Lite does not start: {error}")
    yield str(path)
    held.close()


@pytest.fixture
def make(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Any]]:
    """A factory of empty indexes of the kind under test."""
    name: str = request.param
    made: list[Any] = []
    if name.endswith("probing"):
        monkeypatch.setattr(hash_index, "_SMALL", 0)
        monkeypatch.setattr(hash_index, "_SCAN", 0)

    def maker(n_bits: int) -> Any:
        if name != "milvus":
            return make_index(n_bits, name.split()[0])
        from narrows.indexing.milvus_index import MilvusIndex

        uri = request.getfixturevalue("milvus_uri")
        made.append(MilvusIndex(uri, n_bits, collection=f"c{len(made)}", timeout=30))
        return made[-1]

    yield maker
    for index in made:
        index.drop()


def over(names: list[str]) -> Any:
    return pytest.mark.parametrize("make", names, indirect=True)


def filled(make: Any, rng: np.random.Generator, n: int = 300, n_bits: int = 32) -> Any:
    """Return an index, its ids in random order, and its codes."""
    index, codes = make(n_bits), made_codes(rng, n, n_bits)
    ids = rng.permutation(10 * n)[:n]
    index.add(ids, codes)
    return index, ids, codes


@over(EXACT)
@pytest.mark.parametrize("n_bits", [8, 24, 64, 256])
def test_hits_equal_those_of_brute_force(make, rng, n_bits):
    index, ids, codes = filled(make, rng, n_bits=n_bits)
    queries = np.concatenate([codes[:5], made_codes(rng, 15, n_bits)])
    distances, found = nearest(queries, codes, ids, 12)
    hits = index.search(queries, 12)
    np.testing.assert_array_equal(hits.distances, distances)
    np.testing.assert_array_equal(hits.ids, found)


@over(NAMES)
def test_distances_match_the_codes_found(make, rng):
    index, ids, codes = filled(make, rng)
    hits = index.search(codes[:20], 10)
    place = np.argsort(ids)[np.searchsorted(np.sort(ids), hits.ids)]
    expected = np.take_along_axis(all_distances(codes[:20], codes), place, axis=1)
    np.testing.assert_array_equal(hits.distances, expected)


@over(NAMES)
def test_hits_are_ordered_by_distance_and_then_by_id(make, rng):
    index, _, codes = filled(make, rng)
    hits = index.search(codes[:20], 40)
    for distance, ids in zip(hits.distances.tolist(), hits.ids.tolist(), strict=True):
        assert list(zip(distance, ids, strict=True)) == sorted(zip(distance, ids, strict=True))


@over(NAMES)
@pytest.mark.parametrize("k", [1, 50])
def test_ties_at_the_last_place_go_to_the_smallest_ids(make, rng, k):
    """All codes are equal and the ids are in random order; approximate kinds obey this too."""
    index, ids = make(32), rng.permutation(500)[:100]
    index.add(ids, np.full((100, 4), 7, dtype=np.uint8))
    hits = index.search(np.full((2, 4), 7, dtype=np.uint8), k)
    np.testing.assert_array_equal(hits.ids, np.tile(np.sort(ids)[:k], (2, 1)))


@over(NAMES)
def test_smaller_ids_that_are_added_later_also_win_ties(make):
    index, code = make(8), np.zeros((1, 8 // 8), dtype=np.uint8)
    for number in (9, 4, 6):
        index.add(np.array([number]), code)
        index.search(code, 1)  # whatever is built lazily is built
    assert index.search(code, 2).ids.tolist() == [[4, 6]]


@over(NAMES)
def test_missing_hits_are_minus_one(make, rng):
    index, _, codes = filled(make, rng, n=5)
    hits = index.search(codes[:2], 8)
    assert (hits.ids[:, 5:] == -1).all() and (hits.distances[:, 5:] == -1).all()


@over(NAMES)
def test_all_codes_are_found_if_there_are_fewer_than_k(make, rng):
    index, ids, codes = filled(make, rng, n=5)
    assert sorted(index.search(codes[:1], 8).ids[0, :5]) == sorted(ids)


@over(NAMES)
def test_an_empty_index_finds_nothing(make):
    hits = make(16).search(np.zeros((2, 2), dtype=np.uint8), 3)
    assert hits.ids.tolist() == hits.distances.tolist() == [[-1] * 3] * 2


@over(NAMES)
def test_no_queries_give_no_hits(make, rng):
    index, _, codes = filled(make, rng)
    assert index.search(codes[:0], 3).ids.shape == (0, 3)


@over(NAMES)
def test_hits_have_the_declared_dtypes(make, rng):
    index, _, codes = filled(make, rng)
    hits = index.search(codes[:2], 3)
    assert (hits.distances.dtype, hits.ids.dtype) == (np.int32, np.int64)


@over(EXACT)
def test_only_remaining_codes_are_found_after_deleting(make, rng):
    index, ids, codes = filled(make, rng)
    index.search(codes[:2], 3)
    gone = rng.permutation(300)[:200]
    index.delete(ids[gone])
    kept = np.setdiff1d(np.arange(300), gone)
    distances, found = nearest(codes[:20], codes[kept], ids[kept], 15)
    hits = index.search(codes[:20], 15)
    np.testing.assert_array_equal(hits.ids, found)
    np.testing.assert_array_equal(hits.distances, distances)


@over(NAMES)
def test_deleted_codes_are_never_found(make, rng):
    index, ids, codes = filled(make, rng)
    index.search(codes[:2], 3)
    index.delete(ids[:150])
    assert not np.isin(index.search(codes, 150).ids, ids[:150]).any()


@over(NAMES)
def test_all_remaining_codes_are_found_after_deleting(make, rng):
    index, ids, codes = filled(make, rng, n=60)
    index.search(codes[:2], 3)
    index.delete(ids[:20])
    assert sorted(index.search(codes[:1], 40).ids[0]) == sorted(ids[20:])


@over(NAMES)
def test_everything_can_be_deleted_and_added_again(make, rng):
    index, ids, codes = filled(make, rng, n=30)
    index.delete(ids)
    assert len(index) == 0 and (index.search(codes[:1], 2).ids == -1).all()
    index.add(ids, codes)
    assert index.search(codes[-1:], 1).distances.tolist() == [[0]]


@over(EXACT)
@pytest.mark.parametrize("order", ["after", "between"])
def test_codes_added_after_a_search_are_found(make, rng, order):
    index, ids, codes = filled(make, rng, n=200)
    index.search(codes[:2], 3)
    unused = np.setdiff1d(np.arange(2000), ids)
    more = made_codes(rng, 100, 32)
    later = np.arange(5000, 5100) if order == "after" else rng.permutation(unused)[:100]
    index.add(later, more)
    _, found = nearest(more[:10], np.concatenate([codes, more]), np.append(ids, later), 9)
    np.testing.assert_array_equal(index.search(more[:10], 9).ids, found)


@over(EXACT)
def test_a_single_query_gives_the_same_hits_as_in_a_batch(make, rng):
    index, _, codes = filled(make, rng)
    together = index.search(codes[:30], 7).ids
    alone = np.concatenate([index.search(codes[i : i + 1], 7).ids for i in range(30)])
    np.testing.assert_array_equal(alone, together)


@over(NAMES)
def test_the_length_counts_added_minus_deleted_codes(make, rng):
    index, ids, _ = filled(make, rng, n=50)
    index.delete(ids[:7])
    assert len(index) == 43


@over(NAMES)
def test_an_existing_id_is_refused_and_nothing_is_added(make, rng):
    index, ids, codes = filled(make, rng, n=20)
    with pytest.raises(UsageError, match=f"ids: {ids[3]} is in the index already; delete it first"):
        index.add(np.array([9999, ids[3]]), codes[:2])
    assert len(index) == 20


@over(NAMES)
def test_a_repeated_id_is_refused(make, rng):
    codes = made_codes(rng, 3, 32)
    with pytest.raises(UsageError, match="ids: 5 is repeated"):
        make(32).add(np.array([5, 6, 5]), codes)


@over(NAMES)
def test_an_unknown_id_is_refused_and_nothing_is_deleted(make, rng):
    index, ids, _ = filled(make, rng, n=20)
    with pytest.raises(UsageError, match="ids: 7777 is not in the index"):
        index.delete(np.array([ids[0], 7777, 8888]))
    assert len(index) == 20


@over(NAMES)
def test_invalid_ids_are_refused(make, rng):
    index = make(32)
    for ids in ([-1], [0.5], ["a"], [[1]], [2**63]):
        with pytest.raises(UsageError, match="ids: must be"):
            index.add(np.array(ids), made_codes(rng, 1, 32))
    assert len(index) == 0


@over(NAMES)
def test_ids_and_codes_of_different_lengths_are_refused(make, rng):
    with pytest.raises(UsageError, match="ids: expected one per code, got 2 for 3"):
        make(32).add(np.arange(2), made_codes(rng, 3, 32))


@over(NAMES)
def test_an_invalid_k_is_refused(make, rng):
    index, _, codes = filled(make, rng, n=10)
    for k in (0, -1, 1.5, True, "3", None):
        with pytest.raises(UsageError, match="k: must be an integer >= 1"):
            index.search(codes[:1], k)


@over(NAMES)
def test_codes_of_another_width_are_refused(make):
    index, codes = make(32), np.zeros((1, 8), dtype=np.uint8)
    calls = {"search": (codes, 1), "add": (np.array([1]), codes)}
    for method, arguments in calls.items():
        with pytest.raises(UsageError, match=r"must have 32 bits \(4 bytes\) per row, got 64"):
            getattr(index, method)(*arguments)


@over(NAMES)
def test_codes_of_another_type_are_refused(make):
    index = make(32)
    for codes in (np.zeros((1, 4)), np.zeros(4, np.uint8), [[0, 0, 0, 0]]):
        with pytest.raises(UsageError, match="codes: must be a table of packed bits, uint8"):
            index.search(codes, 1)


@over(NAMES)
def test_codes_that_are_not_contiguous_are_accepted(make, rng):
    index, ids, codes = filled(make, rng)
    strided = np.asfortranarray(np.repeat(codes[:4], 2, axis=0))[::2]
    np.testing.assert_array_equal(index.search(strided, 3).ids, index.search(codes[:4], 3).ids)


@over(NAMES)
def test_invalid_widths_are_refused(make):
    for n_bits in (0, 7, 12, -8, 4104, 8.0, None):
        with pytest.raises(UsageError, match="n_bits: must be"):
            make(n_bits)


@over(NAMES)
def test_the_narrowest_and_the_widest_codes_are_accepted(make, rng):
    for n_bits in (8, 4096):
        index, ids, codes = filled(make, rng, n=40, n_bits=n_bits)
        assert index.n_bits == n_bits
        assert index.search(codes[-1:], 1).distances.tolist() == [[0]]


# Milvus alone


def test_a_missing_milvus_server_is_reported_within_the_timeout():
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    from narrows.indexing.milvus_index import MilvusIndex

    with pytest.raises(NarrowsError, match=r"Milvus at http://127.0.0.1:9: cannot connect"):
        MilvusIndex("http://127.0.0.1:9", 32, timeout=1.0)


def test_a_collection_of_another_width_is_refused(milvus_uri: str):
    from narrows.indexing.milvus_index import MilvusIndex

    with pytest.raises(UsageError, match=r"n_bits: the collection 'held' .* has codes of 8 bits"):
        MilvusIndex(milvus_uri, 16, collection="held")


def test_added_codes_are_found_by_the_next_connection(milvus_uri: str, rng):
    from narrows.indexing.milvus_index import MilvusIndex

    codes = made_codes(rng, 10, 32)
    first = MilvusIndex(milvus_uri, 32, collection="kept")
    first.add(np.arange(10), codes)
    second = MilvusIndex(milvus_uri, 32, collection="kept")
    assert second.search(codes[-1:], 1).distances.tolist() == [[0]]
    second.drop()


def test_more_ties_than_milvus_returns_are_resolved(milvus_uri: str, monkeypatch, rng):
    from narrows.indexing import milvus_index

    monkeypatch.setattr(milvus_index, "_MOST", 20)
    index = milvus_index.MilvusIndex(milvus_uri, 8, collection="ties")
    ids = rng.permutation(1000)[:200]
    codes = np.ones((200, 1), dtype=np.uint8)
    codes[:3] = 0
    index.add(ids, codes)
    expected = np.append(np.sort(ids[:3]), np.sort(ids[3:])[:9])
    assert index.search(np.zeros((1, 1), np.uint8), 12).ids.tolist() == [expected.tolist()]
    with pytest.raises(UsageError, match="k: Milvus returns at most 20 hits per query, got 21"):
        index.search(np.zeros((1, 1), np.uint8), 21)
    index.drop()


def test_without_pymilvus_the_error_gives_the_install_command(monkeypatch, tmp_path: Path):
    import sys

    from narrows.errors import MissingExtra
    from narrows.indexing.milvus_index import MilvusIndex

    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtra, match=r"pip install 'narrows\[milvus\]'"):
        MilvusIndex(str(tmp_path / "x.db"), 32)
