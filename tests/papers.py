"""Run the papers' scripts in the test process, since a new process takes seconds to start.

That ``narrows reproduce`` starts one is tested in test_paper_overcomplete.py.
"""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

PAPERS = Path(__file__).parents[1] / "papers"


def table(paper: str, folder: Path, *, preset: str = "smoke") -> dict[str, Any]:
    """Run a paper's script as ``narrows reproduce`` does; return its table, also in ``folder``."""
    script = PAPERS / paper.replace("-", "_") / "run.py"
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
