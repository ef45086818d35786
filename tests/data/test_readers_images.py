"""The reader of folders of images: one size and one number of channels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from reader_files import rows_of, saved

from narrows.data import read
from narrows.errors import InvalidData, ResourceError


def image(folder, name, mode="RGB", size=(4, 3), color=None, **options):
    picture = Image.new(mode, size, color if color is not None else 0)
    picture.save(folder / name, **options)
    return folder


def test_images_are_read_in_the_order_of_their_names(tmp_path):
    for name, color in (("b.png", 20), ("a.bmp", 10), ("c.JPG", 30)):
        image(tmp_path, name, "L", color=color)
    source = read(tmp_path)
    assert (source.image_shape, source.kind) == ((3, 4), "image")
    np.testing.assert_array_equal(rows_of(source)[:, 0], [10, 20, 30])


def test_one_color_image_gives_all_images_three_channels(tmp_path):
    image(tmp_path, "a.png", "L", color=7)
    image(tmp_path, "b.png", "RGB", color=(1, 2, 3))
    source = read(tmp_path)
    assert source.image_shape == (3, 4, 3)
    np.testing.assert_array_equal(rows_of(source)[:, :3], [[7, 7, 7], [1, 2, 3]])


def test_cmyk_becomes_rgb(tmp_path):
    image(tmp_path, "a.tif", "CMYK", color=(255, 0, 0, 0))
    np.testing.assert_array_equal(rows_of(read(tmp_path))[0, :3], [0, 255, 255])


def test_16_bit_gray_is_divided_by_256(tmp_path):
    image(tmp_path, "a.png", "I;16", color=0xAB12)
    np.testing.assert_array_equal(rows_of(read(tmp_path)), np.full((1, 12), 0xAB))


def test_transparency_is_composed_with_white(tmp_path):
    image(tmp_path, "a.png", "RGBA", color=(0, 0, 0, 0))
    image(tmp_path, "b.png", "LA", color=(0, 255))
    np.testing.assert_array_equal(rows_of(read(tmp_path))[:, 0], [255, 0])


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    image(tmp_path, "a.jpg", size=(4, 3), exif=exif)
    assert read(tmp_path).image_shape == (4, 3, 3)


def test_palette_and_one_bit_images_are_read(tmp_path):
    image(tmp_path, "a.gif", "P")
    image(tmp_path, "b.png", "1", color=1)
    np.testing.assert_array_equal(rows_of(read(tmp_path))[:, 0], [0, 255])


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_animated_images_are_refused(tmp_path, suffix):
    frames = [Image.new("L", (4, 3), color) for color in (0, 100)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidData, match=rf"a\.{suffix}: animated; save one frame"):
        read(tmp_path)


def test_mixed_sizes_are_refused_by_name(tmp_path):
    image(tmp_path, "a.png", size=(4, 3))
    image(tmp_path, "b.png", size=(3, 4))
    with pytest.raises(InvalidData, match=r"b\.png: 4 x 3 pixels .* a\.png has 3 x 4; resize"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_standard_range_are_refused(tmp_path, mode):
    image(tmp_path, "a.tif", mode, color=70_000)
    with pytest.raises(InvalidData, match=r"a\.tif.*(no standard range|more than 16 bits)"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp"])
def test_truncated_images_are_refused(tmp_path, rng, suffix):
    Image.fromarray(rng.integers(0, 256, (20, 20), np.uint8)).save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for part in (0.0, 0.3, 0.6, 0.9):
        saved(tmp_path / f"a.{suffix}", whole[: int(len(whole) * part)])
        with pytest.raises(InvalidData, match=rf"a\.{suffix}: cannot be read as an image"):
            read(tmp_path)


def png(width, height):
    """A PNG that claims this size but holds a single line of pixels."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("size", [(30_000, 30_000), (6_000, 6_000), (0, 5), (5, 0)])
def test_images_of_size_zero_or_gigantic_are_refused(tmp_path, size):
    saved(tmp_path / "a.png", png(*size))
    with pytest.raises(InvalidData, match=r"a\.png"):
        read(tmp_path)


def test_a_folder_of_more_images_than_memory_is_refused(tmp_path, little_memory):
    for i in range(5):
        image(tmp_path, f"{i}.png", "L", size=(20, 20))
    with pytest.raises(ResourceError, match="5 x 400 values"):
        read(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="no image files"):
        read(tmp_path)


def test_a_text_named_like_an_image_is_refused(tmp_path):
    saved(tmp_path / "<script>.png", b"hello")
    with pytest.raises(InvalidData, match=r"<script>\.png: cannot be read as an image"):
        read(tmp_path)


def test_a_folder_is_streamed_to_the_same_rows(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (5, 4, 3), np.uint8)).save(tmp_path / f"{i:02}.png")
    kept, streamed = read(tmp_path, stream=False), read(tmp_path, stream=True)
    assert streamed.image_shape == kept.image_shape == (5, 4, 3)
    assert streamed.kind == "image"
    for ours, theirs in zip(streamed.in_order(7), kept.in_order(7), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_one_image_in_color_makes_a_streamed_folder_color(tmp_path):
    Image.new("L", (4, 5), 7).save(tmp_path / "a.png")
    Image.new("RGB", (4, 5), (1, 2, 3)).save(tmp_path / "b.png")
    (rows,) = read(tmp_path, stream=True).in_order(2)
    assert rows.reshape(2, 5, 4, 3)[:, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_a_streamed_folder_of_gray_images_is_gray(tmp_path):
    for name in "ab":
        Image.new("L", (4, 5), 7).save(tmp_path / f"{name}.png")
    assert read(tmp_path, stream=True).image_shape == (5, 4)


def test_an_image_of_another_size_is_named_while_streaming(tmp_path):
    Image.new("L", (4, 5)).save(tmp_path / "a.png")
    Image.new("L", (5, 4)).save(tmp_path / "b.png")
    with pytest.raises(InvalidData, match=r"b\.png: 4 x 5 pixels .* a\.png has 5 x 4"):
        list(read(tmp_path, stream=True).in_order(2))


def test_a_streamed_folder_that_changed_has_another_fingerprint(tmp_path):
    Image.new("L", (4, 5)).save(tmp_path / "a.png")
    before = read(tmp_path, stream=True).fingerprint()
    Image.new("L", (4, 5), 9).save(tmp_path / "a.png")
    assert read(tmp_path, stream=True).fingerprint() != before


def test_hidden_files_are_skipped(tmp_path):
    for name in ("cat", "dog", ".Trash", "dog/.ipynb_checkpoints"):
        (tmp_path / name).mkdir()
        image(tmp_path / name, "a.png", "L", color=7)
    image(tmp_path / "cat", "._a.png", "L")
    assert read(tmp_path).labels.tolist() == ["cat", "dog"]


@pytest.mark.parametrize("stream", [False, True])
def test_links_to_folders_are_followed(stream, tmp_path):
    for name in ("data/cat", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        image(tmp_path / name, "a.png", "L", color=7)
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    assert read(tmp_path / "data", stream=stream).labels.tolist() == ["cat", "dog"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    (tmp_path / "a.png").mkdir()
    image(tmp_path / "a.png", "b.png", "L", color=7)
    np.testing.assert_array_equal(rows_of(read(tmp_path))[:, 0], [7])


def test_a_broken_link_is_named(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InvalidData, match=r"a\.png: a link that cannot be followed"):
        read(tmp_path)
