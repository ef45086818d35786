"""Masks are paired with images by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from narrows.data.readers.masks import places_by_name, read_mask_file
from narrows.errors import InvalidData, PairingWarning


def named(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def places(tmp_path, images, masks) -> list[int]:
    return places_by_name(named(tmp_path / "i", images), named(tmp_path / "m", masks)).tolist()


@pytest.mark.parametrize(
    "pattern",
    ["{}.png", "{}_mask.png", "mask_{}.png", "{}-512x512.png", "masks/{}.png", "{}_2.png"],
)
def test_masks_are_paired_by_name_in_any_order(pattern, tmp_path):
    numbers = ["img1", "img10", "img12", "img2"]
    found = places(tmp_path, [f"{n}.jpg" for n in numbers], [pattern.format(n) for n in numbers])
    paths = sorted((tmp_path / "m").rglob("*.png"))
    masks = [str(path.relative_to(tmp_path / "m")) for path in paths]
    assert [masks[i] for i in found] == [pattern.format(n) for n in numbers]


def test_img10_mask_sorts_before_img1_mask_and_is_paired_with_img10(tmp_path):
    assert places(tmp_path, ["img1.png", "img10.png"], ["img1_m.png", "img10_m.png"]) == [1, 0]


def test_equal_names_in_different_folders_are_distinguished(tmp_path):
    both = ["cat/0.png", "dog/0.png", "dog/1.png"]
    assert places(tmp_path, both, both) == [0, 1, 2]
    with pytest.raises(InvalidData, match="2 of 3 masks"):
        places(tmp_path / "x", both, ["cat/0.png", "cat/1.png", "dog/0.png"])


@pytest.mark.parametrize("end", ["", "_mask"])
def test_one_missing_and_one_too_many_are_refused(end, tmp_path):
    images = [f"i{i:02}.png" for i in range(12)]
    masks = [f"i{i:02}{end}.png" for i in range(1, 13)]
    message = f"11 of 12 .* image 'i00' would go with mask 'i01{end}'. Give every mask the name"
    with pytest.raises(InvalidData, match=message):
        places(tmp_path, images, masks)


def test_unrelated_names_are_paired_in_order_with_a_warning(tmp_path):
    images, masks = ["a.png", "b.png", "c.png"], ["1001.png", "1002.png", "1003.png"]
    with pytest.warns(PairingWarning, match="0 of 3 masks .* image 'a' would go with mask '1001'"):
        assert places(tmp_path, images, masks) == [0, 1, 2]


def test_a_name_that_is_a_prefix_of_all_others(tmp_path):
    images, masks = ["scan.png", "scan_2.png"], ["scan_mask.png", "scan_2_mask.png"]
    assert places(tmp_path, images, masks) == [1, 0]


def test_masks_are_read_in_the_order_of_the_images(tmp_path):
    for folder in ("i", "m"):
        (tmp_path / folder).mkdir()
    for n in (1, 10):
        Image.fromarray(np.full((3, 4), n, np.uint8)).save(tmp_path / "i" / f"img{n}.png")
        Image.fromarray(np.full((3, 4), n, np.uint8)).save(tmp_path / "m" / f"img{n}_mask.png")
    masks = read_mask_file(tmp_path / "m", 2, (3, 4), images=tmp_path / "i")
    assert masks[:, 0].tolist() == [1, 10]


def test_another_number_of_masks_is_refused(tmp_path):
    for folder, n in (("i", 3), ("m", 2)):
        (tmp_path / folder).mkdir()
        for i in range(n):
            Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / folder / f"{i}.png")
    with pytest.raises(InvalidData, match=re.escape("2 masks of 3 x 4 pixels, expected 3")):
        read_mask_file(tmp_path / "m", 3, (3, 4), images=tmp_path / "i")
