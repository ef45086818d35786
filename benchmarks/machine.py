"""Describe the machine and package versions of a benchmark."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version

import torch

__all__ = ["described", "versions"]


def described() -> str:
    """Return a line with processor, threads, number formats and date."""
    flags = torch.cpu.get_capabilities()
    formats = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if flags.get(name)]
    return (
        f"Machine: {flags.get('cpu_name', platform.processor())}, "
        f"{torch.get_num_threads()} threads, "
        f"{', '.join(formats)}; {time.strftime('%Y-%m-%d')}."
    )


def versions(packages: list[str]) -> str:
    """Return a line of package versions."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return f"Versions: Python {platform.python_version()}, " + ", ".join(found) + "."
