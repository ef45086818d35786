"""Writing a model file leaves the complete new file or the old one, and no other file."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from narrows.artefact import Artefact, read_artefact, write_artefact
from narrows.errors import ModelFileError, ResourceError


def plain_artefact(value: float = 1.0, size: int = 2) -> Artefact:
    return Artefact("model", {"value": value}, {"w": torch.full((size,), value)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_written(path: Path, value: float) -> None:
    with pytest.raises(ModelFileError, match="tensor 'w' is not finite; nothing was written"):
        write_artefact(path, plain_artefact(value))
    assert not path.exists()


def test_an_unsupported_dtype_is_not_written(path: Path) -> None:
    artefact = Artefact("model", {}, {"w": torch.ones(2, dtype=torch.float16)})
    with pytest.raises(ModelFileError, match="tensor 'w' is torch.float16, which is not stored"):
        write_artefact(path, artefact)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), b"bytes"])
def test_a_spec_that_is_not_json_is_not_written(path: Path, value: Any) -> None:
    with pytest.raises(ModelFileError, match="the model's parameters are not JSON values"):
        write_artefact(path, Artefact("model", {"value": value}))
    assert not path.exists()


def test_a_new_file_replaces_the_old_one(path: Path) -> None:
    for value in (1.0, 2.0):
        write_artefact(path, plain_artefact(value))
    assert read_artefact(path, kind="model").spec == {"value": 2.0}


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    write_artefact(path, plain_artefact())
    assert os.listdir(path.parent) == [path.name]


def test_the_file_and_then_the_folder_are_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("folder" if is_folder else "file")
        fsync(descriptor)

    def noted_replace(source: Any, target: Any) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_artefact(path, plain_artefact())
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_artefact(path, plain_artefact(1.0))
    before = path.read_bytes()

    def fail(*arguments: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(ResourceError, match="cannot be written: Input/output error"):
            write_artefact(path, plain_artefact(2.0))
    assert (os.listdir(path.parent), path.read_bytes()) == ([path.name], before)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_artefact(path, plain_artefact(1.0))
    before = path.read_bytes()

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_artefact(path, plain_artefact(2.0))
    assert (os.listdir(path.parent), path.read_bytes()) == ([path.name], before)


def test_a_link_stays_a_link_and_its_target_is_updated(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "m.safetensors", tmp_path / "link.safetensors"
    write_artefact(target, plain_artefact(1.0))
    link.symlink_to(target)
    write_artefact(link, plain_artefact(2.0))
    assert link.is_symlink() and not target.is_symlink()
    assert read_artefact(target, kind="model").spec == {"value": 2.0}


def test_a_link_to_a_missing_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_artefact(tmp_path / "link", plain_artefact())
    assert read_artefact(tmp_path / "target", kind="model").spec == {"value": 1.0}


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ResourceError, match="a: is a link that points to itself"):
        write_artefact(tmp_path / "a", plain_artefact())


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is a folder; name a file"):
        write_artefact(tmp_path, plain_artefact())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"nope/m: cannot be written: No such file"):
        write_artefact(tmp_path / "nope" / "m", plain_artefact())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match=r"file/m: cannot be written: Not a directory"):
        write_artefact(tmp_path / "file" / "m", plain_artefact())


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, " ", "-o", "a\nb", "*?[", "\udcff", "~"])
def test_long_and_unusual_file_names_are_written(tmp_path: Path, name: str) -> None:
    write_artefact(tmp_path / name, plain_artefact())
    assert read_artefact(tmp_path / name, kind="model").spec == {"value": 1.0}


@pytest.mark.parametrize("name", ["x" * 256, "x" * 5000, f"{'y' * 300}/m"])
def test_names_that_are_too_long_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResourceError, match="cannot be written: File name too long"):
        write_artefact(tmp_path / name, plain_artefact())


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_invalid_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResourceError, match="is not a valid file name"):
        write_artefact(tmp_path / name, plain_artefact())
    assert os.listdir(tmp_path) == []


def test_the_temporary_file_of_a_live_writer_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    nested = iter([True])

    def write_another(descriptor: int) -> None:
        if next(nested, False):  # a second writer comes and goes while the first is busy
            write_artefact(path, plain_artefact(2.0))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", write_another)
    write_artefact(path, plain_artefact(1.0))
    assert read_artefact(path, kind="model").spec == {"value": 1.0}


# Full disk, read-only folder


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    path = small_disk / "m"
    write_artefact(path, plain_artefact(1.0, size=1 << 19))
    before = path.read_bytes()
    with pytest.raises(ResourceError, match="cannot be written: No space left on device"):
        write_artefact(path, plain_artefact(2.0, size=5 << 18))
    assert (os.listdir(small_disk), path.read_bytes() == before) == (["m"], True)


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    path = small_disk / "m"
    write_artefact(path, plain_artefact(1.0))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ResourceError, match="cannot be written: Read-only file system"):
        write_artefact(path, plain_artefact(2.0))
    assert read_artefact(path, kind="model").spec == {"value": 1.0}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ResourceError, match="cannot be written: Permission denied"):
        write_artefact(tmp_path / "m", plain_artefact())
