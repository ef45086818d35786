"""Folders of mask images give their class numbers, or an error that names the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from narrows.data.readers.masks import read_mask_file
from narrows.errors import InvalidData

N, SIDE = 6, 16
SIDES = SIDE, SIDE
VOC = (0, 0, 0, 128, 0, 0, 0, 128, 0)
"""Classes 1 and 2 of this palette differ in color, but are hard to separate in gray."""


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """Squares, (N, SIDE, SIDE), of 0, 1 and 2."""
    masks = np.zeros((N, SIDE, SIDE), np.uint8)
    for i, mask in enumerate(masks):
        mask[i : i + 7, i + 2 : i + 8] = 1
        mask[12:, :5] = 2
    return masks


def folder_of(path, images, suffix=".png", **settings):
    path.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(path / f"{i:02}{suffix}", **settings)
    return path


def with_palette(mask, colors=VOC) -> Image.Image:
    image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
    image.putpalette(list(colors))
    return image


def with_alpha(mask, alpha) -> np.ndarray:
    return np.dstack([mask, mask, mask, np.broadcast_to(np.uint8(alpha), mask.shape)])


def read(path) -> np.ndarray:
    return read_mask_file(path, N, SIDES).reshape(N, *SIDES)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_masks_of_near_values_in_jpeg_are_refused(quality, masks, tmp_path):
    path = folder_of(tmp_path / "jpegs", masks.clip(max=1), ".jpg", quality=quality)
    with pytest.raises(InvalidData, match=r"00\.jpg: a mask in JPEG, .* Use the masks before"):
        read(path)


def test_masks_of_one_value_in_jpeg_are_refused(masks, tmp_path):
    with pytest.raises(InvalidData, match=r"there are 1 of them \(0\), not two"):
        read(folder_of(tmp_path / "jpegs", 0 * masks, ".jpg"))


def test_one_jpeg_among_others_is_named(masks, tmp_path):
    path = folder_of(tmp_path / "mixed", masks[:-1])
    Image.fromarray(masks[-1]).save(path / "05.jpg")
    with pytest.raises(InvalidData, match=r"05\.jpg: a mask in JPEG"):
        read(path)


def test_masks_in_a_tiff_that_holds_jpeg_are_refused(masks, tmp_path):
    path = folder_of(tmp_path / "tiffs", masks, ".tif", compression="jpeg")
    with pytest.raises(InvalidData, match=r"00\.tif: a mask in TIFF, which changes values"):
        read(path)
    folder_of(path, masks, ".tif", compression="tiff_lzw")
    assert np.array_equal(read(path), masks)


@pytest.mark.parametrize("more", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}])
def test_a_lossless_webp_is_accepted(more, masks, tmp_path):
    path = folder_of(tmp_path / "webps", masks, ".webp", lossless=True, **more)
    assert np.array_equal(read(path), masks)
    folder_of(path, masks, ".webp", lossless=False, **more)
    with pytest.raises(InvalidData, match=r"00\.webp: a mask in WEBP, which changes values"):
        read(path)


def test_masks_with_a_palette_give_its_indices(masks, tmp_path):
    assert np.array_equal(read(folder_of(tmp_path / "p", map(with_palette, masks))), masks)
    same = (0, 0, 0, 9, 9, 9, 9, 9, 9)  # two classes of one color
    path = folder_of(tmp_path / "same", (with_palette(mask, same) for mask in masks))
    assert np.array_equal(read(path), masks)


def test_masks_whose_palettes_differ_are_refused(masks, tmp_path):
    path = folder_of(tmp_path / "p", map(with_palette, masks))
    with_palette(masks[0], (0, 0, 0, 0, 128, 0, 128, 0, 0)).save(path / "03.png")
    with pytest.raises(InvalidData, match=r"index 1 of its palette is the color .* one palette"):
        read(path)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_transparent_pixels_of_masks_are_refused(kind, masks, tmp_path):
    drawn = {
        "RGBA": [with_alpha(mask, np.where(mask, 255, 100)) for mask in masks],
        "LA": [np.dstack([mask, np.where(mask, 255, 0).astype(np.uint8)]) for mask in masks],
        "P": [with_palette(mask) for mask in masks],
    }
    more = {"transparency": 0} if kind == "P" else {}
    path = folder_of(tmp_path / "clear", drawn[kind], **more)
    with pytest.raises(InvalidData, match=r"00\.png: a mask with transparent pixels .* PNG"):
        read(path)


def test_opaque_alpha_is_ignored(masks, tmp_path):
    assert np.array_equal(
        read(folder_of(tmp_path / "rgba", [with_alpha(m, 255) for m in masks])), masks
    )
    clear = map(with_palette, masks)
    path = folder_of(tmp_path / "p", clear, transparency=7)  # an index that no pixel has
    assert np.array_equal(read(path), masks)


def test_hidden_masks_are_skipped_and_links_to_folders_are_followed(masks, tmp_path):
    folder_of(tmp_path / "elsewhere", masks)
    folder_of(tmp_path / "data", [])
    folder_of(tmp_path / "data" / ".ipynb_checkpoints", masks)
    (tmp_path / "data" / "masks").symlink_to(tmp_path / "elsewhere")
    assert np.array_equal(read(tmp_path / "data"), masks)
