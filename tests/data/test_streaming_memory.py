"""Training from a file twelve times larger uses no more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_CHILD = r"""
import re, sys
from pathlib import Path
import narrows.model.baseline as baseline
import narrows.data.stream as stream
baseline.MAX_ROWS = 10_000
stream.BLOCK_BYTES = 1 << 20
from narrows import Autoencoder, read
for path in sys.argv[1:]:
    Autoencoder(2, hidden=(), scale="none", loss="squared_error", max_epochs=1, batch_size=4096,
                validation_fraction=0.0, random_state=0).fit(read(path, stream=True))
    # of this process alone: getrusage would count what it was forked from
    print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_megabytes(*paths: Path) -> list[float]:
    """Return a process's peak memory after training from each of the files."""
    command = [sys.executable, "-c", _CHILD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(line) / 1024 for line in done.stdout.splitlines()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the peak in")
@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    paths = []
    for n_rows in (40_000, 480_000):  # 20 and 246 MB; both over what the baseline samples here
        table = np.random.default_rng(0).standard_normal((n_rows, 128), dtype=np.float32)
        paths.append(tmp_path / f"{n_rows}.{kind}")
        if kind == "npy":
            np.save(paths[-1], table)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            columns = {f"x{i}": column for i, column in enumerate(table.T)}
            pq.write_table(pa.table(columns), paths[-1], row_group_size=8192, use_dictionary=False)
        del table
    short, long = peak_megabytes(*paths)
    assert long < short + 130  # 225 more if the file were held; allocators vary by up to 90
