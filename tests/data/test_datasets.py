"""Named data sets are verified, from a folder or a download."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from narrows.data import datasets
from narrows.data.datasets import DATASETS, File, fetch, load_images
from narrows.errors import InvalidData, ResourceError, UsageError

NAMES = [file.name for file in DATASETS["mnist"].files]


def idx(array):
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


CONTENTS = {
    name: idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4) if "images" in name else np.uint8([i]))
    for i, name in enumerate(NAMES)
}
PACKED = {name: gzip.compress(content, mtime=1) for name, content in CONTENTS.items()}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A data set of four small files, none of them downloaded yet."""
    monkeypatch.delenv("NARROWS_DATA", raising=False)
    files = tuple(
        File(n, hashlib.sha256(PACKED[n]).hexdigest(), hashlib.sha256(CONTENTS[n]).hexdigest())
        for n in NAMES
    )
    dataset = replace(DATASETS["mnist"], name="tiny", url="http://127.0.0.1:9/", files=files)
    monkeypatch.setitem(datasets.DATASETS, "tiny", dataset)
    return dataset


@pytest.fixture
def held(tiny, monkeypatch, tmp_path):
    """The folder that NARROWS_DATA names, with every file in it."""
    folder = tmp_path / "held"
    (folder / "tiny").mkdir(parents=True)
    for name, content in PACKED.items():
        (folder / "tiny" / name).write_bytes(content)
    monkeypatch.setenv("NARROWS_DATA", str(folder))
    return folder / "tiny"


class Quiet(SimpleHTTPRequestHandler):
    requests: list[str]

    def log_message(self, *args):
        self.requests.append(self.path)


@pytest.fixture
def served(tiny, monkeypatch, tmp_path):
    """A folder behind a server on this machine, and its list of requests."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in PACKED.items():
        (folder / name).write_bytes(content)
    handler = type("Handler", (Quiet,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(datasets.DATASETS, "tiny", replace(tiny, url=url))
    yield folder, handler.requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_unknown_name_suggests_the_near_one():
    with pytest.raises(UsageError, match="data set: unknown name 'mnst'.*Did you mean 'mnist'"):
        fetch("mnst")


def test_files_in_the_named_folder_are_found(held):
    assert fetch("tiny") == {name: held / name for name in NAMES}


def test_files_directly_in_the_named_folder_are_found(held):
    for name in NAMES:
        (held / name).rename(held.parent / name)
    assert fetch("tiny") == {name: held.parent / name for name in NAMES}


def test_a_recompressed_copy_is_accepted(held):
    again = gzip.compress(CONTENTS[NAMES[0]], compresslevel=1, mtime=2)
    assert again != PACKED[NAMES[0]]
    (held / NAMES[0]).write_bytes(again)
    assert fetch("tiny")[NAMES[0]] == held / NAMES[0]


def test_a_local_file_with_other_content_is_refused(held):
    (held / NAMES[2]).write_bytes(PACKED[NAMES[1]])
    with pytest.raises(
        InvalidData, match=f"its content differs from {NAMES[2]}; download it again"
    ):
        fetch("tiny")


@pytest.mark.parametrize("damage", [
    lambda whole: whole[:-9],
    lambda whole: whole[:5],
    lambda whole: whole[:-8] + bytes(4) + whole[-4:],
    lambda whole: whole[:12] + b"\xff" * 9 + whole[21:],
    lambda whole: whole + b"junk",
    lambda whole: b"plain text",
])  # fmt: skip
def test_a_damaged_gzip_is_refused(held, damage):
    (held / NAMES[1]).write_bytes(damage(PACKED[NAMES[1]]))
    with pytest.raises(InvalidData, match=f"{NAMES[1]}: damaged gzip"):
        fetch("tiny")


def test_an_empty_file_is_refused(held):
    (held / NAMES[1]).write_bytes(b"")
    with pytest.raises(InvalidData, match="its content differs from"):
        fetch("tiny")


def test_missing_files_are_downloaded(served, tmp_path):
    files = fetch("tiny", folder=tmp_path / "cache")
    assert {name: path.read_bytes() for name, path in files.items()} == PACKED


def test_a_second_fetch_downloads_nothing(served, tmp_path):
    fetch("tiny", folder=tmp_path / "cache")
    requests = list(served[1])
    fetch("tiny", folder=tmp_path / "cache")
    assert served[1] == requests
    assert len(requests) == len(NAMES)


def test_only_missing_files_are_downloaded(served, held, tmp_path):
    (held / NAMES[3]).unlink()
    files = fetch("tiny", folder=tmp_path / "cache")
    assert files[NAMES[0]] == held / NAMES[0]
    assert [path.strip("/") for path in map(str, served[1])] == [NAMES[3]]


def test_a_damaged_cached_file_is_downloaded_again(served, tmp_path):
    path = fetch("tiny", folder=tmp_path / "cache")[NAMES[0]]
    path.write_bytes(b"damaged")
    assert fetch("tiny", folder=tmp_path / "cache")[NAMES[0]].read_bytes() == PACKED[NAMES[0]]


def test_a_download_with_the_wrong_hash_is_refused_and_not_kept(served, tmp_path):
    folder, _ = served
    (folder / NAMES[0]).write_bytes(PACKED[NAMES[1]])
    with pytest.raises(InvalidData, match="tiny: .*does not match the known hash"):
        fetch("tiny", folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(NAMES[0]))


def test_a_recompressed_download_is_refused(served, tmp_path):
    folder, _ = served
    (folder / NAMES[0]).write_bytes(gzip.compress(CONTENTS[NAMES[0]], mtime=2))
    with pytest.raises(InvalidData, match="does not match the known hash"):
        fetch("tiny", folder=tmp_path / "cache")


def test_a_missing_download_is_refused_with_advice(served, tmp_path):
    folder, _ = served
    (folder / NAMES[0]).unlink()
    with pytest.raises(ResourceError, match="could not be downloaded: HTTPError; set NARROWS_DATA"):
        fetch("tiny", folder=tmp_path / "cache")


def test_an_unreachable_server_is_reported_with_advice(tiny, tmp_path):
    with pytest.raises(ResourceError, match=f"{NAMES[0]} could not be downloaded: .*Error"):
        fetch("tiny", folder=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_a_resource_error(served, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ResourceError, match="could not be downloaded"):
        fetch("tiny", folder=tmp_path / "cache")


def test_images_are_rows_of_bytes(held):
    images, labels, test_images, test_labels = load_images("tiny")
    assert images.shape == test_images.shape == (2, 12)
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, np.arange(24).reshape(2, 12))
    np.testing.assert_array_equal(np.r_[labels, test_labels], [1, 3])


@pytest.mark.parametrize("name", DATASETS)
def test_every_file_has_two_distinct_digests(name):
    digests = [d for file in DATASETS[name].files for d in (file.sha256, file.content_sha256)]
    assert len(set(digests)) == 8
    assert all(len(d) == 64 for d in digests)


@pytest.mark.parametrize("name", DATASETS)
def test_local_data_sets_are_genuine(name, data_folder):
    *_, images, labels = load_images(name)
    assert images.shape == (10_000, 784)
    assert sorted(set(labels.tolist())) == list(range(10))
