"""Documents that are at hand everywhere: what the scientific packages say of themselves."""

from __future__ import annotations

import importlib
import inspect

from narrows.text import Document

__all__ = ["docstrings"]

_MODULES = (
    "numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random "
    "scipy.cluster scipy.fft scipy.integrate scipy.interpolate scipy.linalg scipy.ndimage "
    "scipy.optimize scipy.signal scipy.sparse scipy.spatial scipy.special scipy.stats "
    "sklearn.cluster sklearn.covariance sklearn.datasets sklearn.decomposition sklearn.ensemble "
    "sklearn.feature_extraction sklearn.gaussian_process sklearn.linear_model sklearn.manifold "
    "sklearn.metrics sklearn.model_selection sklearn.neighbors sklearn.preprocessing sklearn.svm "
    "sklearn.tree"
)
_SHORTEST = 300  # characters: aliases and stubs say less


def docstrings() -> list[Document]:
    """Return the docstrings of public classes and functions, labeled by their module."""
    found: dict[str, Document] = {}
    seen: set[str] = set()
    for module_name in _MODULES.split():
        module = importlib.import_module(module_name)
        for name in sorted(getattr(module, "__all__", ())):
            member = vars(module).get(name)  # what is loaded: no lazy names that refuse
            if not (inspect.isclass(member) or callable(member)):
                continue
            text = inspect.getdoc(member) or ""
            if len(text) < _SHORTEST or text in seen:
                continue
            seen.add(text)
            full = f"{module_name}.{name}"
            found[full] = Document(full, text, (module_name,))
    return list(found.values())
