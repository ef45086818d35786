"""Index: add, delete, search, re-rank and find similar rows by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from index_files import add_rows, small_index
from index_oracle import all_distances

from narrows.artefact import read_artefact
from narrows.errors import ModelFileError, UsageError
from narrows.indexing.index import Index
from narrows.indexing.kinds import KINDS
from narrows.indexing.protocol import Hit


@pytest.fixture
def index() -> Index:
    return small_index()


@pytest.mark.parametrize("kind", ["auto", *KINDS])
def test_the_nearest_names_are_found_with_their_distances(kind):
    index = small_index(kind=kind)
    codes = np.stack([index.code(name) for name in index.names])
    for row, distance in enumerate(all_distances(codes[:5], codes)):
        order = np.argsort(distance, kind="stable")[:6]
        hits = index.search(codes[row : row + 1], 6)[0]
        assert [(hit.name, hit.distance) for hit in hits] == [(f"d{i}", distance[i]) for i in order]


def test_codes_of_floats_are_found_by_cosine():
    index = small_index(n_bits=None, n_components=6)
    hits = index.search(2 * index.code("d7")[None], 1)[0]
    assert [(hit.name, hit.distance) for hit in hits] == [("d7", 0.0)]


def test_ties_are_ordered_by_time_of_adding():
    index = Index.create(n_bits=8)
    codes = np.zeros((3, 1), dtype=np.uint8)
    index.add(["z", "a", "m"], codes)
    index.delete(["z"])
    index.add(["z"], codes[:1])
    assert [hit.name for hit in index.search(codes[:1], 3)[0]] == ["a", "m", "z"]


def test_hits_have_their_metadata(index):
    assert index.search(index.code("d7")[None], 1) == [[Hit("d7", 0, {"snippet": "text 7, ä"})]]


def test_rows_without_metadata_have_none(index):
    assert index.metadata("d8") == {}


def test_each_query_has_its_own_list(index):
    codes = np.stack([index.code("d3"), index.code("d9")])
    assert [hits[0].name for hits in index.search(codes, 2)] == ["d3", "d9"]


def test_lists_are_shorter_if_there_are_fewer_rows():
    index = small_index(3)
    assert len(index.search(index.code("d0")[None], 10)[0]) == 3


def test_an_empty_index_finds_nothing():
    assert Index.create(n_bits=8).search(np.zeros((2, 1), dtype=np.uint8), 3) == [[], []]


# Like


def test_like_excludes_the_row_itself(index):
    hits = index.like("d4", 49)
    assert sorted(hit.name for hit in hits) == sorted(set(index.names) - {"d4"})


def test_like_finds_what_a_search_with_its_code_finds(index):
    searched = index.search(index.code("d4")[None], 6)[0]
    assert index.like("d4", 5) == [hit for hit in searched if hit.name != "d4"]


def test_like_returns_k_hits_if_many_codes_are_equal():
    index = Index.create(n_bits=8)
    index.add([str(i) for i in range(20)], np.zeros((20, 1), dtype=np.uint8))
    assert [hit.name for hit in index.like("15", 3)] == ["0", "1", "2"]


def test_like_with_an_unknown_name_is_refused(index):
    with pytest.raises(UsageError, match="name: 'nobody' is not in the index"):
        index.like("nobody", 3)


# Re-ranking


def cosines(index: Index, query: np.ndarray, rng_seed: int = 0) -> dict[str, float]:
    vectors = index._rows.vectors.astype(np.float64)
    unit = query / np.linalg.norm(query)
    return dict(zip(index.names, vectors @ unit, strict=True))


def test_the_shortlist_is_ordered_by_cosine(rng):
    index, query = small_index(), rng.normal(size=4)
    code = index.code("d1")[None]
    shortlist = [hit.name for hit in index.search(code, 12)[0]]
    near = cosines(index, query)
    expected = sorted(shortlist, key=lambda name: -near[name])[:4]
    hits = index.search(code, 4, vectors=query[None], shortlist=12)[0]
    assert [hit.name for hit in hits] == expected
    np.testing.assert_allclose([h.cosine for h in hits], [near[n] for n in expected], atol=1e-3)


def test_the_default_shortlist_is_ten_times_k_but_at_least_a_hundred(rng):
    index = small_index(120)
    query, code = rng.normal(size=(1, 4)), index.code("d1")[None]
    by_default = index.search(code, 3, vectors=query)
    assert by_default == index.search(code, 3, vectors=query, shortlist=100)
    assert by_default != index.search(code, 3, vectors=query, shortlist=5)


def test_equal_cosines_are_ordered_by_distance_and_then_by_order_of_adding():
    index = Index.create(n_bits=8, vector_width=2)
    codes = np.array([[3], [1], [0], [1]], dtype=np.uint8)
    index.add(["a", "b", "c", "d"], codes, None, np.ones((4, 2)))
    hits = index.search(np.zeros((1, 1), np.uint8), 4, vectors=np.ones((1, 2)))[0]
    assert [hit.name for hit in hits] == ["c", "b", "d", "a"]


def test_like_is_re_ranked_with_a_shortlist(index):
    near = cosines(index, index._rows.vectors[4].astype(np.float64))
    expected = sorted(set(index.names) - {"d4"}, key=lambda name: -near[name])[:5]
    assert [hit.name for hit in index.like("d4", 5, shortlist=49)] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shortlist": 20}, "shortlist: re-ranking needs vectors"),
        ({"vectors": np.ones((1, 4)), "shortlist": 2}, "shortlist: must be at least k = 3, got 2"),
        ({"vectors": np.ones((2, 4))}, "vectors: expected one per code, got 2 for 1"),
        ({"vectors": np.ones((1, 3))}, "vectors: must have 4 columns, got 3"),
        ({"vectors": np.full((1, 4), np.nan)}, "vectors: row 0, column 0 is nan, not finite"),
    ],
)
def test_an_invalid_re_ranking_is_refused(index, arguments, message):
    with pytest.raises(UsageError, match=message):
        index.search(index.code("d0")[None], 3, **arguments)


def test_an_index_without_vectors_cannot_re_rank():
    index = small_index(vector_width=0)
    with pytest.raises(UsageError, match="vectors: this index stores none to re-rank by"):
        index.search(index.code("d0")[None], 3, vectors=np.ones((1, 4)))


# Adding and deleting


def test_an_existing_name_is_refused_and_nothing_is_added(index):
    with pytest.raises(UsageError, match="names: 'd3' is in the index already; delete it first"):
        index.add(["new", "d3"], np.zeros((2, 4), dtype=np.uint8), None, np.ones((2, 4)))
    assert len(index) == 50 and "new" not in index


def test_a_repeated_name_is_refused(index):
    with pytest.raises(UsageError, match="names: 'x' is repeated"):
        index.add(["x", "x"], np.zeros((2, 4), dtype=np.uint8), None, np.ones((2, 4)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("d", "names: must be a sequence of strings, got the string 'd'"),
        ([1], "names: must be strings, got 1"),
        ([""], "names: must have 1 to 65,535 bytes, got 0"),
        (["x" * 65_536], "names: must have 1 to 65,535 bytes, got 65,536"),
        (["\ud800"], "cannot be encoded in UTF-8"),
        (["a", "b"], "names: expected one per code, got 2 for 1"),
    ],
    ids=range(6),
)
def test_invalid_names_are_refused(index, names, message):
    with pytest.raises(UsageError, match=message):
        index.add(names, np.zeros((1, 4), dtype=np.uint8), None, np.ones((1, 4)))
    assert len(index) == 50


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (["text"], "metadata: row 0 must be a dictionary, got 'text'"),
        ([{"x": float("nan")}], "metadata: row 0 cannot be written as JSON"),
        ([{"x": {1}}], "metadata: row 0 cannot be written as JSON"),
        ([{"x": "y" * (1 << 20)}], "metadata: row 0 has 1,048,58. bytes, the limit is 1,048,576"),
        ([{}, {}], "metadata: expected one per code, got 2 for 1"),
    ],
    ids=range(5),
)
def test_invalid_metadata_are_refused(index, metadata, message):
    with pytest.raises(UsageError, match=message):
        index.add(["new"], np.zeros((1, 4), dtype=np.uint8), metadata, np.ones((1, 4)))
    assert len(index) == 50


@pytest.mark.parametrize("vectors", [None, np.ones((2, 4)), np.ones((1, 5))], ids=range(3))
def test_invalid_vectors_are_refused(index, vectors):
    with pytest.raises(UsageError, match="vectors: "):
        index.add(["new"], np.zeros((1, 4), dtype=np.uint8), None, vectors)
    assert len(index) == 50


@pytest.mark.parametrize("name", ["a\0b", "\u202eabc", "é", "e\u0301", " ", "x" * 65_535, "日本"])
def test_unusual_names_are_accepted(name):
    index = small_index()
    index.add([name], np.zeros((1, 4), dtype=np.uint8), [{"s": "\ud800"}], np.ones((1, 4)))
    assert name in index and index.metadata(name) == {"s": "\ud800"}


def test_a_name_that_is_part_of_others_is_found():
    index = Index.create(n_bits=8)
    index.add(["aab", "ab", "b", "aba", "a"], np.zeros((5, 1), dtype=np.uint8))
    fresh = [index._rows.names.find(text) for text in ("aab", "ab", "b", "aba", "a", "ba", "aabab")]
    assert fresh == [0, 1, 2, 3, 4, None, None]


def test_a_name_that_is_part_of_thousands_of_others_is_found():
    index = Index.create(n_bits=8)
    index.add([f"aa{i}" for i in range(3000)] + ["a"], np.zeros((3001, 1), dtype=np.uint8))
    index._rows.names._rows = None  # as after loading
    assert index._rows.names.find("a") == 3000 and index._rows.names.find("aa") is None


def test_deleting_rows_deletes_their_names_metadata_and_vectors(index):
    kept = {n: (index.metadata(n), index.code(n).tolist()) for n in index.names if n != "d7"}
    index.delete(["d7"])
    assert "d7" not in index
    assert {n: (index.metadata(n), index.code(n).tolist()) for n in index.names} == kept


def test_a_deleted_name_can_be_added_again(index, rng):
    index.delete(["d7"])
    add_rows(index, [7], rng)
    assert index.names[-1] == "d7" and len(index) == 50


def test_an_unknown_name_is_refused_and_nothing_is_deleted(index):
    with pytest.raises(UsageError, match="name: 'x' is not in the index"):
        index.delete(["d1", "x"])
    assert len(index) == 50


def test_rows_added_after_others_were_deleted_are_found(index):
    index.delete([f"d{i}" for i in range(40, 50)])
    add_rows(index, range(100, 110), np.random.default_rng(1))
    assert all(index.search(index.code(n)[None], 1)[0][0].name == n for n in index.names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give n_bits for binary codes, or n_components for floats"),
        ({"n_bits": 8, "n_components": 3}, "give n_bits for binary codes, or n_components"),
        ({"n_bits": 12}, "n_bits: must be a multiple of 8, got 12"),
        ({"n_bits": 8, "kind": "hsah"}, r"unknown name 'hsah'.* Did you mean 'hash'\?"),
        (
            {"n_components": 3, "kind": "hnsw"},
            "an index of floats must be 'flat', got 'hnsw'",
        ),
        ({"n_bits": 8, "vector_width": -1}, "vector_width: must be an integer >= 0"),
        ({"n_bits": 8, "model_digest": 5}, "model_digest: must be a text, got 5"),
    ],
    ids=range(7),
)
def test_invalid_settings_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        Index.create(**arguments)


# Verifying


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_index_passes_verification(kind):
    report = small_index(kind=kind).verify()
    assert (report["rows"], report["kind"], report["sampled"]) == (50, kind, 50)
    assert report["recall"] == 1


def test_a_structure_that_finds_other_rows_is_noticed(index):
    other = np.random.default_rng(1).integers(0, 256, (50, 4), dtype=np.uint8)
    index._rows.codes.search(index.code("d0")[None], 1)
    flat = index._rows.codes._flat
    flat.prepare().reset()
    flat.prepare().add(other)
    with pytest.raises(ModelFileError, match="hash: finds other rows than a full scan"):
        index.verify()


@pytest.mark.parametrize("width", [2, 8, 100])
def test_a_valid_index_of_floats_passes_verification_and_keeps_its_codes_to_the_bit(
    width, tmp_path
):
    codes = np.random.default_rng(width).normal(size=(500, width)).astype(np.float32)
    names = [str(row) for row in range(500)]
    rows = Index.create(n_components=width)
    rows.add(names, codes)
    held = np.stack([rows.code(name) for name in names])
    for turn in range(3):
        assert rows.verify()["recall"] == 1
        rows.save(tmp_path / f"{turn}.index")
        rows = Index.load(tmp_path / f"{turn}.index")
        np.testing.assert_array_equal(np.stack([rows.code(name) for name in names]), held)


def test_the_number_of_a_deleted_row_is_never_reused(tmp_path):
    file = tmp_path / "numbered.index"
    index = Index.create(n_bits=8)
    assert index.next_number == 0
    index.add(["0", "7", "name", "9" * 40], np.zeros((4, 1), dtype=np.uint8))
    assert index.next_number == 8
    index.save(file)
    assert "deleted_below" not in read_artefact(file, kind="index").spec  # older versions read it
    index.delete(["7", "name"])
    for again in (index, pickle.loads(pickle.dumps(index))):
        assert again.next_number == 8
    index.save(file)
    index = Index.load(file)
    assert index.next_number == 8
    index.add(["8"], np.zeros((1, 1), dtype=np.uint8))
    index.delete(["0"])
    index.save(file)
    assert Index.load(file).next_number == 9
