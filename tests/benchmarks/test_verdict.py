"""Errors, verdicts, the log and the report, on numbers made for them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from protocol.errors import Errors, jackknifed, mean_error
from protocol.log import Log
from protocol.report import BEGIN, END, comparisons, losses_table, report, rewritten
from protocol.verdict import judge


def errors(value: float, spread: float = 0.0) -> Errors:
    groups = value + spread * np.tile([1.0, -1.0], 10)
    return Errors(value, tuple(groups))


def test_pseudo_values_of_a_mean_are_the_means_of_the_groups(rng):
    each = rng.normal(size=200)
    found = mean_error(each)
    assert found.value == pytest.approx(each.mean())
    np.testing.assert_allclose(found.groups, each.reshape(10, 20).mean(axis=0))


def test_fewer_rows_than_groups_are_one_group_each():
    found = mean_error(np.array([1.0, 2.0, 6.0]))
    np.testing.assert_allclose(found.groups, [1, 2, 6])


def test_the_jackknife_finds_the_standard_error_of_a_root(rng):
    """The delta method: sd(e^2) / (2 root sqrt(n))."""
    squares = rng.chisquare(3, size=4000)
    found = jackknifed(lambda rows: math.sqrt(squares[rows].mean()), 4000)
    expected = squares.std() / (2 * found.value * math.sqrt(4000))
    assert np.std(found.groups, ddof=1) / math.sqrt(20) == pytest.approx(expected, rel=0.4)


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [(1.0, 2.0, "win"), (2.0, 1.0, "lose"), (1.0, 1.05, "tie"), (1.05, 1.0, "tie"),
     (1.0, 1.0, "tie")],
)  # fmt: skip
def test_a_verdict_needs_more_than_a_standard_error(ours, theirs, result):
    found = judge([(errors(ours, 0.5), errors(theirs))], draws=1)
    assert found.result == result
    assert found.standard_error == pytest.approx(0.5 * math.sqrt(20 / 19) / math.sqrt(20))
    assert found.ratio == pytest.approx(ours / theirs)


def test_errors_are_paired():
    """Rows that are hard for both methods do not count as uncertainty."""
    hard = np.tile([0.0, 10.0], 10)
    ours, theirs = Errors(5.1, tuple(hard + 0.1)), Errors(5.0, tuple(hard))
    assert judge([(ours, theirs)], draws=1).result == "lose"


def test_seeds_that_disagree_make_a_tie():
    pairs = [(errors(1.0), errors(2.0)), (errors(2.0), errors(1.0)), (errors(1.1), errors(1.0))]
    assert judge(pairs, draws=3).result == "tie"


def test_the_same_held_out_rows_count_once():
    pairs = [(errors(1.07, 0.4), errors(1.0))] * 3
    assert judge(pairs, draws=3).result == "lose"
    assert judge(pairs, draws=1).result == "tie"


def test_a_failed_estimator_loses_and_a_failed_rival_is_no_verdict():
    assert judge([(errors(1.0), errors(2.0)), (None, errors(2.0))], draws=2).result == "lose"
    assert judge([(errors(math.nan), errors(2.0))], draws=1).result == "lose"
    assert judge([(errors(1.0), None)], draws=1) is None


def record(method: str, seed: int, value: float, **more) -> dict:
    return {
        "half": "tuning", "use": "codes", "set": "iris", "size": 60, "seed": seed, "condition": "",
        "method": method, "test": seed, "role": "", "seconds": 1.0, "failure": None, "warnings": 1,
        "fits": 1, "features": 4, "scores": {"squared error": [value, [value] * 20]}, **more,
    }  # fmt: skip


@pytest.fixture
def log(tmp_path) -> Log:
    made = Log(tmp_path / "log.jsonl")
    made.add({"machine": ["A machine."]})
    for seed in (0, 1):
        for method, value in (("pca", 1.0), ("ppca", 3.0), ("plain", 2.0)):
            made.add(record(method, seed, value))
        made.add(record("tied", seed, 0.0, failure="ValueError: no | luck", scores={}))
    return made


def test_the_log_reads_what_it_wrote(log):
    again = Log(log.path)
    assert again.runs == log.runs and again.starts == log.starts
    assert ("codes", "iris", 60, 1, "", "plain") in again
    assert ("codes", "iris", 60, 2, "", "plain") not in again


def test_a_record_that_was_cut_is_repeated(log):
    whole = log.path.read_text()
    log.path.write_text(whole[:-30])
    again = Log(log.path)
    assert len(again.runs) == len(log.runs) - 1
    again.add(record("tied", 1, 4.0))
    assert len(Log(log.path).runs) == len(log.runs)


def test_the_report_has_every_comparison_and_every_loss(log):
    found = {(c.estimator, c.rival): c for c in comparisons(log)}
    results = {pair: c.verdict.result for pair, c in found.items()}
    assert results == {
        ("plain", "pca"): "lose", ("plain", "ppca"): "win",
        ("tied", "pca"): "lose", ("tied", "ppca"): "lose",
    }  # fmt: skip
    page = report(Log(log.path))
    assert "A machine." in page and "0 / 0 / 100 | 1" in page and "ValueError" in page
    losses = "\n".join(losses_table(comparisons(log)))
    assert losses.count("iris (tuning)") == 3
    assert "| plain | pca | squared error | 2 | 1 | 2.000 |" in losses
    assert losses in page


def test_only_the_losses_of_the_readme_are_rewritten(log):
    readme = f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    found = comparisons(log)
    once = rewritten(readme, found)
    assert once.startswith("# Before\n") and once.endswith(f"{END}\n\nafter\n")
    assert "old" not in once and "iris" in once
    assert rewritten(once, found) == once
    with pytest.raises(ValueError, match="lacks the line"):
        rewritten("nothing", found)


def test_records_are_one_line_each(log):
    lines = log.path.read_text().splitlines()
    assert len(lines) == 9
    assert all(isinstance(json.loads(line), dict) for line in lines)
