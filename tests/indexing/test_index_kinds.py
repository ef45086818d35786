"""Kinds of index beyond the contract: addresses, probing and graphs."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from index_oracle import all_distances, made_codes

from narrows.errors import ModelFileError, UsageError
from narrows.indexing import hash_index
from narrows.indexing.addresses import AddressTable, balanced_bits, shell
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.graph_index import GraphIndex
from narrows.indexing.hamming import first
from narrows.indexing.hash_index import HashIndex
from narrows.indexing.kinds import KINDS, choose_kind, make_index

N = 40_000


@pytest.fixture(autouse=True)
def probing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the scan that replaces probing for as few codes as N."""
    monkeypatch.setattr(hash_index, "_SMALL", N)


def pair(kind: str, codes: np.ndarray) -> tuple:
    """Return an index of this kind and a flat index of the same codes."""
    made = make_index(8 * codes.shape[1], kind), FlatIndex(8 * codes.shape[1])
    for index in made:
        index.add(np.arange(len(codes)), codes)
    return made


def assert_equal_answers(index, flat, queries: np.ndarray, k: int) -> None:
    one, other = index.search(queries, k), flat.search(queries, k)
    np.testing.assert_array_equal(one.distances, other.distances)
    np.testing.assert_array_equal(one.ids, other.ids)


# The order


@pytest.mark.parametrize("largest", [50, 2**62])
def test_candidates_are_selected_by_distance_and_then_id_for_ids_of_any_size(rng, largest):
    query, distance = rng.integers(0, 7, 500), rng.integers(0, 9, 500).astype(np.int32)
    ids = rng.integers(0, largest, 500)
    expected = []
    for number in range(7):
        mine = [(d, i) for q, d, i in zip(query, distance, ids, strict=True) if q == number]
        expected += [(number, *pair) for pair in sorted(mine)[:12]]
    assert [tuple(row) for row in zip(*first(12, query, distance, ids), strict=True)] == expected


# Choosing


@pytest.mark.parametrize(
    ("n_bits", "kind"), [(8, "hash"), (32, "hash"), (40, "flat"), (256, "flat")]
)
def test_auto_selects_a_kind_by_width(n_bits, kind):
    assert choose_kind(n_bits) == kind


def test_auto_is_exact_at_every_width():
    assert all(make_index(n_bits).exact for n_bits in range(8, 4097, 8))


def test_an_unknown_kind_is_refused_with_the_near_name():
    with pytest.raises(UsageError, match=r"unknown name 'hsnw'.* Did you mean 'hnsw'\?"):
        make_index(32, "hsnw")


@pytest.mark.parametrize("kind", KINDS)
def test_making_an_index_does_not_import_faiss(kind):
    import subprocess
    import sys

    script = f"from narrows.indexing.kinds import *; import sys; make_index(32, {kind!r});"
    script += "print({'faiss', 'torch', 'pymilvus'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


# Addresses


@pytest.mark.parametrize("n_bits", [1, 5, 12])
def test_a_shell_lists_every_address_at_its_radius_once(n_bits):
    for radius in range(n_bits + 1):
        words = shell(n_bits, radius)
        assert len(set(words.tolist())) == len(words) == comb(n_bits, radius)
        assert (np.bitwise_count(words) == radius).all() and words.max(initial=0) < 1 << n_bits


def test_there_is_no_shell_beyond_the_last_bit():
    assert shell(5, 6).size == shell(5, -1).size == 0


def test_bits_that_never_change_come_last(rng):
    codes = rng.integers(0, 256, (1000, 2), dtype=np.uint8)
    codes[:, 0] |= 0b10100000
    assert set(balanced_bits(codes)[-2:].tolist()) == {0, 2}


def test_an_address_consists_of_the_chosen_bits():
    table = AddressTable(np.zeros((1, 2), dtype=np.uint8), np.array([0, 15, 9]))
    codes = np.array([[0b10000000, 0], [0, 1], [0, 0b01000000]], dtype=np.uint8)
    assert table.addresses(codes).tolist() == [1, 2, 4]


def test_a_probe_yields_exactly_the_codes_at_the_addresses(rng):
    codes = rng.integers(0, 256, (500, 2), dtype=np.uint8)
    table = AddressTable(codes, np.arange(6))
    found, crowded = table.probe(codes[:3], shell(6, 1), limit=16, most=500)
    assert not len(crowded)
    query, distance, row = (np.concatenate(column) for column in zip(*found, strict=True))
    six = all_distances(
        codes[:3] & 0b11111100 * np.array([1, 0], np.uint8),
        codes & 0b11111100 * np.array([1, 0], np.uint8),
    )
    expected = {(q, r) for q, r in zip(*np.nonzero(six == 1), strict=True)}
    assert set(zip(query.tolist(), row.tolist(), strict=True)) == expected
    np.testing.assert_array_equal(distance, all_distances(codes[:3], codes)[query, row])


def test_crowded_queries_are_listed_and_the_others_answered():
    codes = np.repeat(np.array([[0], [255]], dtype=np.uint8), [30, 2], axis=0)
    table = AddressTable(codes, np.arange(8))
    found, crowded = table.probe(codes[-3:] ^ np.uint8([[0], [0], [255]]), shell(8, 0), 8, most=10)
    assert crowded.tolist() == [0, 2] and [part[0].tolist() for part in found] == [[1, 1]]


# Probing


def test_small_bases_are_scanned_without_a_table(rng):
    index = HashIndex(32)
    index.add(np.arange(N - 1), rng.integers(0, 256, (N - 1, 4), dtype=np.uint8))
    assert (index.search(index.table.codes[:5], 1).distances == 0).all() and not index._tables


@pytest.mark.parametrize("kind", ["hash", "multihash"])
@pytest.mark.parametrize("n_bits", [16, 32, 64])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_probing_gives_the_hits_of_a_scan(kind, n_bits, k, rng):
    codes = made_codes(rng, N, n_bits)
    index, flat = pair(kind, codes)
    far = rng.integers(0, 256, (40, n_bits // 8), dtype=np.uint8)
    assert_equal_answers(index, flat, np.concatenate([codes[:3], codes[-300:], far]), k)


def scans(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Return a list that records the queries that are compared with every code."""
    scanned, search = [], FlatIndex.search
    monkeypatch.setattr(FlatIndex, "search", lambda *a: scanned.append(a[1]) or search(*a))
    return scanned


@pytest.mark.parametrize("kind", ["hash", "multihash"])
def test_queries_with_near_codes_are_answered_without_a_scan(kind, rng, monkeypatch):
    codes = rng.integers(0, 256, (N, 4), dtype=np.uint8)
    index, scanned = pair(kind, codes)[0], scans(monkeypatch)
    assert (index.search(codes[-20:], 1).distances == 0).all() and not scanned


def test_queries_without_near_codes_are_answered_by_a_scan(rng, monkeypatch):
    codes = rng.integers(0, 256, (N, 4), dtype=np.uint8)
    codes[:, 0] &= 1
    index, flat = pair("hash", codes)
    far = codes[:2] ^ np.array([254, 0, 0, 0], dtype=np.uint8)
    queries = np.concatenate([codes[:2], far, codes[2:4]])
    expected, scanned = flat.search(queries, 1), scans(monkeypatch)
    np.testing.assert_array_equal(index.search(queries, 1).ids, expected.ids)
    np.testing.assert_array_equal(np.concatenate(scanned), far)


def test_queries_at_crowded_addresses_are_answered_by_a_scan(rng, monkeypatch):
    codes = rng.integers(0, 256, (N, 4), dtype=np.uint8)
    codes[::4] = 9
    index, flat = pair("hash", codes)
    queries = np.concatenate([codes[1:3], codes[:1]])
    expected, scanned = flat.search(queries, 1), scans(monkeypatch)
    np.testing.assert_array_equal(index.search(queries, 1).ids, expected.ids)
    np.testing.assert_array_equal(np.concatenate(scanned), codes[:1])


@pytest.mark.parametrize("kind", ["hash", "multihash"])
def test_a_base_at_a_single_address_is_answered(kind):
    codes = np.full((3 * N, 4), 9, dtype=np.uint8)
    index, flat = pair(kind, codes)
    assert_equal_answers(index, flat, codes[:300], 5)


def test_a_query_ends_only_after_its_radius_is_probed_completely(monkeypatch):
    """Both are at 5 bits: id 2 at the query's own address, id 1 five addresses away."""
    monkeypatch.setattr(hash_index, "_SMALL", 0)
    monkeypatch.setattr(hash_index, "_SCAN", 0)
    monkeypatch.setattr(hash_index, "balanced_bits", lambda codes: np.arange(16))
    far = np.full((298, 2), 255, dtype=np.uint8)
    near = np.packbits([[1] * 5 + [0] * 11, [0] * 11 + [1] * 5], axis=1)
    index = HashIndex(16, n_tables=1)
    index.add(np.arange(1, 301), np.concatenate([near, far]))
    assert index.search(np.zeros((1, 2), dtype=np.uint8), 1).ids.tolist() == [[1]]
    assert len(index._tables[0].bits) == 10 and index._shells


def test_the_number_of_tables_is_limited_by_the_width(rng):
    codes = made_codes(rng, N, 32)
    index, flat = HashIndex(32, n_tables=100), pair("flat", codes)[0]
    index.add(np.arange(N), codes)
    assert_equal_answers(index, flat, codes[:20], 5)


def test_thousands_of_queries_are_answered_in_order(rng):
    codes = made_codes(rng, N, 32)
    index, flat = pair("hash", codes)
    assert_equal_answers(index, flat, codes[rng.permutation(N)[:1500]], 2)


# Approximate kinds


def test_a_graph_finds_most_of_the_nearest(rng):
    """Recall of the ten nearest distances, 64-bit codes in clouds, 12,000 of them."""
    codes = made_codes(rng, 12_000, 64)
    index, flat = pair("hnsw", codes)
    queries = codes[rng.permutation(12_000)[:200]]
    same = index.search(queries, 10).distances == flat.search(queries, 10).distances
    assert same.mean() >= 0.95


def test_thousands_of_equal_codes_do_not_hide_the_others(rng):
    """If inserted one by one, equal codes link only to each other and disconnect the graph."""
    codes = made_codes(rng, 5000, 32)
    codes[:4000] = codes[0]
    index, flat = pair("hnsw", codes)
    assert_equal_answers(index, flat, codes[4000:4100], 1)


def test_a_graph_is_rebuilt_if_many_nodes_are_empty(rng):
    index, codes = GraphIndex(32), np.unique(rng.integers(0, 256, (600, 4), dtype=np.uint8), axis=0)
    index.add(np.arange(len(codes)), codes)
    index.search(codes[:1], 1)
    index.delete(np.arange(300))
    index.search(codes[:1], 1)
    assert len(index.structure()["nodes"]) == len(codes) - 300


def test_the_same_codes_in_the_same_order_give_the_same_answers(rng):
    codes = made_codes(rng, 11_000, 64)
    answers = [pair("hnsw", codes)[0].search(codes[:50], 10).ids for _ in range(2)]
    np.testing.assert_array_equal(*answers)


# Graphs from elsewhere


@pytest.fixture(scope="module")
def graph() -> tuple[GraphIndex, dict]:
    index = GraphIndex(32)
    index.add(np.arange(3000), made_codes(np.random.default_rng(0), 3000, 32))
    return index, index.structure()


def restored(graph, **changes) -> GraphIndex:
    index, structure = graph
    fresh = GraphIndex(32)
    fresh.add(index.table.ids, index.table.codes)
    fresh.restore({**structure, **changes})
    return fresh


def test_a_restored_graph_gives_the_same_hits(graph):
    queries = graph[0].table.codes[:200]
    np.testing.assert_array_equal(
        restored(graph).search(queries, 20).ids, graph[0].search(queries, 20).ids
    )


def test_codes_can_be_added_to_a_restored_graph(graph, rng):
    index, codes = restored(graph), rng.integers(0, 256, (200, 4), dtype=np.uint8)
    index.add(np.arange(5000, 5200), codes)
    assert (index.search(codes, 1).distances == 0).all()


def changed(array: np.ndarray, place: int, value: int) -> np.ndarray:
    array = array.copy()
    array.reshape(-1)[place] = value
    return array


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("neighbors", lambda a: changed(a, 0, 3000), "a link points to no node"),
        ("neighbors", lambda a: changed(a, 5, -2), "a link points to no node"),
        ("neighbors", lambda a: a[:-1], "the links do not match the levels"),
        ("neighbors", lambda a: a.astype(np.int64), "'neighbors' is missing or has the wrong type"),
        ("levels", lambda a: changed(a, 0, 0), "a level or an offset is invalid"),
        ("levels", lambda a: changed(a, 0, 99), "a level or an offset is invalid"),
        ("levels", lambda a: a[:-1], "its parts differ in size"),
        ("offsets", lambda a: changed(a, 1, 2**62), "the links do not match the levels"),
        ("offsets", lambda a: changed(a, 0, 1), "a level or an offset is invalid"),
        ("entry", lambda a: changed(a, 0, -1), "the entry point is invalid"),
        ("entry", lambda a: changed(a, 0, 3000), "the entry point is invalid"),
        ("entry", lambda a: changed(a, 1, 7), "the entry point is invalid"),
        ("entry", lambda a: a[:1], "its parts differ in size"),
        ("nodes", lambda a: a[:, :3], "its parts differ in size"),
        ("nodes", lambda a: a ^ np.uint8(1), "a code has no node"),
        ("nodes", lambda a: a.reshape(-1), "'nodes' is missing or has the wrong type"),
    ],
)  # fmt: skip
def test_an_invalid_graph_is_refused(graph, name, change, message):
    with pytest.raises(ModelFileError, match=f"graph: .*{message}|graph: {message}"):
        restored(graph, **{name: change(graph[1][name])})


def test_a_link_to_a_node_that_is_not_on_that_level_is_refused(graph):
    structure = graph[1]
    high = int(np.flatnonzero(structure["levels"] > 1)[0])
    low = int(np.flatnonzero(structure["levels"] == 1)[0])
    place = int(structure["offsets"][high + 1]) - 1  # the last link of the top level
    with pytest.raises(ModelFileError, match="a node that is not on its level"):
        restored(graph, neighbors=changed(structure["neighbors"], place, low))


def test_a_graph_that_lacks_a_part_is_refused(graph):
    structure = {name: array for name, array in graph[1].items() if name != "levels"}
    index = GraphIndex(32)
    with pytest.raises(ModelFileError, match="'levels' is missing"):
        index.restore(structure)
