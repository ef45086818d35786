"""Distinguishable rows as sources, and the rows that sources return."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from sklearn.base import BaseEstimator

from narrows.data import read, stream
from narrows.data.splitting import Grouping, Split
from narrows.data.statistics import describe
from narrows.estimators.inputs import fit_source

N, WIDTH = 103, 3
# the first column is the row's number, so that rows are distinct
ROWS = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)
ROWS[:, 0] = np.arange(N)


def streamed(kind, folder, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4 * WIDTH * 7)
    monkeypatch.setattr(stream, "POOL_BLOCKS", 3)
    if kind == "npy":
        np.save(folder / "x.npy", ROWS)
        return read(folder / "x.npy", stream=True)
    table = pa.table({name: ROWS[:, i] for i, name in enumerate("abc")})
    pq.write_table(table, folder / "x.parquet", row_group_size=11)
    return read(folder / "x.parquet", stream=True)


def split(source, fraction, *, generator):
    """The training rows and the held-out rows."""
    selection = Grouping().select(source.n_rows, fraction, generator=generator)
    found = Split.of(source, selection)
    return found.training, found.held_out


def dense(batch):
    return batch if isinstance(batch, torch.Tensor) else batch.to_dense()


def numbers(batches):
    return [dense(batch)[:, 0].int().tolist() for batch in batches]


def flat(batches):
    return [number for batch in numbers(batches) for number in batch]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fitted(X):
    """Return the rows of X as nets receive them."""
    source = fit_source(BaseEstimator(), X)
    describe(source)
    return np.vstack([dense(batch).numpy() for batch in source.in_order(2)])


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array
