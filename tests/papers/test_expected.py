"""``[best]`` of every expected.toml against the recorded result and the README.

A figure names a row of the table (``at``, where ``part`` is a table within the table), a column,
and the number as the README prints it; ``times`` converts units. ``run.py --preset best --record``
writes the result that it is compared with.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from papers import PAPERS

FOLDERS = sorted(script.parent for script in PAPERS.glob("*/run.py"))

NOT_RECORDED = {
    "code_convergence",
    "code_few_labels",
    "fashion_matching",
    "ghosh2020_generation",
    "hinton2006_digits",
    "hinton2006_documents",
    "inpainting",
    "kingma2014_few_labels",
    "makhzani2014_ksparse",
    "nuclei_segmentation",
    "overcomplete_copying",
    "rifai2011_contractive",
    "salakhutdinov2007_semantic_hashing",
    "vincent2010_table3",
}
"""Papers whose figures come from runs before the settings were chosen on training rows: they have
no recorded result, and their README says so. A recorded result takes its paper off this list."""


def best(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "expected.toml").read_text())["best"]


def value_at(table: dict[str, Any], figure: dict[str, Any]) -> float:
    """Return the table's value of a figure, in the README's unit."""
    at = dict(figure["at"])
    part = at.pop("part", None)
    rows = table if part is None else table[part]
    rows = rows.get("rows", rows) if isinstance(rows, dict) else rows
    rows = [rows] if isinstance(rows, dict) else rows
    found = [row for row in rows if all(row.get(key) == value for key, value in at.items())]
    assert len(found) == 1, f"{figure['at']}: {len(found)} rows"
    return found[0][figure["column"]] * figure.get("times", 1)


def broken(table: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return what in a table differs from the expected figures or is beyond their bounds."""
    found = []
    for figure in expected["figures"]:
        value, text = value_at(table, figure), figure["readme"]
        digits = len(text.partition(".")[2])
        if abs(value - float(text)) > 0.5001 * 10**-digits:
            found.append(f"{figure['at']}, {figure['column']}: {value:.{digits}f}, not {text}")
        if not figure.get("at_least", value) <= value <= figure.get("at_most", value):
            found.append(f"{figure['at']}, {figure['column']}: {value} is out of bounds")
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_readme_has_the_expected_figures_within_their_bounds(folder):
    text = (folder / "README.md").read_text()
    for figure in best(folder)["figures"]:
        printed = figure["readme"]
        assert re.search(rf"(?<![\d.]){re.escape(printed)}(?!\d)", text), figure
        value = float(printed)
        assert figure.get("at_least", value) <= value <= figure.get("at_most", value), figure


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_recorded_result_agrees_and_has_its_choices(folder):
    path = folder / "results/best.json"
    if not path.is_file():
        assert folder.name in NOT_RECORDED
        pytest.skip(f"{folder.name}: not recorded")
    table = json.loads(path.read_text())
    assert table["choices"] and not broken(table, best(folder))


def test_the_list_of_papers_without_a_recorded_result_is_complete():
    missing = {f.name for f in FOLDERS if not (f / "results/best.json").is_file()}
    assert missing == NOT_RECORDED


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_readme_says_how_settings_are_chosen_and_whether_the_figures_are_recorded(folder):
    text = " ".join((folder / "README.md").read_text().split())
    assert "`run.py` chooses" in text
    assert ("not been measured again" in text) == (folder.name in NOT_RECORDED)


def test_a_table_that_differs_is_noticed():
    expected = {
        "figures": [
            {"at": {"name": "net"}, "column": "test", "readme": "1.75", "at_most": 1.8},
            {"at": {"part": "sub", "k": 3}, "column": "share", "readme": ".5", "times": 10},
        ]
    }
    table = {"rows": [{"name": "net", "test": 1.752}], "sub": [{"k": 3, "share": 0.0512}]}
    assert not broken(table, expected)
    table["rows"][0]["test"] = 1.76
    assert len(broken(table, expected)) == 1
    table["rows"][0]["test"] = 1.81
    assert len(broken(table, expected)) == 2
    with pytest.raises(AssertionError, match="0 rows"):
        broken({"rows": [], "sub": []}, expected)


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_published_figures_say_whether_their_source_was_opened(folder):
    text = (folder / "expected.toml").read_text()
    if numbers_in(tomllib.loads(text).get("published", {})):
        assert "source not opened" in text
        assert "source not opened" in (folder / "README.md").read_text()


def test_the_main_readme_marks_every_published_figure():
    text = (PAPERS.parent / "README.md").read_text()
    assert "quoted; source not opened" in text
    places = re.findall(r"published[^\d|]{0,15}([\d.]+%?)(\*?)(?: and ([\d.]+%?)(\*?))?", text)
    assert len(places) >= 6
    assert all(star and (star_2 or not second) for _, star, second, star_2 in places), places
