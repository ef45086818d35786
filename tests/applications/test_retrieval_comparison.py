"""Retrieval by a code compared with linear baselines: measures, table, figure and command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from PIL import Image
from sklearn.decomposition import PCA

from narrows import Autoencoder
from narrows.applications.retrieval.baselines import (
    comparable_rows,
    lsa_codes,
    smoothed_codes,
    weighted,
)
from narrows.applications.retrieval.comparison import compare_retrieval
from narrows.applications.retrieval.metrics import measure_retrieval
from narrows.cli import run as cli
from narrows.errors import InvalidData, UsageError
from narrows.estimators.inputs import query_rows
from narrows.figures.retrieval import retrieval_figure


@pytest.fixture(scope="module")
def topics() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 5, 400)


@pytest.fixture(scope="module")
def counts(topics) -> sp.csr_array:
    """(400, 60) counts of words, of five topics."""
    rng = np.random.default_rng(0)
    words = rng.dirichlet(np.full(60, 0.1), 5)
    return sp.csr_array(rng.poisson(15 * words[topics] + 0.2).astype(np.float32))


@pytest.fixture(scope="module")
def compared(counts, topics):
    codes = np.eye(5)[topics] + 0.1
    return compare_retrieval(codes, counts, topics, every=4, cutoffs=(1, 7, 63))


def unsmoothed(compared) -> list[str]:
    """Return the names of the methods without those averaged over neighbors."""
    return [name for name in compared.results if "neighbors" not in name]


def test_the_methods_are_the_code_lsa_of_two_widths_and_tfidf(compared):
    assert unsmoothed(compared) == ["this model (5)", "LSA (5)", "LSA (50)", "TF-IDF (60)"]


def test_a_code_equal_to_the_class_has_precision_one(compared):
    assert compared.results["this model (5)"].precision[0] == 1.0


def test_all_methods_use_the_same_queries_and_base(compared):
    assert {(r.n_queries, r.n_base) for r in compared.results.values()} == {(100, 300)}


def test_the_baselines_are_fitted_on_the_base_alone(compared, counts, topics):
    query = np.zeros(400, dtype=bool)
    query[np.random.default_rng(0).choice(400, 100, replace=False)] = True
    base_codes, query_codes = lsa_codes(counts[~query], counts[query], n_components=50)
    base_rows, query_rows = weighted(counts[~query], counts[query], weighting="log_tfidf")
    for name, pair in (
        ("LSA (50)", (query_codes, base_codes)),
        ("TF-IDF (60)", (query_rows, base_rows)),
    ):
        expected = measure_retrieval(*pair, topics[query], topics[~query], cutoffs=(1, 7, 63))
        assert compared.results[name] == expected


def test_the_table_holds_and_explains_every_number(compared):
    table = compared.table()
    for result in compared.results.values():
        assert all(f"{value:.3f}" in table for value in result.precision)
    assert "100 queries (one row of 4, drawn at random) against 300 others" in table
    assert "fitted on those 300 others" in table


def test_the_table_counts_queries_without_a_relevant_row(counts):
    alone = np.arange(400)
    table = compare_retrieval(counts.toarray(), counts, alone, cutoffs=(1,)).table()
    assert "40 queries share no label with any row: they score 0" in table


def test_an_lsa_too_wide_for_the_rows_is_left_out(counts, topics):
    compared = compare_retrieval(np.eye(5)[topics], counts[:, :40], topics)
    assert unsmoothed(compared) == ["this model (5)", "LSA (5)", "TF-IDF (40)"]


def test_the_footer_names_only_the_methods_in_the_table(counts, topics):
    compared = compare_retrieval(np.eye(5)[topics], counts[:, :5], topics)
    assert list(compared.results) == ["this model (5)", "TF-IDF (5)"]
    assert "LSA" not in compared.table()
    assert "TF-IDF, of log(1 + count), was fitted on those 360 others" in compared.table()


def test_lsa_is_averaged_over_the_neighbors_that_suit_rows_of_the_base(compared, counts, topics):
    """The number is chosen on the base: other labels of the queries do not change it."""
    smoothed = [name for name in compared.results if "neighbors" in name]
    assert smoothed == ["LSA (5), 3 neighbors", "LSA (50), 10 neighbors"]
    query = np.zeros(400, dtype=bool)
    query[np.random.default_rng(0).choice(400, 100, replace=False)] = True
    wrong = np.where(query, np.random.default_rng(2).permutation(topics), topics)
    again = compare_retrieval(np.eye(5)[topics], counts, wrong, every=4, cutoffs=(1, 7, 63))
    assert list(again.results) == list(compared.results)
    base, queries = lsa_codes(counts[~query], counts[query], n_components=50)
    codes = smoothed_codes(base, queries, n_neighbors=10)
    expected = measure_retrieval(
        codes[1], codes[0], topics[query], topics[~query], cutoffs=(1, 7, 63)
    )
    assert compared.results["LSA (50), 10 neighbors"] == expected


def test_rows_other_than_counts_are_compared_with_pca_and_raw_rows(topics, rng):
    rows = rng.normal(size=(400, 6)).astype(np.float32)
    for other, counts in ((rows, True), (np.abs(rows), False), (sp.csr_array(np.abs(rows)), False)):
        compared = compare_retrieval(rows[:, :2], other, topics, counts=counts)
        assert list(compared.results) == ["this model (2)", "PCA (2)", "the rows (6)"]
        assert "PCA was fitted on those 360 others" in compared.table()


def test_pca_is_fitted_on_the_base_alone(topics, rng):
    rows = np.abs(rng.normal(size=(400, 6))) * [9, 5, 1, 1, 1, 1]
    compared = compare_retrieval(rows[:, :2], rows, topics, every=4, counts=False)
    query = np.zeros(400, dtype=bool)
    query[np.random.default_rng(0).choice(400, 100, replace=False)] = True
    pca = PCA(2).fit(rows[~query])
    expected = measure_retrieval(
        pca.transform(rows[query]), pca.transform(rows[~query]), topics[query], topics[~query]
    )
    assert compared.results["PCA (2)"].precision == pytest.approx(expected.precision)


@pytest.mark.parametrize(("scale", "std"), [("standard", 1), ("unit", None)])
def test_rows_other_than_counts_are_scaled_and_mean_imputed(rng, scale, std):
    rows = rng.normal(size=(60, 4)) * [1, 10, 100, 1000] + 5
    rows[3, 1] = np.nan
    settings = {"hidden": (8,), "max_epochs": 1, "scale": scale, "random_state": 0}
    settings["validation_fraction"] = 0.0
    ae = Autoencoder(2, corruption="missing:0.2", **settings).fit(rows)
    found = comparable_rows(*query_rows(ae, rows))
    there = np.delete(np.arange(60), 3)
    assert found[3, 1] == pytest.approx(found[there, 1].mean(), abs=1e-6)
    if std is not None:
        np.testing.assert_allclose(found[there].std(axis=0), std, rtol=0.05)
    counts = sp.csr_array(rng.poisson(1, (30, 6)).astype(np.float32))
    of_counts = Autoencoder(2, hidden=(8,), max_epochs=1, random_state=0).fit(counts)
    np.testing.assert_array_equal(
        comparable_rows(*query_rows(of_counts, counts)).toarray(), counts.toarray()
    )


def test_the_command_does_not_treat_a_nonnegative_table_as_counts(tmp_path, capsys, rng):
    rows = rng.random((60, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "y.npy", np.arange(60) % 3)
    Autoencoder(2, hidden=(8,), max_epochs=1, random_state=0).fit(rows).save(tmp_path / "m")
    command = ["evaluate", tmp_path / "m", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    assert cli([str(a) for a in (*command, "--retrieval", "--map", tmp_path / "m.png")]) == 0
    out = capsys.readouterr().out
    assert "PCA (2)" in out and "the rows (6)" in out and "PCA was fitted" in out
    assert "LSA" not in out and "TF-IDF" not in out


def test_queries_are_drawn_evenly_from_rows_sorted_by_class():
    """Queries of every class are drawn, although a fourth of the rows has the first class."""
    labels = np.arange(400) % 4
    codes = np.eye(4)[labels] * (labels == 0)[:, None] + 0.1
    result = compare_retrieval(codes, codes, labels, every=4, counts=False).results
    assert result["this model (4)"].precision[0] < 0.7


def test_packed_bits_are_measured_by_hamming_distance_with_fair_ties(counts, topics):
    bits = np.packbits(np.eye(5, dtype=bool)[topics], axis=1)
    result = compare_retrieval(bits, counts, topics).results["this model (8 bits)"]
    assert (result.distance, result.ties, result.precision[0]) == ("hamming", "random", 1.0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": np.ones((3, 2))}, InvalidData, "3 codes, 400 rows and 400 rows of labels"),
        ({"every": 1}, UsageError, "every: must be an integer >= 2, got 1"),
        ({"weighting": "none"}, UsageError, "weighting: unknown name 'none'"),
    ],
)
def test_inconsistent_arguments_are_refused(counts, topics, change, error, message):
    with pytest.raises(error, match=message):
        compare_retrieval(
            **{"codes": np.ones((400, 2)), "rows": counts, "labels": topics, **change}
        )


def test_a_single_row_is_refused(counts, topics):
    with pytest.raises(InvalidData, match="at least two rows"):
        compare_retrieval(np.ones((1, 2)), counts[:1], topics[:1])


def test_the_curve_has_a_line_and_a_name_for_every_method(compared):
    axis = retrieval_figure(compared.results).axes[0]
    assert [text.get_text() for text in axis.texts] == list(compared.results)
    for line, result in zip(axis.lines, compared.results.values(), strict=True):
        assert tuple(line.get_xdata()) == result.cutoffs
        assert tuple(line.get_ydata()) == result.precision


def test_names_of_lines_that_end_together_do_not_touch(compared):
    same = dict.fromkeys("abcd", compared.results["TF-IDF (60)"])
    axis = retrieval_figure(same).axes[0]
    places = sorted(text.xy[1] for text in axis.texts)
    assert np.diff(places).min() > 0.04 * axis.get_ylim()[1]


def test_names_follow_the_order_of_the_lines(compared):
    some = compared.results["TF-IDF (60)"]
    ends = {
        "model": (0.5, 0.4, 0.1),
        "low": (0.3, 0.2, 0.1),
        "high": (0.9, 0.8, 0.1),
        "top": (1, 1, 1),
    }
    lines = {k: replace(some, cutoffs=(1, 3, 7), precision=v) for k, v in ends.items()}
    axis = retrieval_figure(lines).axes[0]
    places = {text.get_text(): text.xy[1] for text in axis.texts}
    assert sorted(places, key=lambda name: places[name]) == ["low", "model", "high", "top"]
    assert places["model"] == pytest.approx(0.1)  # the middle one of three that end together
    assert places["top"] == 1


def test_the_first_line_does_not_hide_an_equal_line(compared):
    same = dict.fromkeys("abc", compared.results["TF-IDF (60)"])
    first, *others = retrieval_figure(same).axes[0].lines
    assert all(line.get_zorder() > first.get_zorder() for line in others)


def test_a_figure_without_results_is_refused():
    with pytest.raises(InvalidData, match="at least one"):
        retrieval_figure({})


@pytest.fixture(scope="module")
def files(tmp_path_factory, counts, topics):
    folder = tmp_path_factory.mktemp("retrieval")
    sp.save_npz(folder / "counts.npz", counts)
    (folder / "labels.txt").write_text("".join(f"topic {t}\n" for t in topics))
    settings = {"hidden": (16,), "scale": "proportions", "loss": "multinomial"}
    Autoencoder(3, max_epochs=3, random_state=0, **settings).fit(counts).save(folder / "m")
    return folder


def run(folder, *arguments) -> int:
    return cli(["evaluate", str(folder / "m"), str(folder / "counts.npz"), *map(str, arguments)])


def test_evaluate_prints_the_comparison_under_the_errors(files, capsys):
    assert run(files, "--retrieval", "--labels", files / "labels.txt") == 0
    out = capsys.readouterr().out
    assert out.index("squared error") < out.index("this model (3)") < out.index("TF-IDF (60)")
    assert "40 queries (one row of 10, drawn at random) against 360 others" in out


def test_evaluate_prints_the_comparison_as_json(files, capsys, topics, counts):
    labels = ("--retrieval", "--labels", files / "labels.txt", "--queries", "4", "--json")
    assert run(files, *labels) == 0
    values = json.loads(capsys.readouterr().out)
    methods = values["retrieval"]["methods"]
    unsmoothed = [name for name in methods if "neighbors" not in name]
    assert unsmoothed == ["this model (3)", "LSA (3)", "LSA (50)", "TF-IDF (60)"]
    assert methods["LSA (3)"]["n_queries"] == 100 and values["squared_error"] > 0


def test_evaluate_draws_the_curve(files, tmp_path, capsys):
    picture = tmp_path / "curve.png"
    labels = ("--retrieval", "--labels", files / "labels.txt", "--figure", picture)
    assert run(files, *labels) == 0
    assert f"figure: {picture}" in capsys.readouterr().out
    with Image.open(picture) as opened:
        assert np.asarray(opened.convert("L")).std() > 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--retrieval"], 2, "--retrieval and --map need --labels"),
        (["--labels", "labels.txt"], 2, "--labels needs --retrieval"),
        (["--queries", "3"], 2, "--queries needs --retrieval"),
        (["--figure", "x.png"], 2, "--figure needs --retrieval"),
        (["--retrieval", "--labels", "none.txt"], 3, "none.txt: no such file of labels"),
        (["--retrieval", "--labels", "short.txt"], 3, "labels of 2 rows, but the data have 400"),
        (["--retrieval", "--labels", "labels.txt", "--queries", "1"], 2, "'--queries'"),
        (["--retrieval", "--labels", "labels.txt", "--figure", "x.wrong"], 2, "written as"),
        (["--retrieval", "--labels", "labels.txt", "--figure", "labels.txt"], 2, "input"),
    ],
)
def test_the_command_refuses_invalid_arguments(
    files, arguments, code, message, capsys, monkeypatch
):
    monkeypatch.chdir(files)
    (files / "short.txt").write_text("a\nb\n")
    assert run(files, *arguments) == code
    out, err = capsys.readouterr()
    assert message in err and out == ""
