"""Rows written as images: the commands that write a folder of PNGs."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from narrows.cli import run as cli
from narrows.errors import UsageError
from narrows.estimators.files import load
from narrows.writers.images import ImageFolder, row_target, write_model_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    (home / "cats" / "old").mkdir(parents=True)
    for i, name in enumerate(["cat_001.png", "cat_002.jpg", "old/cat.png"] * 8):
        name = name.replace("cat", f"cat{i // 3}")
        image = rng.integers(0, 256, size=(4, 5, 3), dtype=np.uint8)
        Image.fromarray(image).save(home / "cats" / name)
    np.save(home / "floats.npy", rng.random((30, 4, 5)).astype(np.float32))
    np.save(home / "wide.npy", (100 * rng.random((30, 4, 5))).astype(np.float32))
    np.save(home / "codes.npy", rng.normal(size=(11, 3)).astype(np.float32))
    small = ["--code", "3", "--hidden", "6", "--epochs", "1", "-q", "--seed", "0"]
    for data, more in {"cats": [], "floats.npy": [], "wide.npy": ["--scale", "standard"]}.items():
        model = str(home / f"{data.split('.')[0]}.m")
        assert cli(["fit", str(home / data), *small, *more, "-o", model]) == 0
    return home


def run(folder, *arguments):
    return cli([str(a) for a in arguments])


def images(folder):
    return {
        str(path.relative_to(folder)): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_images_have_the_names_of_their_sources_and_the_values_of_the_array(folder, tmp_path):
    arguments = ["reconstruct", folder / "cats.m", folder / "cats", "-o"]
    assert run(folder, *arguments, tmp_path / "r.npy") == 0
    assert run(folder, *arguments, f"{tmp_path}/made/") == 0
    found = images(tmp_path / "made")
    inputs = sorted(path for path in (folder / "cats").rglob("*") if path.is_file())
    assert sorted(found) == sorted(
        str(path.relative_to(folder / "cats").with_suffix(".png")) for path in inputs
    )
    rows = np.load(tmp_path / "r.npy").reshape(-1, 4, 5, 3)
    for path, row in zip(inputs, rows, strict=True):
        image = found[str(path.relative_to(folder / "cats").with_suffix(".png"))]
        assert image.dtype == np.uint8 and image.shape == (4, 5, 3)
        assert abs(image - row).max() <= 0.5


def test_known_pixels_do_not_change(folder, tmp_path):
    arguments = ["inpaint", folder / "cats.m", folder / "cats", "--mask", "square:2", "-q"]
    assert run(folder, *arguments, "-o", f"{tmp_path}/made/", "--seed", 1) == 0
    image = np.asarray(Image.open(tmp_path / "made" / "cat0_001.png"))
    same = image == np.asarray(Image.open(folder / "cats" / "cat0_001.png"))
    assert same.all(axis=2).sum() >= 16 and not same.all()


def test_floats_from_0_to_1_are_gray_from_black_to_white(folder, tmp_path):
    arguments = ["denoise", folder / "floats.m", folder / "floats.npy", "-o"]
    assert run(folder, *arguments, tmp_path / "d.npy") == 0
    (tmp_path / "made").mkdir()  # a folder that is there needs no slash
    assert run(folder, *arguments, tmp_path / "made") == 0
    found = images(tmp_path / "made")
    assert [*found] == [f"{i:02}.png" for i in range(30)]
    shown = np.stack([*found.values()])
    assert shown.shape == (30, 4, 5)
    assert abs(shown / 255 - np.load(tmp_path / "d.npy").reshape(-1, 4, 5)).max() <= 0.502 / 255


@pytest.mark.parametrize(
    ("command", "n"),
    [
        ("generate {m} -n 7", 7),
        ("generate {m} --perturb {x} --rows 3 -n 4", 12),
        ("generate {m} --traverse {x} -n 5", 15),
        ("generate {m} --interpolate {x} --rows 3 -n 4", 8),
        ("decode {m} {h}", 11),
    ],
)
def test_new_rows_are_numbered(command, n, folder, tmp_path, capsys):
    names = {"m": folder / "cats.m", "x": folder / "cats", "h": folder / "codes.npy"}
    assert run(folder, *command.format(**names).split(), "-o", f"{tmp_path}/n/", "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert results["output"] == f"{tmp_path}/n/" and results["shape"] == [n, 60]
    digits = len(str(n - 1))
    assert [*images(tmp_path / "n")] == [f"{i:0{digits}}.png" for i in range(n)]


def test_codes_decode_to_images_of_a_given_shape(folder, tmp_path):
    arguments = ["decode", folder / "cats.m", folder / "codes.npy", "-o", f"{tmp_path}/n/"]
    assert run(folder, *arguments, "--image-shape", "6,10") == 0
    assert images(tmp_path / "n")["00.png"].shape == (6, 10)


def test_a_file_of_the_same_name_is_replaced_and_others_stay(folder, tmp_path):
    (tmp_path / "0.png").write_text("older")
    (tmp_path / "notes.txt").write_text("mine")
    assert run(folder, "generate", folder / "cats.m", "-n", 2, "-o", tmp_path) == 0
    assert sorted(os.listdir(tmp_path)) == ["0.png", "1.png", "notes.txt"]
    assert np.asarray(Image.open(tmp_path / "0.png")).shape == (4, 5, 3)


def test_names_that_differ_only_in_their_suffix_keep_it(folder, tmp_path):
    data = tmp_path / "same"
    data.mkdir()
    for name in ("a.png", "a.bmp"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(data / name)
    assert run(folder, "reconstruct", folder / "cats.m", data, "-o", f"{tmp_path}/r/") == 0
    assert [*images(tmp_path / "r")] == ["a.bmp.png", "a.png.png"]


def test_an_image_that_cannot_be_written_leaves_the_older_one(folder, tmp_path):
    model = load(folder / "cats.m").model_
    (tmp_path / "0.png").write_text("older")

    def blocks():
        yield np.zeros((0, 60))
        raise UsageError("stopped")

    with pytest.raises(UsageError, match="stopped"):
        write_model_rows(ImageFolder(tmp_path), blocks(), model, n_rows=2)
    assert os.listdir(tmp_path) == ["0.png"] and (tmp_path / "0.png").read_text() == "older"


@pytest.mark.parametrize("inside", ["cats/", "cats", "cats/old/", "cats/made/", "link/"])
def test_nothing_is_written_into_the_input_folder(inside, folder, capsys):
    link = folder / "link"
    if not link.exists():
        link.symlink_to(folder / "cats")
    before = {path: path.read_bytes() for path in (folder / "cats").rglob("*") if path.is_file()}
    arguments = ["denoise", folder / "cats.m", folder / "cats", "-o", f"{folder}/{inside}"]
    assert run(folder, *arguments) == 2
    assert "is the input folder" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in (folder / "cats").rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("model", "output", "code", "message"),
    [
        ("wide.m", "{}/n/", 2, "pixels scaled by 'standard' have no black and no white"),
        ("cats.m", "{}/none/n/", 5, "none does not exist; make it first"),
        ("cats.m", "{}/file/", 5, "file/: is a file; name a folder"),
    ],
)
def test_invalid_outputs_are_refused(model, output, code, message, folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    shape = ["--image-shape", "4,5"] if model == "wide.m" else []
    arguments = ["generate", folder / model, "-n", 2, "-o", output.format(tmp_path), *shape]
    assert run(folder, *arguments) == code
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["file"]


def test_rows_that_are_not_images_are_refused_before_a_folder_is_made(tmp_path, capsys, rng):
    np.save(tmp_path / "x.npy", rng.random((30, 7)))
    model = tmp_path / "m"
    fit = ["fit", tmp_path / "x.npy", "--code", 2, "--hidden", 4, "--epochs", 1, "-q", "-o", model]
    assert run(tmp_path, *fit) == 0
    capsys.readouterr()
    assert run(tmp_path, "generate", model, "-n", 3, "-o", f"{tmp_path}/n/") == 2
    assert "rows are no images; give their shape by --image-shape" in capsys.readouterr().err
    assert not (tmp_path / "n").exists()


def test_only_a_slash_or_a_folder_makes_a_folder(tmp_path):
    assert row_target(f"{tmp_path}/x.npy") == tmp_path / "x.npy"
    assert row_target(f"{tmp_path}/x/") == ImageFolder(tmp_path / "x")
    assert row_target(str(tmp_path)) == ImageFolder(tmp_path)


def test_no_input_is_overwritten_by_a_link_or_by_its_name(folder, tmp_path, capsys):
    for path in ("d/a/x.png", "d/a/a/x.png", "d/a/b/y.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5, 3), dtype=np.uint8)).save(tmp_path / path)
    inputs = tmp_path / "d" / "a"
    before = {path: path.read_bytes() for path in inputs.rglob("*.png")}
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "x.png").symlink_to(inputs / "x.png")
    (tmp_path / "folders").mkdir()
    (tmp_path / "folders" / "b").symlink_to(inputs / "b")
    for target in ("d", "links", "folders"):
        arguments = ["reconstruct", folder / "cats.m", inputs, "-o", f"{tmp_path / target}/"]
        assert run(folder, *arguments) == 2
        assert "in the input folder" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in inputs.rglob("*.png")}


def test_an_image_name_that_is_also_a_folder_is_changed(folder, tmp_path):
    for path in ("c/x.jpg", "c/x.png/y.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5, 3), dtype=np.uint8)).save(tmp_path / path)
    arguments = ["reconstruct", folder / "cats.m", tmp_path / "c", "-o", f"{tmp_path}/made/"]
    assert run(folder, *arguments) == 0
    assert sorted(images(tmp_path / "made")) == ["x.jpg.png", "x.png/y.png.png"]
