"""narrows head --task segment and narrows segment: masks from files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from narrows import CodeSegmenter, ConvolutionalAutoencoder, load
from narrows.cli import run as cli
from narrows.cli.segment import write_masks
from narrows.errors import UsageError
from narrows.writers.images import ImageFolder

SIDE, N = 8, 12


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """Squares, (N, SIDE, SIDE), 0 and 1."""
    masks = np.zeros((N, SIDE, SIDE), np.uint8)
    for i, mask in enumerate(masks):
        mask[i % 5 : i % 5 + 3, i % 4 : i % 4 + 4] = 1
    return masks


@pytest.fixture(scope="module")
def folder(tmp_path_factory, masks):
    folder = tmp_path_factory.mktemp("segment")
    images = (200 * masks[..., None].repeat(3, axis=3)).astype(np.uint8)
    np.save(folder / "x.npy", images)
    ae = ConvolutionalAutoencoder(4, channels=(4,), max_epochs=1, random_state=0).fit(images)
    ae.save(folder / "ae.st")
    CodeSegmenter(ae, max_epochs=1, random_state=0).fit(images, masks).save(folder / "seg.st")
    return folder


def taught(folder, labels, out, *more) -> int:
    return run("head", folder / "ae.st", folder / "x.npy", "--task", "segment", "--labels", labels,
               "--epochs", 1, "-q", "-o", out, *more)  # fmt: skip


def test_masks_of_fractions_are_refused_not_cut(folder, tmp_path, masks, capsys):
    path = tmp_path / "half.npy"
    np.save(path, np.where(masks, 0.9, 0.2))
    assert taught(folder, path, tmp_path / "h.st") == 3
    message = "half.npy: masks must be integers; probabilities need a threshold first"
    assert message in capsys.readouterr().err
    assert run("segment", folder / "seg.st", folder / "x.npy", "--masks", path) == 3
    assert message in capsys.readouterr().err


def test_masks_of_colors_are_refused(folder, tmp_path, masks, capsys):
    colors = masks[..., None].repeat(3, axis=3)
    colors[3, 0, 0, 1] = 1
    np.save(tmp_path / "colors.npy", colors)
    assert taught(folder, tmp_path / "colors.npy", tmp_path / "h.st") == 3
    assert "colors.npy: mask 3 is in color: its channels differ" in capsys.readouterr().err
    (tmp_path / "images").mkdir()
    for i, image in enumerate(colors):
        Image.fromarray(image).save(tmp_path / "images" / f"{i:02}.png")
    assert run("segment", folder / "seg.st", folder / "x.npy", "--masks", tmp_path / "images") == 3
    assert "03.png: a mask in color: its channels differ" in capsys.readouterr().err


@pytest.mark.parametrize("axes", ["n h w 3", "n h w 1", "n 1 h w", "n h w", "n p", "bool"])
def test_masks_of_every_shape_give_the_same_head(axes, folder, tmp_path, masks, capsys):
    arrays = {
        "n h w 3": masks[..., None].repeat(3, axis=3),
        "n h w 1": masks[..., None],
        "n 1 h w": masks[:, None],
        "n h w": masks,
        "n p": masks.reshape(N, -1),
        "bool": masks.astype(bool),
    }
    np.save(tmp_path / "m.npy", arrays[axes])
    arguments = ["segment", folder / "seg.st", folder / "x.npy", "--masks", tmp_path / "m.npy"]
    assert run(*arguments, "--json") == 0
    expected = load(folder / "seg.st").evaluate(np.load(folder / "x.npy"), masks)
    assert json.loads(capsys.readouterr().out)["mean_dice"] == pytest.approx(expected.mean_dice)


def test_an_unknown_class_of_masks_may_be_written_as_a_float(folder, tmp_path, masks, capsys):
    known = np.where(masks, 1.0, 0.0)
    known[:, 0] = 255
    np.save(tmp_path / "m.npy", known)
    for unknown in ("255", "255.0"):
        assert taught(folder, tmp_path / "m.npy", tmp_path / "h", "--unknown", unknown) == 0
        assert load(tmp_path / "h").classes_.tolist() == [0, 1]


def test_masks_are_written_as_integers_of_the_image_shape(folder, tmp_path):
    predictions = load(folder / "seg.st").predict(np.load(folder / "x.npy"))
    arguments = ["segment", folder / "seg.st", folder / "x.npy", "-o"]
    assert run(*arguments, tmp_path / "predictions.npy") == 0
    written = np.load(tmp_path / "predictions.npy")
    assert written.dtype == np.uint8
    assert np.array_equal(written, predictions.reshape(N, SIDE, SIDE))
    assert run(*arguments, tmp_path / "predictions.csv") == 0
    assert np.array_equal(np.loadtxt(tmp_path / "predictions.csv", delimiter=","), predictions)
    assert set((tmp_path / "predictions.csv").read_text()) <= set("01,\n")
    # what was written is a mask file: of itself it is right everywhere
    assert run(*arguments[:-1], "--masks", tmp_path / "predictions.npy") == 0


def test_masks_of_other_sides_are_refused_though_of_as_many_pixels(folder, tmp_path, masks, capsys):
    np.save(tmp_path / "wide.npy", masks.reshape(N, SIDE // 2, 2 * SIDE))
    assert (
        run("segment", folder / "seg.st", folder / "x.npy", "--masks", tmp_path / "wide.npy") == 3
    )
    assert "12 masks of 4 x 16 pixels, expected 12 of 8 x 8" in capsys.readouterr().err
    assert taught(folder, tmp_path / "wide.npy", tmp_path / "h.st") == 3


def images_of(folder, masks, suffix, **settings):
    folder.mkdir()
    for i, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / f"{i:02}{suffix}", **settings)
    return folder


@pytest.mark.parametrize("mode", ["gray", "color"])
def test_masks_in_a_lossy_format_are_refused_with_the_way_out(
    mode, folder, tmp_path, masks, capsys
):
    drawn = 255 * masks if mode == "gray" else 255 * masks[..., None].repeat(3, axis=3)
    path = images_of(tmp_path / "jpegs", drawn, ".jpg")
    message = "00.jpg: a mask in JPEG, which changes values: there are"
    assert taught(folder, path, tmp_path / "h.st") == 3
    error = capsys.readouterr().err
    assert message in error and "masks > 127, and store masks of class numbers" in error
    assert run("segment", folder / "seg.st", folder / "x.npy", "--masks", path) == 3
    assert message in capsys.readouterr().err


def test_masks_in_a_lossy_format_that_changed_nothing_are_taken(folder, tmp_path, masks):
    halves = np.zeros_like(masks)
    halves[::2] = 255  # of one value each: nothing to lose
    path = images_of(tmp_path / "jpegs", halves, ".jpg")
    assert taught(folder, path, tmp_path / "h.st") == 0
    assert load(tmp_path / "h.st").classes_.tolist() == [0, 255]


def test_masks_of_smoothed_images_are_refused(folder, tmp_path, masks, capsys):
    smooth = (np.arange(masks.size) % 240).astype(np.uint8).reshape(masks.shape)
    path = images_of(tmp_path / "smooth", smooth, ".png")
    assert taught(folder, path, tmp_path / "h.st") == 3
    assert "240 classes of pixels" in capsys.readouterr().err
    assert not (tmp_path / "h.st").exists()


def test_masks_of_16_bits_are_refused_not_cut(folder, tmp_path, masks, capsys):
    path = images_of(tmp_path / "deep", 300 * masks.astype(np.uint16), ".png")
    assert taught(folder, path, tmp_path / "h.st") == 3
    assert "00.png: a mask of 16 bits or more" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_integers_that_reading_would_round_are_refused(suffix, folder, tmp_path, masks, capsys):
    path = tmp_path / f"m{suffix}"
    for largest, code in ((2**24 - 1, 0), (2**24, 3), (2**24 + 1, 3), (-(2**40), 3)):
        values = np.where(masks, largest, 0)
        np.save(path, values) if suffix == ".npy" else np.savez(path, masks=values)
        assert taught(folder, path, tmp_path / "h.st") == code
        if code:
            assert "integers from 2^24 on are rounded" in capsys.readouterr().err
        else:
            assert load(tmp_path / "h.st").classes_.tolist() == [0, largest]


def test_true_masks_by_other_numbers_are_refused_with_the_way_out(folder, tmp_path, masks, capsys):
    np.save(tmp_path / "m.npy", 255 * masks)
    assert run("segment", folder / "seg.st", folder / "x.npy", "--masks", tmp_path / "m.npy") == 3
    assert "give np.where(masks == 255, 1, 0)" in capsys.readouterr().err


def test_masks_in_a_folder_whose_pairs_are_shifted_are_refused(folder, tmp_path, masks, capsys):
    images = images_of(tmp_path / "images", np.load(folder / "x.npy"), ".png")
    path = images_of(tmp_path / "masks", masks, ".png")
    assert run("segment", folder / "seg.st", images, "--masks", path) == 0
    (path / "00.png").rename(path / "12.png")
    assert run("segment", folder / "seg.st", images, "--masks", path) == 3
    message = "11 of 12 masks have the name of an image"
    assert message in capsys.readouterr().err
    assert run("head", folder / "ae.st", images, "--task", "segment", "--labels", path, "-q", "-o",
               tmp_path / "h.st") == 3  # fmt: skip
    assert message in capsys.readouterr().err


def test_one_class_a_row_is_that_of_all_its_pixels(folder, tmp_path, capsys):
    path = tmp_path / "classes.npy"
    np.save(path, np.arange(N) % 2)
    assert taught(folder, path, tmp_path / "h.st") == 0
    assert load(tmp_path / "h.st").classes_.tolist() == [0, 1]
    assert run("segment", folder / "seg.st", folder / "x.npy", "--masks", path) == 0
    for labels, message in (
        (np.arange(N + 1) % 2, "classes.npy: labels of 13 rows, but the data have 12"),
        (np.arange(N) / 2, "classes.npy: masks must be integers; probabilities"),
        (np.array(["a"] * N), "classes.npy: masks must be integers, got <U1"),
    ):
        np.save(path, labels)
        capsys.readouterr()
        assert taught(folder, path, tmp_path / "h.st") == 3
        assert message in capsys.readouterr().err


def test_errors_of_masks_name_their_file(folder, tmp_path, masks, capsys):
    path = tmp_path / "m.npy"
    np.save(path, 0 * masks)
    assert taught(folder, path, tmp_path / "h.st") == 2
    assert f"Error: {path}: every pixel has the class 0" in capsys.readouterr().err
    np.save(path, np.arange(masks.size).reshape(masks.shape) % 33)
    assert taught(folder, path, tmp_path / "h.st") == 3
    error = capsys.readouterr().err
    assert f"Error: {path}: 33 classes of pixels" in error
    assert "if there are so many classes, give --set max_classes=NUMBER." in error
    assert taught(folder, path, tmp_path / "h.st", "--set", "max_classes=33") == 0


def test_masks_as_images_are_named_as_these_and_read_back(folder, tmp_path, capsys):
    images = images_of(tmp_path / "images", np.load(folder / "x.npy"), ".png")
    arguments = ["segment", folder / "seg.st", images, "-o"]
    assert run(*arguments, tmp_path / "m.npy") == run(*arguments, f"{tmp_path}/made/") == 0
    made = sorted((tmp_path / "made").iterdir())
    assert [path.name for path in made] == sorted(path.name for path in images.iterdir())
    written = np.stack([np.asarray(Image.open(path)) for path in made])
    np.testing.assert_array_equal(written, np.load(tmp_path / "m.npy"))
    capsys.readouterr()
    assert run(*arguments[:-1], "--masks", tmp_path / "made", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mean_dice"] == 1
    assert run(*arguments, images) == 2  # no masks among the images


@pytest.mark.parametrize("value", [-1, 256, 300])
def test_a_class_that_no_byte_holds_is_refused_for_png(tmp_path, value):
    with pytest.raises(UsageError, match="classes from 0 to 255"):
        write_masks(ImageFolder(tmp_path / "made"), np.full((2, 4, 4), value), data="x.npy")
    assert not (tmp_path / "made").exists()


def test_class_names_stand_in_the_table(folder, tmp_path, masks, capsys):
    np.save(tmp_path / "m.npy", masks)
    arguments = ["segment", folder / "seg.st", folder / "x.npy", "--masks", tmp_path / "m.npy"]
    names = ["--class-names", "ground, <b>disc</b>"]
    assert run(*arguments, *names, "--figure", tmp_path / "f.png") == 0
    printed = capsys.readouterr().out
    assert "\nground " in printed and "\n<b>disc</b> " in printed and "\nall but ground" in printed
    assert run(*arguments, "--class-names", "a,b,c") == 2
    assert "got 3 names for 2 classes, 0, 1" in capsys.readouterr().err
