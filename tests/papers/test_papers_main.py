"""Errors of the papers' scripts: output folders, seeds and interrupts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from narrows.cli.paper import main


def code_of(monkeypatch, run: Any, *arguments: str) -> Any:
    """Return the exit code of a script that runs ``run``; None if it returns normally."""
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    try:
        main(run, str, presets=["fast"], description=None)
    except SystemExit as left:
        return left.code
    return None


def test_an_invalid_output_folder_is_named_before_any_work(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    output = ["-o", str(tmp_path / "file")]
    assert code_of(monkeypatch, lambda *_: pytest.fail("it ran"), *output) == 5
    assert "File exists" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_still_printed(monkeypatch, tmp_path, capsys):
    def run(preset: str, seed: int, folder: Path | None) -> dict[str, Any]:
        assert folder is not None
        (folder / "table.json").mkdir()
        return {"answer": 42}

    assert code_of(monkeypatch, run, "-o", str(tmp_path), "--json") == 5
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"answer": 42}
    assert "table.json" in printed.err


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_an_invalid_seed_is_refused(monkeypatch, seed, capsys):
    assert code_of(monkeypatch, lambda *_: pytest.fail("it ran"), "--seed", seed) == 2
    assert "--seed" in capsys.readouterr().err


def test_ctrl_c_leaves_without_a_traceback(monkeypatch, capsys):
    def run(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    assert code_of(monkeypatch, run) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
