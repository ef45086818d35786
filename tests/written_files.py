"""Files that an earlier version wrote, with its answers; later versions must reproduce them.

``python tests/written_files.py`` writes those of the version at hand into ``tests/written``. Files
that are there stay as they are: they were written by the version that they stand for.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from small_estimators import COUNTS, IMAGES, ROWS, rows_for, targets_for, unfitted

from narrows import Index, SemanticHasher
from narrows.estimators.all_estimators import AUTOENCODERS, DETECTORS, HEADS

FOLDER = Path(__file__).parent / "written"
TEXTS = ["a red fox", "the red dog and fox", "a dog", "fox and hen", "the hen", "red hen"] * 4
INDEXES = ("flat", "hash", "hnsw", "float")


def small(cls: type) -> Any:
    """Return an estimator to fit whose file takes some kilobytes."""
    est = unfitted(cls)
    return (
        est.set_params(hidden=(8,)) if cls in AUTOENCODERS and "hidden" in est.get_params() else est
    )


def answers(est: Any, X: Any) -> np.ndarray:
    """Return a model's answers for rows, a table of numbers."""
    if type(est) in DETECTORS:
        return est.score_samples(X)[:, None]
    if type(est).__name__ == "CodeSegmenter":
        return est.predict_proba(X).reshape(len(X), -1)
    if type(est) in HEADS and hasattr(est, "predict_proba"):
        return est.predict_proba(X)
    if type(est) in HEADS and hasattr(est, "predict"):
        return est.predict(X).reshape(len(X), -1)
    return est.transform(X)


def hits(index: Index, codes: np.ndarray) -> list[list[str]]:
    return [[hit.name for hit in found] for found in index.search(codes, 3)]


def _write() -> None:
    FOLDER.mkdir()
    found: dict[str, np.ndarray] = {"rows": ROWS, "images": IMAGES, "counts": COUNTS.toarray()}
    for cls in (*AUTOENCODERS, *HEADS, *DETECTORS):
        est = small(cls).fit(rows_for(cls), targets_for(cls))
        est.save(FOLDER / f"{cls.__name__}.safetensors")
        found[cls.__name__] = answers(est, rows_for(cls))
    texts = SemanticHasher(8, hidden=(8,), max_epochs=1, random_state=0).fit(TEXTS)
    texts.save(FOLDER / "texts.safetensors")
    found["texts"] = texts.transform(TEXTS)
    rng = np.random.default_rng(0)
    for kind in INDEXES:
        of_floats = kind == "float"
        made = Index.create(n_components=3) if of_floats else Index.create(n_bits=16, kind=kind)
        codes = rng.normal(size=(30, 3)).astype("f4") if of_floats else rng.integers(
            0, 256, (30, 2), dtype=np.uint8
        )  # fmt: skip
        made.add([f"row {i}" for i in range(30)], codes, [{"i": i} for i in range(30)])
        made.save(FOLDER / f"{kind}.index")
        found[f"{kind}.codes"], found[f"{kind}.hits"] = codes, np.array(hits(made, codes))
    np.savez_compressed(FOLDER / "answers.npz", **found)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _write()
