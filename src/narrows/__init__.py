"""Narrows learns short codes of images, documents and tables, and puts them to use.

J(x) = L( x, g( f( x~ ) ) ) + sum of Omega
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from narrows._version import __version__ as __version__
from narrows.catalog import HOMES

__all__ = sorted([*HOMES, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll] -- see .pyi


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: ``import narrows`` does not wait for torch."""
    if name not in HOMES:
        raise AttributeError(f"module 'narrows' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
