"""The experiment on capacity end to end, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from narrows.cli import run as cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("capacity")
    arguments = ["reproduce", "overcomplete-copying", "--preset", "smoke", "-o", str(folder)]
    assert cli(arguments) == 0
    return folder


def test_every_net_is_measured_at_every_width(folder):
    table = json.loads((folder / "table.json").read_text())
    assert [choice["choice"] for choice in table["choices"]] == [
        "denoising", "contractive", "sparse",
    ]  # fmt: skip
    rows = table["rows"]
    found = {(row["net"], row["width"]) for row in rows}
    names = ("plain", "denoising", "contractive", "sparse")
    assert found == {(name, width) for name in names for width in (8, 64)}
    assert all(0 < row["train"] and 0 < row["accuracy"] <= 1 for row in rows)


def test_the_picture_has_three_panels(folder):
    with Image.open(folder / "capacity.png") as picture:
        assert picture.width > 2 * picture.height
