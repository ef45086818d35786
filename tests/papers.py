"""Run the papers' scripts in the test process, since a new process takes seconds to start.

That ``narrows reproduce`` starts one is tested in test_paper_overcomplete.py.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from narrows.cli.choosing import Leak, Study
from narrows.data.readers import idx

PAPERS = Path(__file__).parents[1] / "papers"


def table(paper: str, folder: Path, *, preset: str = "smoke") -> dict[str, Any]:
    """Run a paper's script as ``narrows reproduce`` does; return its table, also in ``folder``.

    It must make choices, and read test files through a ``Study`` alone.
    """
    with watched() as events:
        found = table_of(PAPERS / paper.replace("-", "_") / "run.py", folder, preset=preset)
    assert len(found["choices"]) == len([event for event in events if event != "test"]) > 0
    assert events[0] != "test" and events[-1] == "test"
    return found


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Record the names of choices, and "test" for each test half that is opened, in order.

    Raises Leak where MNIST's or Fashion-MNIST's file of test images is read, but not by a study.
    """
    events: list[str] = []
    opening: list[bool] = []
    choose, test, read = Study.choose, Study.test, idx.read_idx_array

    def watched_choose(self: Study, name: str, *arguments: Any, **more: Any) -> Any:
        chosen = choose(self, name, *arguments, **more)
        events.append(name)
        return chosen

    def watched_test(self: Study) -> Any:
        opening.append(True)
        try:
            rows = test(self)
        finally:
            opening.pop()
        events.append("test")
        return rows

    def watched_read(path: Path) -> Any:
        if "t10k" in path.name and not opening:
            raise Leak(f"{path.name}: read without a study.")
        return read(path)

    with (
        mock.patch.object(Study, "choose", watched_choose),
        mock.patch.object(Study, "test", watched_test),
        mock.patch.object(idx, "read_idx_array", watched_read),
    ):
        yield events


def table_of(script: Path, folder: Path, *, preset: str = "smoke") -> dict[str, Any]:
    """Run a script and return its table, also in ``folder``."""
    arguments = [str(script), "--preset", preset, "-o", str(folder)]
    path = [str(script.parent), *sys.path]
    with mock.patch.object(sys, "argv", arguments), mock.patch.object(sys, "path", path):
        runpy.run_path(str(script), run_name="__main__")
    return json.loads((folder / "table.json").read_text())


def module(path: str) -> ModuleType:
    """Return a file of ``papers/`` as a module, under the name of its path."""
    name = Path(path).with_suffix("").as_posix().replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, PAPERS / path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # where dataclasses look up their module
    with mock.patch.object(sys, "path", [str((PAPERS / path).parent), *sys.path]):
        spec.loader.exec_module(loaded)
    return loaded
