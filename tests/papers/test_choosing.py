"""Settings are chosen before the test half is read; planted leaks are caught."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import papers
from narrows.cli.choosing import Leak, Study, choice_lines, validation_split

SCRIPTS = sorted(papers.PAPERS.glob("*/run.py"))

HONEST = """
from narrows.cli.choosing import Study
from narrows.cli.paper import main
from narrows.data.datasets import load_half

def run(preset, seed, output):
    x, y = load_half("mnist", "train")
    study = Study(lambda: load_half("mnist", "test"), choices=["threshold", "side"])
    {first}
    level = study.choose("threshold", {{"1": 1.0, "2": 2.0}}, lambda level: {error})
    {second}
    study.choose("side", {{"left": 0, "right": 1}}, lambda side: side)
    return {{"mean": float(study.test()[0].mean()), "choices": study.record}}

main(run, str, presets=["smoke"], description=None)
"""


def planted(folder: Path, *, first: str = "pass", error: str = "level", second: str = "pass"):
    """Run a script with these lines before, in and after its first choice."""
    script = folder / "run.py"
    script.write_text(HONEST.format(first=first, error=error, second=second))
    with papers.watched() as events:
        table = papers.table_of(script, folder)
    return table, events


def test_a_script_without_a_leak_runs(data_folder, tmp_path):
    table, events = planted(tmp_path)
    assert events == ["threshold", "side", "test"]
    assert table["choices"][0] == {
        "choice": "threshold", "chosen": "1", "unit": "validation error",
        "validation": {"1": 1.0, "2": 2.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "leak",
    [
        {"first": "study.test()"},
        {"error": "level * study.test()[0].mean()"},
        {"second": "study.test()"},
        {"first": 'load_half("mnist", "test")'},
        {"error": 'level * load_half("mnist", "test")[0].mean()'},
    ],
    ids=["before", "in the error", "between two choices", "around the study", "around, in error"],
)
def test_a_planted_leak_is_caught(data_folder, tmp_path, leak):
    with pytest.raises(Leak, match="test half was read before|without a study"):
        planted(tmp_path, **leak)


def test_no_choice_is_possible_after_the_test_half_was_read():
    study = Study(lambda: "test rows", choices=["a"])
    study.choose("a", {"x": 1, "y": 0}, float)
    assert study.test() == "test rows"
    with pytest.raises(Leak, match="a: chosen after the test half was read"):
        study.choose("a", {"x": 1, "y": 0}, float)


def test_the_smallest_finite_error_is_chosen_and_all_are_recorded():
    study = Study(lambda: None, choices=["a"])
    errors = {"none": float("nan"), "low": 1.0, "also low": 1.0, "high": 2.0}
    assert study.choose("a", errors, lambda e: e, unit="points") == 1.0
    assert study.record[0]["chosen"] == "low"
    line = "a: low (points: none failed, low 1, also low 1, high 2)"
    assert choice_lines(study.record) == [line]


@pytest.mark.parametrize(
    ("name", "candidates", "message"),
    [
        ("b", {"x": 1, "y": 2}, "not among the open choices"),
        ("a", {"x": 1}, "at least two candidates"),
        ("a", {"x": np.nan, "y": np.inf}, "no candidate has a finite error"),
    ],
)
def test_an_invalid_choice_is_refused(name, candidates, message):
    with pytest.raises(ValueError, match=message):
        Study(lambda: None, choices=["a"]).choose(name, candidates, float)


def test_a_study_without_choices_is_refused():
    with pytest.raises(ValueError, match="at least one choice"):
        Study(lambda: None, choices=[])


def test_validation_rows_are_a_seeded_share_of_every_class():
    y = np.repeat([0, 1, 2], [60, 30, 1])
    fit, validation = validation_split(len(y), seed=0, y=y)
    np.testing.assert_array_equal(np.sort(np.r_[fit, validation]), np.arange(len(y)))
    assert np.bincount(y[validation], minlength=3).tolist() == [10, 5, 0]
    np.testing.assert_array_equal(validation, validation_split(len(y), seed=0, y=y)[1])
    assert not np.array_equal(validation, validation_split(len(y), seed=1, y=y)[1])
    with pytest.raises(ValueError, match="leave one part empty"):
        validation_split(2, seed=0)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.parent.name)
def test_every_script_reads_test_rows_through_a_study_alone(script):
    """Their order is checked where they run: ``papers.table`` watches every run."""
    text = script.read_text()
    assert "load_images" not in text and "Study(" in text and '"choices": ' in text
    # the test half is loaded in functions that a study calls
    assert not re.search(r'^ +[\w, ]+ = [\w.]*load_half\([^)]*"test"', text, re.M)
    name = script.parent.name.replace("_", "-")
    tests = Path(__file__).parent.glob("test_paper*.py")
    assert any(f'"{name}"' in test.read_text() for test in tests), "no test runs it"
