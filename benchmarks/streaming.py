"""Check that training from large files takes constant memory and constant time per row.

Writes float32 tables to disk, as .npy and as Parquet, with one and five million rows of 256
features (1 and 5 GB), and trains one epoch on each in a separate process, which reports its peak
resident memory and seconds per million rows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import described, versions

N_FEATURES = 256
BLOCK = 50_000
RESULTS = Path(__file__).parent / "results" / "streaming.md"

CHILD = r"""
import json, re, sys, time
from pathlib import Path
from narrows import Autoencoder, read
source = read(sys.argv[1], stream=True)
ae = Autoencoder(16, hidden=(64,), scale="none", loss="squared_error", max_epochs=1,
                 batch_size=1024, validation_fraction=0.0, random_state=0)
started = time.perf_counter()
ae.fit(source)
total = time.perf_counter() - started
print(json.dumps({
    "rows": source.n_rows,
    "epoch": ae.model_.record["epochs"][0]["seconds"],
    "total": total,
    "peak_mb": int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024,
    "explained": 1 - ae.model_.record["epochs"][0]["loss"] / N_FEATURES,
}))
""".replace("N_FEATURES", str(N_FEATURES))


def block(number: int, mixing: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(number)
    hidden = rng.standard_normal((BLOCK, len(mixing)), dtype=np.float32)
    noise = rng.standard_normal((BLOCK, N_FEATURES), dtype=np.float32)
    return 0.8 * (hidden @ mixing) + 0.6 * noise


def make(folder: Path, kind: str, n_rows: int) -> Path:
    """Write the table block by block and return its path."""
    mixing = np.random.default_rng(0).standard_normal((16, N_FEATURES), dtype=np.float32) / 4
    path = folder / f"{n_rows}.{kind}"
    if kind == "npy":
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, N_FEATURES)}
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for number in range(n_rows // BLOCK):
                file.write(block(number, mixing).data)
        return path
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{i}" for i in range(N_FEATURES)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for number in range(n_rows // BLOCK):
            columns = np.ascontiguousarray(block(number, mixing).T)
            writer.write_table(pa.table(list(columns), schema=schema), row_group_size=BLOCK)
    return path


def measure(path: Path) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs=2, default=(1, 5))
    parser.add_argument("--folder", type=Path, help="where temporary files are written")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    lines = ["# Streaming: memory and time per row", "", __doc__.split("\n\n")[1].strip(), ""]
    lines += [described(), ""]
    lines += [
        "| file | rows | peak memory, MB | epoch, s | s per million rows | ratio | whole fit, s |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    try:
        for kind in ("npy", "parquet"):
            first = None
            for millions in arguments.millions:
                path = make(folder, kind, int(millions * 1_000_000))
                result = measure(path)
                path.unlink()
                pace = result["epoch"] / result["rows"] * 1e6
                first = first or pace
                lines.append(
                    f"| {kind} | {int(result['rows']):,} | {result['peak_mb']:.0f} | "
                    f"{result['epoch']:.1f} | {pace:.2f} | {pace / first:.2f} | "
                    f"{result['total']:.1f} |"
                )
                print(lines[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    lines += ["", versions(["torch", "numpy", "pyarrow"]), ""]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
