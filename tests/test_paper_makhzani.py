"""The k-sparse paper's script end to end on a few images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from narrows.cli import _run


@pytest.fixture(scope="module")
def table(data_folder, tmp_path_factory) -> dict:
    folder: Path = tmp_path_factory.mktemp("ksparse")
    arguments = ["reproduce", "makhzani2014-ksparse", "--preset", "smoke", "-o", str(folder)]
    assert _run(arguments) == 0
    return json.loads((folder / "table.json").read_text())


def test_codes_are_measured_beside_pixels(table):
    pixels, codes = table["sparse"]
    assert pixels["k"] is None and 0 < pixels["error"] < 0.5
    assert codes["k"] == 25 and 0 < codes["error"] < 0.9
    assert 0 < codes["l0"] <= 25 and codes["normalised_error"] > 0


def test_dictionaries_stand_beside_the_published_shares(table):
    revived, plain = table["dictionary"]
    assert revived["revive"] > 0 and plain["revive"] == 0
    assert all(0 <= row["never_on_train"] <= 1 and 0 < row["l0"] <= 32 for row in (revived, plain))
    assert table["published_never_on"] == [0.07, 0.9]
