"""The code of documentation pages runs and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
_PRINTED = re.compile(r"^print\(.*\)  # (.+)$", re.M)


@pytest.mark.parametrize("page", ["custom_pieces.md"])
def test_the_code_of_a_page_runs_and_prints_the_shown_output(page, tmp_path):
    program = "\n".join(_BLOCK.findall((DOCS / page).read_text()))
    (tmp_path / "page.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == _PRINTED.findall(program)
