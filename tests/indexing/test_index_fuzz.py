"""Index files with arbitrary content are refused, or give an index that answers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefact_files import take_apart
from hypothesis import given, settings
from hypothesis import strategies as st
from index_files import resealed, small_index

from narrows.errors import ModelFileError
from narrows.indexing.index import Index


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The bytes of a small index of every kind of file."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in {
            "hnsw": {"kind": "hnsw"},
            "hash": {"kind": "hash", "vector_width": 0},
            "floats": {"n_bits": None, "n_components": 3, "vector_width": 3},
        }.items():
            path = Path(folder) / name
            small_index(12, **arguments).save(path)
            made[name] = path.read_bytes()
    return made


def read_and_use(data: bytes) -> None:
    """Load and use the whole index; any error but ModelFileError is a fault."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i"
        path.write_bytes(data)
        try:
            index = Index.load(path)
            index.verify()
            for name in index.names[:4]:
                index.metadata(name)
                index.like(name, 3)
        except ModelFileError:
            pass


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-2, 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["hamming", "cosine", "hash", "hnsw", "flat", "ivf", "float16", "float32"]),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)
_FIELDS = (
    "metric",
    "width",
    "kind",
    "model_digest",
    "vector_width",
    "vector_dtype",
    "count",
    "other",
)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["hnsw", "hash", "floats"]),
    spec=st.dictionaries(st.sampled_from(_FIELDS), _VALUES, min_size=1, max_size=3),
)
def test_any_spec_is_refused_or_answers(files: dict[str, bytes], kind: str, spec: Any) -> None:
    read_and_use(resealed(files[kind], spec))


@settings(max_examples=250, deadline=None)
@given(kind=st.sampled_from(["hnsw", "hash", "floats"]), data=st.data())
def test_any_numbers_in_any_tensor_are_refused_or_answer(
    files: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    header, _, payload = take_apart(files[kind])
    dtypes = {"U8": np.uint8, "I64": np.int64, "I32": np.int32, "F32": np.float32}
    changes: dict[str, np.ndarray] = {}
    for name in data.draw(st.lists(st.sampled_from(sorted(header)), min_size=1, max_size=2)):
        entry = header[name]
        start, stop = entry["data_offsets"]
        array = np.frombuffer(payload[start:stop], dtypes[entry["dtype"]]).copy()
        if array.size:
            place = data.draw(st.integers(0, array.size - 1))
            raw = data.draw(st.binary(min_size=array.itemsize, max_size=array.itemsize))
            small = data.draw(st.booleans()) and array.dtype.kind == "i"
            if small:
                array[place] += data.draw(st.integers(-3, 3))
            else:
                array[place] = np.frombuffer(raw, array.dtype)[0]
        if data.draw(st.integers(0, 4)) == 0:
            array = array[: data.draw(st.integers(0, array.size))]
            changes[name] = array
        else:
            changes[name] = array.reshape(entry["shape"])
    read_and_use(resealed(files[kind], **changes))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["hnsw", "hash", "floats"]), data=st.data())
def test_any_damage_is_refused(files: dict[str, bytes], kind: str, data: st.DataObject) -> None:
    whole = files[kind]
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, min(len(whole), start + 40)))
    damaged = whole[:start] + data.draw(st.binary(max_size=40)) + whole[stop:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i"
        path.write_bytes(damaged)
        if damaged == whole:
            return
        with pytest.raises(ModelFileError):
            Index.load(path)


@settings(max_examples=100, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=8), max_size=12), k=st.integers(1, 15))
def test_any_names_are_kept_and_found(names: list[str], k: int) -> None:
    names = [
        name for name in dict.fromkeys(names) if not any("\ud800" <= c <= "\udfff" for c in name)
    ]
    index = Index.create(n_bits=8)
    index.add(names, np.arange(len(names), dtype=np.uint8)[:, None])
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "i")
        loaded = Index.load(Path(folder) / "i")
    assert loaded.names == names
    for row, name in enumerate(names):
        assert loaded._rows.names.find(name) == row
        assert len(loaded.like(name, k)) == min(k, len(names) - 1)
