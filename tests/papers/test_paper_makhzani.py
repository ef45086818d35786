"""The k-sparse paper's script end to end on a few images."""

from __future__ import annotations

import pytest

import papers


@pytest.fixture(scope="module")
def table(data_folder, tmp_path_factory) -> dict:
    return papers.table("makhzani2014-ksparse", tmp_path_factory.mktemp("ksparse"))


def test_codes_are_compared_with_pixels(table):
    pixels, codes, narrower = table["sparse"]
    assert narrower["k"] == 10 and codes["chosen"] + narrower["chosen"] == 1
    assert pixels["k"] is None and 0 < pixels["error"] < 0.5
    assert codes["k"] == 25 and 0 < codes["error"] < 0.9
    assert 0 < codes["l0"] <= 25 and codes["normalized_error"] > 0


def test_dictionaries_are_compared_with_the_published_errors(table):
    revived, plain = table["dictionary"]
    assert revived["revive"] > 0 and plain["revive"] == 0
    assert all(0 <= row["never_on_train"] <= 1 and 0 < row["l0"] <= 32 for row in (revived, plain))
    assert table["published_never_on"] == [0.07, 0.9]
