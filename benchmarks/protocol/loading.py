"""Read the data sets: tables, images and masks here, texts in ``loading_texts``."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np

from protocol.data import Data
from protocol.loading_texts import arxiv, docstrings, newsgroups, reuters, single_topics

__all__ = ["adbench", "arxiv", "cats", "digits", "docstrings", "embeddings", "idx_images", "ink",
           "mixed_table", "newsgroups", "nuclei", "rare_class", "reuters",
           "sklearn_table"]  # fmt: skip

_MOST_CATEGORIES = 30


def _path(*parts: str) -> Path:
    return Path(os.environ["NARROWS_DATA"], *parts)


def sklearn_table(name: str) -> Data:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Data(np.asarray(x, np.float64), y, numeric_y=name == "diabetes")


def rare_class(name: str) -> Data:
    """Return a table of classes in which the last class, thinned out, is the anomaly.

    One anomaly is kept for every ten normal rows. scikit-learn's breast cancer has its malignant
    rows as class 0, so there class 0 is taken.
    """
    data = sklearn_table(name)
    assert data.y is not None
    odd = 0 if name == "breast_cancer" else data.y.max()
    normal, anomalies = np.flatnonzero(data.y != odd), np.flatnonzero(data.y == odd)
    kept = np.random.default_rng(0).choice(anomalies, len(normal) // 10, replace=False)
    rows = np.sort(np.concatenate([normal, kept]))
    return Data(data.rows[rows], (data.y[rows] == odd).astype(int), anomalies=True)


def adbench(prefix: str, name: str) -> Data:
    (path,) = _path("adbench_classical").glob(f"{prefix}{name.removeprefix('adbench_')}.npz")
    with np.load(path) as held:
        return Data(held["X"].astype(np.float64), held["y"].ravel().astype(int),
                    anomalies=True)  # fmt: skip


def digits() -> Data:
    from sklearn.datasets import load_digits

    found = load_digits()
    return Data((found.images / 16).astype(np.float32), found.target)


def ink() -> Data:
    """Return digits with noise; the mask is the ink of the clean digit."""
    clean = digits().rows
    noise = np.random.default_rng(0).normal(scale=0.3, size=clean.shape)
    return Data(np.clip(clean + noise, 0, 1).astype(np.float32), (clean > 0.45).astype(np.uint8))


def _idx(path: Path, offset: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def idx_images(folder: str) -> Data:
    images, labels = [], []
    for part in ("train", "t10k"):
        pixels = _idx(_path(folder, f"{part}-images-idx3-ubyte.gz"), 16)
        images.append(pixels.reshape(-1, 28, 28).astype(np.float32) / 255)
        labels.append(_idx(_path(folder, f"{part}-labels-idx1-ubyte.gz"), 8).astype(int))
    is_test = np.repeat([False, True], [len(part) for part in images])
    return Data(np.concatenate(images), np.concatenate(labels), is_test=is_test)


def _halved(images: np.ndarray, times: int) -> np.ndarray:
    """Average blocks of ``times`` x ``times`` pixels."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // times, times, width // times, times)
    return blocks.mean(axis=(2, 4)).astype(np.float32)


def nuclei(side: int) -> Data:
    """Return gray images of nuclei, and the masks of their nuclei."""
    with np.load(_path("nuclei_dsb2018", "nuclei128.npz")) as held:
        gray, masks = held["images"].mean(axis=3) / 255, held["masks"].astype(np.float32)
        is_test = held["is_test"]
    times = 128 // side
    return Data(_halved(gray, times), (_halved(masks, times) >= 0.5).astype(np.uint8),
                is_test=is_test)  # fmt: skip


def cats() -> Data:
    from PIL import Image

    with np.load(_path("cat_faces", "cats64.npz")) as held:
        data, offsets, is_test = held["data"], held["offsets"], held["is_test"]
    gray = np.empty((len(is_test), 32, 32), np.float32)
    for i, (start, stop) in enumerate(zip(offsets[:-1], offsets[1:], strict=True)):
        image = Image.open(io.BytesIO(data[start:stop].tobytes())).convert("L")
        gray[i] = np.asarray(image.resize((32, 32), Image.Resampling.BOX), np.float32) / 255
    return Data(gray, is_test=is_test)


def embeddings(corpus: str) -> Data:
    """Return sentence embeddings with their newsgroup, or their Reuters topic if it is only one."""
    with np.load(_path("embeddings", f"{corpus}_minilm.npz")) as held:
        x, rows = held["embedding"].astype(np.float32), held["row"]
    if corpus == "20newsgroups":
        data = newsgroups()
        assert data.y is not None and data.is_test is not None
        return Data(x, data.y[rows], is_test=data.is_test[rows])
    topics = single_topics()[rows]
    common = np.isin(topics, [t for t in np.unique(topics) if t and (topics == t).sum() >= 60])
    return Data(x[common], topics[common])


_TARGETS = {"ames": "Sale_Price", "attrition": "Attrition", "covid_testing": "result",
            "credit_data": "Status", "diamonds": "price", "flights": "arr_delay",
            "loans_full_schema": "interest_rate", "penguins": "species",
            "wa_churn": "churn"}  # fmt: skip


def mixed_table(name: str) -> Data:
    """Return the numbers of a table and, one column each, its frequent categories.

    Missing numbers stay NaN. A column of texts with more than 30 different values (names, keys) is
    left out, since no rival can read it either, and so is a column that is mostly empty. The
    column of ``_TARGETS`` is y; rows without it are dropped.
    """
    import pandas as pd

    frame = pd.read_csv(_path("mixed_tables", f"{name}.csv.gz")).dropna(subset=_TARGETS[name])
    target = frame.pop(_TARGETS[name])
    columns = []
    for column in frame:
        values = frame[column]
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            columns.append(values.to_numpy(np.float64, na_value=np.nan)[:, None])
        elif values.nunique() <= _MOST_CATEGORIES:
            columns.append(pd.get_dummies(values).to_numpy(np.float64))
    x = np.hstack(columns)
    numeric = pd.api.types.is_numeric_dtype(target)
    return Data(x[:, np.isfinite(x).mean(axis=0) > 0.5], target.to_numpy(float if numeric else str),
                numeric_y=numeric)  # fmt: skip
