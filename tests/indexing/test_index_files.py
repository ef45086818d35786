"""Index files: atomic writes, concurrent writers, and damaged or inconsistent files."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_files import add_rows, answers, resealed, small_index

from narrows.errors import ModelFileError, OutputBusy, ResourceError, UsageError
from narrows.indexing.file_lock import writing_alone
from narrows.indexing.index import Index
from narrows.indexing.kinds import KINDS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "docs.index"


@pytest.fixture(scope="module")
def index_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("index") / "docs.index"
    small_index(kind="hnsw").save(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_index_gives_the_same_hits(file, kind):
    index = small_index(kind=kind)
    index.save(file)
    assert answers(Index.load(file)) == answers(index)


def test_a_loaded_index_re_ranks_equally(file):
    index = small_index()
    index.save(file)
    loaded = Index.load(file)
    assert all(
        loaded.like(n, 5, shortlist=20) == index.like(n, 5, shortlist=20) for n in index.names
    )


def test_vectors_that_older_versions_stored_in_float32_re_rank_hits(file, rng):
    small_index().save(file)
    vectors = rng.normal(size=(50, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    file.write_bytes(
        resealed(file.read_bytes(), {"vector_dtype": "float32"}, vectors=vectors.view(np.uint8))
    )
    index = Index.load(file)
    (hit,) = index.search(index.code("d7")[None], 1, vectors=vectors[[7]], shortlist=50)[0]
    assert hit.name == "d7" and hit.cosine == pytest.approx(1, abs=2e-3)


def test_codes_of_floats_are_kept(file):
    index = small_index(n_bits=None, n_components=6)
    index.save(file)
    assert answers(Index.load(file)) == answers(index)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_index_is_kept(file, kind):
    Index.create(n_bits=16, kind=kind).save(file)
    assert len(Index.load(file)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_from_which_rows_were_deleted_is_kept(file, kind):
    index = small_index(kind=kind)
    index.delete(["d3", "d30"])
    index.save(file)
    assert answers(Index.load(file)) == answers(index)


def test_a_loaded_index_can_be_added_to(file, rng):
    small_index().save(file)
    index = Index.load(file)
    add_rows(index, range(100, 120), rng)
    index.save(file)
    assert len(Index.load(file)) == 70 and "d110" in Index.load(file)


def test_settings_are_kept(file):
    index = small_index(kind="multihash")
    index.save(file)
    assert Index.load(file).settings == index.settings


def test_nothing_else_is_left_in_the_folder(file):
    small_index().save(file)
    assert os.listdir(file.parent) == [file.name]


# Another model's, another width, another count


def test_an_index_of_another_model_is_refused(file):
    small_index().save(file)
    with pytest.raises(ModelFileError, match=r"made with another model \(aaaaaaaaaaaa, not bbbb\)"):
        Index.load(file, model_digest="bbbb")


def test_an_index_of_the_same_model_is_accepted(file):
    small_index().save(file)
    assert len(Index.load(file, model_digest="a" * 64)) == 50


def test_models_and_indexes_are_not_mistaken_for_each_other(file, model_bytes):
    from narrows import load

    small_index().save(file)
    with pytest.raises(ModelFileError, match="is an index, not a model file"):
        load(file)
    file.write_bytes(model_bytes)
    with pytest.raises(ModelFileError, match="is a model file, not an index"):
        Index.load(file)


N = 50
OFFSETS = np.arange(N + 1)


@pytest.mark.parametrize(
    ("spec", "tensors", "message"),
    [
        ({"width": 64}, {}, r"codes: must be uint8 \(50, 8\) for 50 rows, got uint8 \(50, 4\)"),
        ({"width": 12}, {}, "width: 12 is invalid for hamming"),
        ({"width": 8192}, {}, "width: 8192 is invalid for hamming"),
        ({"width": True}, {}, "width: True is invalid"),
        ({"metric": "cosine"}, {}, "kind: 'hnsw' is unknown"),
        ({"metric": "cosine", "kind": "flat"}, {}, "codes: must be float"),
        ({"metric": "l2"}, {}, "metric: must be 'hamming' or 'cosine', got 'l2'"),
        ({"kind": "later"}, {}, "kind: 'later' is unknown; a later Narrows may know it"),
        ({"kind": ["flat"]}, {}, "kind: .* is unknown"),
        ({"kind": "flat"}, {}, "an index of kind 'flat' must not have a graph"),
        ({"kind": "ivf"}, {}, "does not read indexes of kind 'ivf'; index the data again"),
        ({"count": 49}, {}, r"codes: must be uint8 \(49, 4\) for 49 rows, got uint8 \(50, 4\)"),
        ({"count": -1}, {}, "count: must be a whole number >= 0, got -1"),
        ({"count": 2**62}, {}, "count: must be a whole number >= 0"),
        ({"count": 50.0}, {}, "count: must be a whole number >= 0, got 50.0"),
        ({"vector_width": 3}, {}, r"vectors: must be uint8 \(50, 6\)"),
        ({"vector_width": -4}, {}, "vector_width: -4 is invalid"),
        ({"vector_dtype": "float32"}, {}, r"vectors: must be uint8 \(50, 16\)"),
        ({"vector_dtype": "object"}, {}, "vector_dtype: 'object' is invalid"),
        ({"model_digest": None}, {}, "model_digest: must be a text, got None"),
        ({"more": 1}, {}, "the spec must have the fields"),
        ({}, {"codes": None}, "tensors are missing or unexpected: codes"),
        ({}, {"more": np.zeros(1)}, "tensors are missing or unexpected: more"),
        ({}, {"codes": np.zeros((N, 4), np.int32)}, r"codes: must be uint8 .* got int32"),
        ({}, {"codes": np.zeros((N, 5), np.uint8)}, r"codes: must be uint8 \(50, 4\)"),
        ({}, {"codes": np.zeros((N, 4), np.uint8)}, "graph: a code has no node"),
        ({}, {"name_offsets": OFFSETS[:-1]}, r"name_offsets: must be int64 \(51,\)"),
        ({}, {"name_offsets": OFFSETS}, "the offsets do not rise from 0 to the end of the blob"),
        ({}, {"name_offsets": OFFSETS[::-1].copy()}, "the offsets do not rise from 0"),
        ({}, {"name_offsets": OFFSETS + 2**62}, "the offsets do not rise from 0"),
        ({}, {"name_bytes": np.full(N, 255, np.uint8), "name_offsets": OFFSETS}, "invalid UTF-8"),
        ({}, {"name_bytes": np.zeros(0, np.uint8), "name_offsets": 0 * OFFSETS}, "a name is empty"),
        (
            {},
            {"name_bytes": np.frombuffer(b"\xc3\xa4" * 25, np.uint8), "name_offsets": OFFSETS},
            "an offset splits a character",
        ),
        ({}, {"metadata_bytes": np.zeros((2, 2), np.uint8)}, r"metadata_bytes: must be uint8"),
        ({}, {"vectors": np.full((N, 8), 255, np.uint8)}, "vectors: a value is not finite"),
        ({}, {"graph.neighbors": np.full(5, 9, np.int32)}, "graph: the links do not match"),
        ({}, {"graph.levels": None}, "graph: 'levels' is missing"),
    ],
    ids=range(37),
)
def test_inconsistent_parts_with_a_valid_digest_are_refused(
    file, index_bytes, spec, tensors, message
):
    file.write_bytes(resealed(index_bytes, spec, **tensors))
    with pytest.raises(ModelFileError, match=message):
        Index.load(file)


def test_the_resealing_helper_makes_valid_files(file, index_bytes):
    file.write_bytes(resealed(index_bytes))
    assert len(Index.load(file)) == N


def texts(*values: str) -> tuple[np.ndarray, np.ndarray]:
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def test_repeated_names_are_found_by_verify(file, index_bytes):
    blob, offsets = texts(*["same"] * N)
    file.write_bytes(resealed(index_bytes, name_bytes=blob, name_offsets=offsets))
    with pytest.raises(ModelFileError, match="the name 'same' is repeated"):
        Index.load(file).verify()


@pytest.mark.parametrize("text", ["{", "[1]", "1", "[" * 100_000], ids=range(4))
def test_metadata_that_are_not_a_json_object_are_found_when_read(file, index_bytes, text):
    blob, offsets = texts(*[text] * N)
    file.write_bytes(resealed(index_bytes, metadata_bytes=blob, metadata_offsets=offsets))
    index = Index.load(file)
    for use in (index.verify, lambda: index.metadata("d0"), lambda: index.like("d0", 1)):
        with pytest.raises(ModelFileError, match="the metadata of 'd.*' are not (a )?JSON"):
            use()


# Damage


@pytest.mark.parametrize("seed", range(5))
def test_any_flipped_bit_is_refused(file, index_bytes, seed):
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(index_bytes), 60):
        data = bytearray(index_bytes)
        data[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
        with pytest.raises(ModelFileError):
            Index.load(file)


def test_any_truncation_is_refused(file, index_bytes):
    for size in np.random.default_rng(0).integers(0, len(index_bytes), 60).tolist():
        file.write_bytes(index_bytes[:size])
        with pytest.raises(ModelFileError):
            Index.load(file)


@pytest.mark.parametrize("more", [b"\0", b"x" * 1000])
def test_appended_bytes_are_refused(file, index_bytes, more):
    file.write_bytes(index_bytes + more)
    with pytest.raises(ModelFileError):
        Index.load(file)


def test_damage_after_loading_is_found_by_verify(file, index_bytes):
    file.write_bytes(index_bytes)
    index = Index.load(file)
    file.write_bytes(index_bytes[:-1] + bytes([index_bytes[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="does not match its SHA-256"):
        index.verify()


def test_a_missing_file_is_named(file):
    with pytest.raises(FileNotFoundError, match=r"docs\.index"):
        Index.load(file)


# A full disk


def test_a_full_disk_leaves_the_old_file_unchanged(small_disk: Path, rng):
    path = small_disk / "docs.index"
    small_index().save(path)
    before = path.read_bytes()
    index = Index.load(path)
    codes = rng.integers(0, 256, (2, 4), dtype=np.uint8)
    blob = "".join(map(chr, rng.integers(97, 123, 1_000_000)))
    index.add(["x", "y"], codes, [{"s": blob}] * 2, np.ones((2, 4)))
    for number in range(5):
        index.add([f"z{number}"], codes[:1], [{"s": blob}], np.ones((1, 4)))
    with pytest.raises(ResourceError, match="cannot be written: No space left on device"):
        index.save(path)
    assert (os.listdir(small_disk), path.read_bytes() == before) == ([path.name], True)


# Two writers


def test_a_save_that_would_overwrite_later_changes_is_refused(file, rng):
    small_index().save(file)
    first, second = Index.load(file), Index.load(file)
    add_rows(first, [100], rng)
    add_rows(second, [101], rng)
    first.save(file)
    with pytest.raises(OutputBusy, match="has changed since it was loaded; load it again"):
        second.save(file)
    assert "d100" in Index.load(file)


def test_an_index_may_be_saved_again_and_again(file, rng):
    index = small_index()
    for number in (100, 101, 102):
        add_rows(index, [number], rng)
        index.save(file)
    assert len(Index.load(file)) == 53


def test_an_index_whose_file_changed_may_be_saved_elsewhere(file, rng):
    small_index().save(file)
    index = Index.load(file)
    small_index(3).save(file, replace=True)
    index.save(file.with_name("other.index"))
    assert len(Index.load(file.with_name("other.index"))) == 50


def test_another_file_is_only_overwritten_with_replace(file):
    small_index().save(file)
    with pytest.raises(UsageError, match="exists already; load it and add to it, or save with"):
        small_index(3).save(file)
    small_index(3).save(file, replace=True)


def test_an_update_is_saved(file, rng):
    small_index().save(file)
    with Index.updating(file) as index:
        add_rows(index, [100], rng)
    assert "d100" in Index.load(file)


def test_an_update_that_fails_saves_nothing(file, rng):
    small_index().save(file)
    before = file.read_bytes()
    with pytest.raises(KeyError), Index.updating(file) as index:
        add_rows(index, [100], rng)
        raise KeyError
    assert (file.read_bytes(), os.listdir(file.parent)) == (before, [file.name])


def test_a_second_writer_is_refused_while_the_first_writes(file):
    small_index().save(file)
    with Index.updating(file):
        with pytest.raises(OutputBusy, match="another process is writing this index; wait"):
            Index.load(file).save(file, wait=0.05)
        with pytest.raises(OutputBusy), Index.updating(file, wait=0):
            pass


def test_an_index_can_be_read_while_it_is_written(file, rng):
    small_index().save(file)
    with Index.updating(file) as index:
        add_rows(index, [100], rng)
        assert len(Index.load(file)) == 50


def test_concurrent_writers_lose_no_row(file):
    """Each writer waits for the other; threads suffice, since the lock is on an open file."""
    small_index(0).save(file)
    failures: list[BaseException] = []

    def write(start: int) -> None:
        try:
            for number in range(start, start + 10):
                with Index.updating(file, wait=60) as index:
                    add_rows(index, [number], np.random.default_rng(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(Index.load(file).names) == {f"d{i}" for i in [*range(10), *range(100, 110)]}


def test_a_lock_whose_file_was_removed_is_acquired_again(file, monkeypatch):
    """Otherwise two writers would hold locks on two files of the same name."""
    flock, removed = fcntl.flock, []

    def leave_first(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(file.parent.glob(".narrows-*.lock"))
            removed[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", leave_first)
    with writing_alone(file, wait=1):
        assert removed[0].exists()
        with pytest.raises(OutputBusy), writing_alone(file, wait=0):
            pass


def test_a_link_and_its_target_share_one_lock(file):
    small_index().save(file)
    link = file.with_name("link.index")
    link.symlink_to(file)
    with Index.updating(file), pytest.raises(OutputBusy):
        Index.load(link).save(link, wait=0)


@pytest.mark.parametrize("name", ["x" * 255, "\udcff", "-o", "a\nb"])
def test_long_and_unusual_file_names_are_written(tmp_path, name):
    small_index(3).save(tmp_path / name)
    assert len(Index.load(tmp_path / name)) == 3


@pytest.mark.parametrize("name", ["x" * 256, "nope/docs.index", "a\0b"])
def test_invalid_file_names_are_refused(tmp_path, name):
    with pytest.raises(ResourceError, match="cannot be written|is not a valid file name"):
        small_index(3).save(tmp_path / name)


def test_the_header_describes_the_content(index_bytes: bytes):
    end = 8 + int.from_bytes(index_bytes[:8], "little")
    body: dict[str, Any] = json.loads(json.loads(index_bytes[8:end])["__metadata__"]["narrows"])
    assert (body["kind"], body["spec"]["count"], body["spec"]["width"]) == ("index", 50, 32)


@pytest.mark.parametrize("value", [-1, "8", 1.0, True, None, 1 << 64])
def test_an_invalid_deleted_below_is_refused(file, index_bytes, value):
    file.write_bytes(resealed(index_bytes, {"deleted_below": value}))
    with pytest.raises(ModelFileError, match="deleted_below"):
        Index.load(file)
