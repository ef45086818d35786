"""Precision of retrieval against loops from its definition; ties; error messages."""

from __future__ import annotations

import numpy as np
import pytest
import retrieval_oracle as oracle
import scipy.sparse as sp

from narrows.applications.retrieval.metrics import CUTOFFS, measure_retrieval
from narrows.errors import InvalidData, UsageError
from narrows.neighbors import ranking

SOME = (1, 3, 7, 15, 31)
BASE = 1500  # enough rows for a bound on the scores of the nearest, with ``bounded``


@pytest.fixture(params=["dense", "csr", "bits"])
def codes(request, rng):
    """Queries (23, width) and a base (BASE, width) of each kind, with many ties.

    Rows of numbers have four ones of eight, or none, so that cosines are exact in float32.
    """
    if request.param == "bits":
        return rng.integers(0, 8, (23, 2), dtype=np.uint8), rng.integers(0, 8, (BASE, 2), np.uint8)
    half = np.repeat([[0, 1]], 4, axis=1) * (rng.random((23 + BASE, 1)) < 0.9)
    queries, base = np.split(rng.permuted(half, axis=1), [23])
    if request.param == "csr":
        return sp.csr_array(queries), sp.csr_matrix(base)
    return queries.astype(np.float32), base.astype(np.float32)


@pytest.fixture(params=["single", "several"])
def labels(request, rng):
    if request.param == "single":
        return rng.integers(0, 4, 23), rng.integers(0, 4, BASE)
    return tuple(sp.csr_array(rng.random((n, 150)) < 0.01) for n in (23, BASE))


@pytest.fixture
def bounded(monkeypatch):
    """Small tiles and samples, so that a small base covers every code path of a large one."""
    monkeypatch.setattr(ranking, "_TILE", 64)
    monkeypatch.setattr(ranking, "_SAMPLED", 4)
    monkeypatch.setattr(ranking, "_MAX_BLOCK", 7)


def dense(codes):
    return [part.toarray() if sp.issparse(part) else part for part in codes]


def expected_precision(codes, labels, cutoffs):
    found = oracle.rankings(*dense(codes), *labels)
    return np.mean([[oracle.precision(hits, k) for k in cutoffs] for _, hits in found], axis=0)


def test_precision_matches_a_loop_over_queries(codes, labels, bounded):
    measured = measure_retrieval(*codes, *labels, cutoffs=SOME)
    np.testing.assert_allclose(measured.precision, expected_precision(codes, labels, SOME))


def test_precision_at_100_matches_a_loop_over_queries(codes, labels):
    measured = measure_retrieval(*codes, *labels)
    (expected,) = expected_precision(codes, labels, (100,))
    assert measured.precision_at_100 == pytest.approx(expected)


def test_random_ties_give_the_mean_over_all_orders(rng):
    queries, base = rng.integers(0, 4, (9, 1), np.uint8), rng.integers(0, 4, (7, 1), np.uint8)
    labels = rng.integers(0, 2, 9), rng.integers(0, 2, 7)
    measured = measure_retrieval(queries, base, *labels, cutoffs=(1, 2, 3, 5), ties="random")
    found = list(oracle.rankings(queries, base, *labels))
    for k, value in zip(measured.cutoffs, measured.precision, strict=True):
        each = [oracle.over_all_orders(oracle.precision, *one, k) for one in found]
        assert value == pytest.approx(np.mean(each))


def test_random_ties_do_not_depend_on_the_order_of_the_base(codes, labels, rng, bounded):
    order = rng.permutation(BASE)
    there, here = (
        measure_retrieval(codes[0], codes[1][o], labels[0], labels[1][o], ties="random",
                          cutoffs=SOME).precision
        for o in (order, np.arange(BASE))
    )  # fmt: skip
    np.testing.assert_allclose(there, here)


def test_equal_codes_are_ranked_by_row_number(bounded):
    base = np.zeros((BASE, 1), np.uint8)
    first_is_relevant = np.r_[1, np.zeros(BASE - 1, int)]
    measured = measure_retrieval(base[:3], base, [1, 1, 1], first_is_relevant, cutoffs=(1, 2))
    assert measured.precision == (1.0, 0.5)


def test_queries_without_any_relevant_row_are_counted_and_count_zero():
    base = np.eye(3)
    measured = measure_retrieval(base[:2], base, ["a", "z"], ["a", "b", "b"], cutoffs=(1,))
    assert measured.n_without_relevant == 1
    assert measured.precision == (0.5,)


def test_rows_without_a_label_are_relevant_to_nothing():
    none = sp.csr_array((4, 3), dtype=bool)
    measured = measure_retrieval(np.eye(4), np.eye(4), none, none, cutoffs=(1,))
    assert measured.precision == (0.0,) and measured.n_without_relevant == 4


def test_a_stored_zero_is_not_a_label():
    stored = sp.csr_array((np.array([0, 1]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    base = sp.csr_array([[1, 0], [0, 1]])
    measured = measure_retrieval(np.ones((1, 2)), np.eye(2), stored, base, cutoffs=(2,))
    assert measured.precision == (0.5,)


def test_cutoffs_beyond_the_base_are_left_out(codes, labels):
    measured = measure_retrieval(codes[0], codes[1][:40], labels[0], labels[1][:40])
    assert measured.cutoffs == (1, 3, 7, 15, 31)
    assert measured.precision_at_100 is None


def test_precision_by_cosine_does_not_depend_on_the_lengths_of_rows(rng):
    base, labels = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    longer = base * 2.0 ** rng.integers(-900, 900, (50, 1))
    plain = measure_retrieval(base[:9], base, labels[:9], labels)
    assert measure_retrieval(longer[:9], longer, labels[:9], labels) == plain


def bounds_tried(monkeypatch) -> list[bool]:
    """Return a list that records, for each bound, whether enough rows reached it."""
    tried = []
    above = ranking._Block._above

    def spied(self, *arguments):
        found = above(self, *arguments)
        tried.append(found is not None)
        return found

    monkeypatch.setattr(ranking._Block, "_above", spied)
    return tried


@pytest.mark.parametrize(
    ("near", "expected"), [(0, [True]), (50, [False, True]), (90, [False, False])]
)
def test_a_bound_that_too_few_rows_reach_is_dropped(rng, bounded, monkeypatch, near, expected):
    """``near`` rows, all of them in the sample (every 4th row), are nearer than all others."""
    angles = rng.uniform(1, 2, BASE)
    angles[: 4 * near : 4] = 0
    base, labels = np.stack([np.cos(angles), np.sin(angles)], axis=1), rng.integers(0, 3, BASE)
    tried = bounds_tried(monkeypatch)
    measured = measure_retrieval(np.array([[1.0, 0.0]]), base, [1], labels, cutoffs=SOME)
    assert tried == expected
    found = expected_precision((np.array([[1.0, 0.0]]), base), ([1], labels), SOME)
    np.testing.assert_allclose(measured.precision, found)


def test_the_result_can_be_written_as_json(codes, labels):
    import json

    measured = measure_retrieval(*codes, *labels, cutoffs=np.array(CUTOFFS))
    assert json.loads(json.dumps(measured.as_dict()))["n_queries"] == 23


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": np.zeros((3, 5))}, r"of the same width, got \(3, 5\) and \(4, 2\)"),
        ({"queries": np.zeros((3, 2), np.uint8)}, "must be of the same kind"),
        ({"queries": sp.csr_array((3, 2))}, "must be of the same kind"),
        ({"queries": np.array([[0, 0], [0, np.nan], [0, 0]])}, "finite, row 1 is not"),
        ({"base": np.full((4, 2), np.inf)}, "base: codes must be finite, row 0"),
        ({"queries": np.array([["a", "b"]] * 3)}, "codes must be numbers"),
        ({"query_labels": [1, 2]}, "queries: 3 rows of codes, but labels of 2 rows"),
        ({"base_labels": sp.csr_array((4, 2))}, "both be one per row, or both sparse"),
        ({"query_labels": ["a", "b", "c"]}, "numbers for one of queries and base, strings"),
        ({"query_labels": [1, np.nan, 2]}, "query_labels: NaN at row 1"),
        ({"query_labels": np.zeros((3, 2))}, r"one label per row.*got \(3, 2\)"),
        (
            {"query_labels": sp.csr_array((3, 2)), "base_labels": sp.csr_array((4, 3))},
            "same labels, got 2 for the queries and 3",
        ),
        ({"queries": np.zeros((0, 2)), "query_labels": []}, "at least one of each"),
    ],
)
def test_an_error_names_the_data_that_do_not_fit(change, message):
    given = {"queries": np.ones((3, 2)), "base": np.ones((4, 2)), "query_labels": [1, 2, 3],
             "base_labels": [1, 2, 3, 4], **change}  # fmt: skip
    with pytest.raises(InvalidData, match=message):
        measure_retrieval(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutoffs": (0,)}, "cutoffs: must be an integer >= 1, got 0"),
        ({"ties": "rows"}, "ties: unknown name 'rows'.*Did you mean 'row'"),
    ],
)
def test_an_error_names_the_invalid_argument(options, message):
    with pytest.raises(UsageError, match=message):
        measure_retrieval(np.ones((3, 2)), np.ones((4, 2)), [1, 2, 3], [1, 2, 3, 4], **options)
