"""Single photos as data, resizing of images, and named arrays of an archive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import narrows
from narrows import load, read
from narrows.cli import narrows as command
from narrows.errors import InvalidData, UsageError

RNG = np.random.default_rng(0)


def photo(path, size=(8, 6), mode="RGB"):
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(RNG.integers(0, 256, size=shape).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of mixed sizes, a model of them at 6 x 8, and an index."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "all").mkdir()
    for i in range(20):
        photo(folder / "all" / f"p{i:02}.png", (8 + i % 3, 6 + i % 2))
    fit = ["fit", folder / "all", "--resize", "6,8", "--code", 3, "--hidden", 8, "--epochs", 2,
           "--seed", 0, "-q", "-o", folder / "m"]  # fmt: skip
    assert run(*fit).exit_code == 0
    assert run("index", folder / "m", folder / "all", "-o", folder / "i").exit_code == 0
    return folder


def run(*words):
    return CliRunner().invoke(command, [str(word) for word in words])


def test_a_photo_is_a_row(tmp_path):
    path = photo(tmp_path / "a.PNG")
    source = read(path)
    assert (source.shape, source.ids.tolist()) == ((1, 6, 8, 3), ["a.PNG"])
    np.testing.assert_array_equal(np.asarray(source)[0], np.asarray(Image.open(path)))
    assert read(f"{path}:resize=3x4").shape == (1, 3, 4, 3)
    with pytest.raises(InvalidData, match=r"b\.png: cannot be read as an image"):
        (tmp_path / "b.png").write_bytes(b"no image")
        read(tmp_path / "b.png")


@pytest.mark.parametrize("stream", [False, True])
def test_resize_matches_pil_and_mixed_sizes_are_refused_with_advice(folder, stream):
    with pytest.raises(InvalidData, match=r"FOLDER:resize=64x64, .*read\(folder, resize=\(64, 64"):
        np.asarray(read(folder / "all", stream=stream))
    source = read(folder / "all", resize=(6, 8), stream=stream)
    assert source.shape == (20, 6, 8, 3)
    for i, path in enumerate(sorted((folder / "all").iterdir())):
        expected = Image.open(path).resize((8, 6), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(source[i], np.asarray(expected))
    assert source.fingerprint() != read(folder / "all", resize=(5, 8), stream=stream).fingerprint()


def test_the_model_remembers_the_size_and_every_command_brings_images_to_it(folder, tmp_path):
    ae = load(folder / "m")
    assert (ae.resize_, ae.row_shape_) == ((6, 8), (6, 8, 3))
    assert ae.reconstruct(read(folder / "all", resize=ae.resize_)).shape == (20, 6, 8, 3)
    codes = ae.transform(read(folder / "all", resize=(6, 8)))
    one = folder / "all" / "p07.png"
    for data, expected in ((folder / "all", codes), (one, codes[7:8])):
        done = run("encode", folder / "m", data, "-o", tmp_path / "z.npy")
        assert done.exit_code == 0, done.exception
        np.testing.assert_allclose(np.load(tmp_path / "z.npy"), expected, rtol=1e-6)
    for line in (["reconstruct", folder / "m", one, "-o", f"{tmp_path}/out/"],
                 ["evaluate", folder / "m", folder / "all"],
                 ["inspect", folder / "m", folder / "all"],
                 ["denoise", folder / "m", one, "-o", tmp_path / "d.npy"],
                 ["anomalies", folder / "m", folder / "all"],
                 ["inpaint", folder / "m", one, "--mask", "quadrant", "-o", tmp_path / "p.npy"],
                 ["generate", folder / "m", "--perturb", one, "-o", tmp_path / "g.npy"],
                 ):  # fmt: skip
        done = run(*line)
        assert done.exit_code == 0, (line, done.output, done.exception)


def test_search_accepts_a_photo_as_the_query(folder, tmp_path):
    found = run("search", folder / "i", folder / "all" / "p03.png", "-k", 2, "--json")
    assert found.exit_code == 0, found.exception
    (answer,) = json.loads(found.output)["answers"]
    assert (answer["query"], answer["hits"][0]["id"]) == ("p03.png", "p03.png")
    missing = run("search", folder / "i", "a red car")
    assert "the model reads no texts, and 'a red car' is not a file" in str(missing.exception)


def test_a_size_is_checked(folder, tmp_path):
    for size in ("6", "6,8,3", "a,b", "-1,4"):
        assert run("fit", folder / "all", "--resize", size, "-o", tmp_path / "m").exit_code == 2
    for resize in ((0, 4), (4,), "64", (10**9, 4)):
        with pytest.raises(UsageError, match="resize: must be"):
            read(folder / "all", resize=resize)
    with pytest.raises(UsageError, match="expected resize=HEIGHTxWIDTH"):
        read(f"{folder / 'all'}:resize=6,8")
    np.save(tmp_path / "x.npy", np.eye(4))
    with pytest.raises(UsageError, match="resize= is only for images"):
        read(tmp_path / "x.npy", resize=(2, 2))


def test_arrays_of_an_archive_are_named(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, first=np.eye(4), second=RNG.normal(size=(12, 3)), third=np.ones((2, 2)))
    with pytest.raises(InvalidData, match=r"it holds first, second, third; .*x\.npz:member=first"):
        read(path)
    for source in (read(f"{path}:member=second"), read(path, member="second")):
        assert source.shape == (12, 3)
    with pytest.raises(InvalidData, match=r"no array 'secnd'; it holds first, second, third"):
        read(path, member="secnd")
    fit = ["fit", f"{path}:member=second", "--code", 2, "--hidden", 4, "--epochs", 1, "-q"]
    assert run(*fit, "-o", tmp_path / "m").exit_code == 0
    np.save(tmp_path / "x.npy", np.eye(4))
    with pytest.raises(UsageError, match=r"member= is only for \.npz"):
        read(tmp_path / "x.npy", member="a")


def test_a_flat_fit_remembers_no_size():
    ae = narrows.Autoencoder(2, hidden=(4,), max_epochs=1).fit(RNG.normal(size=(20, 6)))
    assert not hasattr(ae, "resize_")


@pytest.mark.filterwarnings("ignore::narrows.errors.CopiesWarning")
@pytest.mark.parametrize(
    "words",
    [
        "inpaint m all --mask missing:0.3 --baselines all -o f.npy",
        "anomalies m all --calibrate all",
        "generate m --check all --held-out all",
    ],
)
def test_validation_and_calibration_folders_are_resized(words, folder, monkeypatch):
    monkeypatch.chdir(folder)
    done = run(*words.split())
    assert done.exit_code == 0, done.exception


def test_codes_of_one_photo_and_of_its_folder_have_the_same_first_column(folder, tmp_path):
    for data in ("all", "all/p03.png"):
        table = tmp_path / f"{Path(data).stem}.csv"
        assert run("encode", folder / "m", folder / data, "-o", table).exit_code == 0
        assert table.read_text().startswith("file,")
