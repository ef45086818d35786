"""A fast run of the measurement, and its command line."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from protocol.log import Log
from protocol.report import BEGIN, END
from protocol.runs import Choice, cells, run
from protocol.sets import LOCKED, SETS, TUNING
from protocol.splits import SIZES
from protocol.uses import USES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BUILT_IN = [name for name in TUNING if not SETS[name].files]


def command(*arguments: str) -> None:
    script = str(BENCHMARKS / "defaults.py")
    with mock.patch.object(sys, "argv", [script, *arguments]):
        runpy.run_path(script, run_name="__main__")


def no_estimator_failed(log: Log) -> None:
    failures = {(r["use"], r["method"]): r["failure"] for r in log.runs.values() if r["failure"]}
    assert not failures


def test_built_in_sets_run_without_a_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("NARROWS_DATA", raising=False)
    log, lines = Log(tmp_path / "log.jsonl"), []
    uses = ("codes", "denoising", "matching")
    run(Choice(uses=uses, sets=BUILT_IN, fast=True), log, say=lines.append)
    no_estimator_failed(log)
    assert {record["use"] for record in log.runs.values()} == set(uses)
    assert len(lines) == len(log.runs)
    assert all(r["fits"] > 0 for r in log.runs.values() if r["role"] == "estimator")
    run(Choice(uses=uses, sets=BUILT_IN, fast=True), log, say=lines.append)
    assert len(lines) == len(log.runs)  # nothing ran twice


def test_a_fast_run_of_all_uses(data_folder, tmp_path):
    log = Log(tmp_path / "log.jsonl")
    run(Choice(fast=True), log, say=lambda line: None)
    no_estimator_failed(log)
    assert {record["use"] for record in log.runs.values()} == set(USES)
    for name, use in USES.items():
        ran = {record["method"] for record in log.runs.values() if record["use"] == name}
        assert ran >= set(use.estimators) - {"convolutional"}


def test_a_failure_is_recorded_and_the_run_goes_on(tmp_path, monkeypatch):
    from sklearn.decomposition import PCA

    def refuse(*_, **__):
        warnings.warn("soon", stacklevel=1)
        raise ValueError("no luck")

    monkeypatch.setattr(PCA, "fit", refuse)
    log = Log(tmp_path / "log.jsonl")
    run(Choice(uses=["denoising"], sets=["iris"], fast=True), log, say=lambda line: None)
    records = {record["method"]: record for record in log.runs.values()}
    assert records["pca"]["failure"] == "ValueError: no luck"
    assert records["pca"]["warnings"] == 1
    assert records["ridge"]["scores"] and not records["ridge"]["failure"]


def test_a_time_limit_stops_between_runs(tmp_path):
    log, lines = Log(tmp_path / "log.jsonl"), []
    run(Choice(uses=["codes"], sets=["iris"]), log, say=lines.append, until=0.0)
    assert lines == ["The time limit is reached; the same command continues."]
    assert not log.runs


def test_cells_are_ordered_from_few_rows_to_many():
    found = list(cells(Choice(uses=["codes", "denoising"], sets=["iris", "breast_cancer"])))
    steps = [int(np.searchsorted(SIZES, cell.size)) for cell in found]
    assert steps == sorted(steps)
    assert {c.seed for c in found} == {0, 1, 2}


def test_the_command_writes_a_report(tmp_path, capsys):
    readme, page = tmp_path / "README.md", tmp_path / "page.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    arguments = ["--use", "denoising", "--set", "iris", "--sizes", "30", "--seeds", "1",
                 "--log", str(tmp_path / "log.jsonl"), "--output", str(page),
                 "--readme", str(readme)]  # fmt: skip
    command(*arguments)
    assert capsys.readouterr().out.count("denoising iris 30 0") == 5
    assert "## Summary" in page.read_text() and "Machine:" in page.read_text()
    command(*arguments, "--report-only")
    assert not capsys.readouterr().out


def test_locked_sets_run_only_if_asked_for(capsys):
    with pytest.raises(SystemExit):
        command("--set", "wine", "--list")
    assert "not in the tuning half: wine" in capsys.readouterr().err
    command("--list")
    assert not {word.rstrip(",") for word in capsys.readouterr().out.split()} & LOCKED
    command("--half", "locked", "--list")
    assert "wine" in capsys.readouterr().out


def test_the_readme_has_a_place_for_the_losses():
    readme = (BENCHMARKS / "README.md").read_text()
    assert readme.count(BEGIN) == 1 and readme.count(END) == 1
