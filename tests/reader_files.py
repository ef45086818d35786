"""Valid and damaged files for the readers, and their rows."""

from __future__ import annotations

import numpy as np
import torch

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
VALUES = ROWS.tobytes()
HEADER = {"descr": "<f4", "fortran_order": False, "shape": (4, 3)}


def rows_of(source, batch_size=3):
    return torch.cat(list(source.in_order(batch_size))).numpy()


def saved(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def npy_bytes(header=HEADER, body=VALUES, version=(1, 0)):
    text = header if isinstance(header, bytes) else repr(header).encode()
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + body


def damages(whole):
    flipped = whole[:14] + bytes([whole[14] ^ 255]) + whole[15:]
    wrong_sum = whole[:-8] + bytes(4) + whole[-4:]
    return {
        "truncated": whole[:-12],
        "head only": whole[:5],
        "flipped": flipped,
        "checksum": wrong_sum,
        "trailing": whole + b"junk",
        "plain": b"[1, 2]\n",
    }
