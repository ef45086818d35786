"""Models to export, and the outputs of ONNX files, shared by the tests of export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from test_contract import N_FEATURES, NEEDS
from torch import Generator

from narrows.data.array_sources import DenseSource
from narrows.data.scaling import Scaling
from narrows.model import coding
from narrows.model.model import Model
from narrows.model.schema import Schema
from narrows.variants.building import build_objective

WIDTH = 4


def answers(path: Path, rows: np.ndarray) -> np.ndarray:
    """Return the outputs that a program without narrows and torch gets."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (answer,) = session.run(None, {given.name: np.asarray(rows, dtype=np.float32)})
    return answer


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Assert equality up to 1e-5 of the largest number."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * max(1e-3, abs(expected).max()))


def scaling(kind: str) -> Scaling:
    draw = Generator().manual_seed(7)
    shift = torch.randn(N_FEATURES, generator=draw)
    scale = 0.1 + torch.rand(N_FEATURES, generator=draw)
    return {
        "none": Scaling("none"),
        "unit": Scaling("unit", scale=torch.tensor(255.0)),
        "center": Scaling("center", shift),
        "standard": Scaling("standard", shift, scale),
        "proportions": Scaling("proportions"),
        "tfidf": Scaling("tfidf", scale=scale),
    }[kind]


def model(variant: str, scale: str = "standard", loss: str = "squared_error", **more) -> Model:
    """A net without zero weights and biases, as after training."""
    parameters = {"n_components": WIDTH, "loss": loss, **NEEDS.get(variant, {}), **more}
    if variant not in ("linear", "dictionary"):
        parameters |= {"hidden": [8, 5]}
    objective = build_objective(variant, parameters, N_FEATURES).eval()
    draw = Generator().manual_seed(3)
    with torch.no_grad():
        for weight in objective.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=draw)
    return Model(variant, parameters, objective, scaling(scale), Schema(N_FEATURES))


def counts(n_rows: int, seed: int = 0) -> np.ndarray:
    """Whole numbers >= 0, in input units of every scaling; the first row is of zeros."""
    rows = np.random.default_rng(seed).poisson(2.0, (n_rows, N_FEATURES)).astype(np.float32)
    rows[0] = 0
    return rows


def own_answers(fitted: Model, part: str, rows: np.ndarray) -> np.ndarray:
    if part == "decoder":
        return np.concatenate(list(coding.decode_rows(fitted, rows)))
    of_rows = {"encoder": coding.codes, "reconstruct": coding.reconstructions}[part]
    return np.concatenate(list(of_rows(fitted, DenseSource(torch.from_numpy(rows)))))
