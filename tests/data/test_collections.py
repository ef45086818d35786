"""Lists of images, loaders and generators as X; a Source as an array."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset, TensorDataset

import narrows
from narrows import read
from narrows.data import memory, stream
from narrows.errors import InvalidData, ResourceError, UsageError
from narrows.estimators.inputs import fit_source

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(12, 5, 4, 3)).astype(np.uint8)


def small(cls=narrows.Autoencoder):
    return cls(2, hidden=(4,), max_epochs=1, random_state=0)


FORMS = {
    "arrays": list,
    "a tuple": tuple,
    "tensors": lambda X: [torch.from_numpy(x) for x in X],
    "PIL": lambda X: [Image.fromarray(x) for x in X],
    "an array of objects": lambda X: np.array([*map(Image.fromarray, X), None], object)[:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_list_of_images_is_the_array_of_them(form):
    ae = small().fit(IMAGES)
    listed = small().fit(FORMS[form](IMAGES))
    np.testing.assert_array_equal(listed.transform(FORMS[form](IMAGES)), ae.transform(IMAGES))
    assert listed.reconstruct(FORMS[form](IMAGES)).shape == IMAGES.shape
    assert listed.n_features_in_ == 60


def test_pil_images_are_converted_like_files(tmp_path):
    made = [Image.new("L", (4, 5), 7), Image.new("RGBA", (4, 5), (0, 0, 0, 0))]
    for i, image in enumerate(made):
        image.save(tmp_path / f"{i}.png")
    np.testing.assert_array_equal(np.asarray(fit_source(small(), made)), np.asarray(read(tmp_path)))


def test_lists_of_numbers_and_of_texts_are_unchanged():
    rows = RNG.normal(size=(12, 3))
    a, b = (small().fit(X).transform(X) for X in (rows, rows.tolist()))
    np.testing.assert_array_equal(a, b)
    texts = ["a cat sat", "the dog ran", "cat and dog"] * 4
    narrows.DocumentAutoencoder(2, max_epochs=1, hidden=(4,), pretrain=None).fit(texts)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([IMAGES[0], IMAGES[1][:4]], r"image 1 has shape \(4, 4, 3\), image 0 has \(5, 4, 3\)"),
        ([IMAGES[0], IMAGES[1][..., 0]], "image 1 has shape .*one number of channels"),
        ([Image.new("L", (4, 5)), Image.new("L", (5, 4))], "image 1 has shape .* resize"),
        ([Image.new("F", (4, 5))] * 2, "image 0 cannot be read: floating-point pixels"),
        ([IMAGES[0], None], "item 1 is a NoneType, but item 0 is an image"),
        (Image.new("L", (4, 5)), r"one image; give a list of images, such as \[image\]"),
        ((row for row in IMAGES), "a generator can be read only once; give numpy.stack"),
        (iter([1]), "a list_iterator can be read only once"),
        (DataLoader(TensorDataset(torch.zeros(9, 3))), r"cannot be a torch DataLoader\. Give"),
        (
            TensorDataset(torch.zeros(9, 3)),
            r"cannot be a torch TensorDataset\. .* tensors\[0\] of a",
        ),
    ],
)
@pytest.mark.parametrize(
    "cls", [narrows.Autoencoder, narrows.DocumentAutoencoder, narrows.SemanticHasher]
)
def test_unsupported_inputs_are_refused_with_advice(X, message, cls):
    with pytest.raises(InvalidData, match=message):
        cls().fit(X)


def test_heads_and_detectors_refuse_unsupported_inputs():
    class Rows(Dataset):
        def __len__(self):
            return 9

        def __getitem__(self, row):
            raise KeyError(row)

    for fit in (lambda X: narrows.CodeClassifier(small()).fit(X, [0, 1, 2] * 3),
                lambda X: narrows.AnomalyDetector(small()).fit(X)):  # fmt: skip
        with pytest.raises(InvalidData, match="cannot be a torch Rows"):
            fit(Rows())


ROWS = RNG.normal(size=(12, 5)).astype(np.float32)


@pytest.fixture(params=["npy", "stream", "parquet", "csv", "npz", "images"])
def source_and_rows(request, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4 * 5 * 3)
    path = tmp_path / f"x.{request.param}"
    if request.param in ("npy", "stream"):
        path = tmp_path / "x.npy"
        np.save(path, ROWS)
        return read(path, stream=request.param == "stream"), ROWS
    if request.param == "parquet":
        pq.write_table(pa.table({n: ROWS[:, i] for i, n in enumerate("abcde")}), path)
        return read(path, stream=True), ROWS
    if request.param == "csv":
        lines = [",".join(map(repr, row.tolist())) + f",c{i % 3}" for i, row in enumerate(ROWS)]
        path.write_text("a,b,c,d,e,kind\n" + "\n".join(lines))
        return read(f"{path}:label=kind"), ROWS.astype(np.float64)
    if request.param == "npz":
        sparse = np.where(ROWS > 0, ROWS, 0).astype(np.float32)
        sp.save_npz(path, sp.csr_array(sparse))
        return read(path), sparse
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{i:02}.png")
    return read(tmp_path), IMAGES


def test_a_source_can_be_inspected_as_an_array(source_and_rows):
    source, rows = source_and_rows
    assert (len(source), source.shape, source.ndim) == (len(rows), rows.shape, rows.ndim)
    assert source.dtype == rows.dtype == np.asarray(source).dtype
    np.testing.assert_array_equal(np.asarray(source), rows)
    np.testing.assert_array_equal(np.asarray(source, dtype=np.float64), rows)
    for part in (slice(2, 7), slice(None, None, 3), slice(-4, None), [1, 5, 6], np.arange(12) > 6):
        taken = source[part]
        np.testing.assert_array_equal(np.asarray(taken), rows[part])
        if source.labels is not None:
            assert taken.labels.tolist() == source.labels[part].tolist()
        if source.ids is not None:
            assert taken.ids.tolist() == source.ids[part].tolist()
        np.testing.assert_array_equal(np.asarray(taken[1:]), rows[part][1:])
    np.testing.assert_array_equal(source[3], rows[3])
    np.testing.assert_array_equal(source[-1], rows[-1])
    np.testing.assert_array_equal(np.stack([*source]), rows)
    for wrong in (12, "a", (1, 2), [[1]], 1.5):
        with pytest.raises(IndexError):
            source[wrong]


def test_parts_can_be_fitted_and_queried(source_and_rows):
    source, _ = source_and_rows
    ae = small().fit(source[:8])
    assert ae.transform(source[8:]).shape == (4, 2)
    np.testing.assert_array_equal(ae.transform(source[8:]), ae.transform(source)[8:])


def test_scikit_learn_can_split_a_source(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    train, test = train_test_split(read(tmp_path / "x.npy"), random_state=0)
    expected = train_test_split(ROWS, random_state=0)
    for part, rows in zip((train, test), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(part), rows)


def test_rows_of_a_stream_are_taken_in_ascending_order(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    source = read(tmp_path / "x.npy", stream=True)
    for order in (slice(None, None, -1), [3, 1], [1, 1]):
        with pytest.raises(
            UsageError, match="is streamed, so its rows must be taken in ascending order"
        ):
            source[order]
        rows = read(tmp_path / "x.npy")[order]
        np.testing.assert_array_equal(np.asarray(rows), ROWS[order])


def test_a_source_larger_than_memory_does_not_become_an_array(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", ROWS)
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    with pytest.raises(ResourceError, match=r"x\.npy: 12 x 5 numbers need .*take fewer rows"):
        np.asarray(read(tmp_path / "x.npy", stream=True))
