"""The experiment on inpainting end to end on a few images, and its nearest-row fills."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import papers
from narrows.applications.filling.baseline_fills import nearest_fill, neighbors_fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inpainting")


@pytest.fixture(scope="module")
def table(data_folder, folder) -> dict:
    return papers.table("inpainting", folder)


def test_the_experiment_has_every_fill_for_both_masks(table, folder):
    rows = table["rows"]
    assert {row["mask"] for row in rows} == {"quadrant", "missing:0.5"}
    fills = [row["fill"] for row in rows if row["mask"] == "quadrant"]
    assert fills[0] == "mean" and len(fills) == len(set(fills)) == 9
    assert rows[0]["of mean fill"] == 1 and all(0 < row["error"] < 0.2 for row in rows)
    assert (folder / "digits-quadrant.png").is_file()


def test_nets_are_compared_with_baseline_fills(table):
    fills = {(row["mask"], row["fill"].partition(" (k")[0]) for row in table["rows"]}
    for mask in ("quadrant", "missing:0.5"):
        for fill in ("mean", "nearest row", "mean of the nearest rows", "plain net, code"):
            assert (mask, fill) in fills


def test_the_number_of_nearest_rows_is_chosen_for_each_mask(table):
    chosen = [choice for choice in table["choices"] if "nearest rows" in choice["choice"]]
    assert [choice["choice"] for choice in chosen] == [
        "digits: nearest rows, quadrant", "digits: nearest rows, missing:0.5",
    ]  # fmt: skip
    assert all(set(c["validation"]) >= {"1 rows", "10 rows"} for c in chosen)


def test_hidden_values_are_the_mean_of_the_rows_nearest_by_known_values(rng):
    x, rows = (torch.from_numpy(rng.normal(size=(n, 6))) for n in (5, 40))
    hidden = torch.from_numpy(rng.random((5, 6)) < 0.4)
    found = neighbors_fill(torch.where(hidden, torch.nan, x), hidden, rows, k=3)
    for i in range(5):
        known = ~hidden[i]
        apart = np.square((rows - x[i])[:, known].numpy()).sum(axis=1)
        mean = rows[np.argsort(apart)[:3]].mean(dim=0)
        torch.testing.assert_close(found[i], torch.where(hidden[i], mean, x[i]))
    torch.testing.assert_close(neighbors_fill(x, hidden, rows, k=1), nearest_fill(x, hidden, rows))
