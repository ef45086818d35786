"""Every variant with every piece: it fits, saves and loads, or refuses with its reason."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

import narrows
from narrows import DocumentAutoencoder, Loss, Patches, SemanticHasher, load
from narrows.catalog import VARIANTS
from narrows.corruptions import CORRUPTIONS
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RNG = np.random.default_rng(0)
ROWS = RNG.random((40, 9)).astype(np.float32)
COUNTS = RNG.poisson(1.0, (40, 9)).astype(np.float32) + np.eye(40, 9, dtype=np.float32)
CLASSES = (ROWS[:, 0] > 0.5).astype(int)
SMALL = {"n_components": 4, "max_epochs": 1, "validation_fraction": 0.0, "random_state": 0}
SHAPES = {
    "hidden": (6,), "channels": (4,), "image_shape": (3, 3), "k": 2, "pretrain_epochs": 1,
}  # fmt: skip

QUANTIZED = "Commitment: needs a quantized code"
POSTERIOR = "KLToPrior: needs a posterior"
ATOMS = "Revive: needs a top-k code and a decoder of one layer"
MEANS = "KLSparsity needs code_activation='sigmoid'"  # the mean of a unit is a probability
CONSTANT = "a quantized code is constant almost everywhere, so that its Jacobian is 0"


def refusal(variant: str, piece: str) -> str | None:
    """Return why a combination is refused; None if it is accepted."""
    if piece == "commitment" and variant != "vector_quantized":
        return QUANTIZED
    if piece == "kl_to_prior" and variant != "variational":
        return POSTERIOR
    if piece == "revive" and variant != "dictionary":
        return ATOMS
    if piece == "kl_sparsity" and variant != "contractive":
        return MEANS
    if piece in ("contractive", "higher_order_contractive") and variant == "vector_quantized":
        return CONSTANT
    if piece == "patches" and variant == "stacked":  # the layers above read no images
        return r"Patches: image_shape \(3, 3\) does not hold 6 features"
    return None


def estimator(variant: str, **slots: Any) -> Any:
    chosen = VARIANTS[variant]
    kind = getattr(narrows, chosen.estimator)
    shapes = {k: v for k, v in SHAPES.items() if k in inspect.signature(kind).parameters}
    return kind(**{**SMALL, **shapes, **chosen.arguments, **slots})


def slots_of(variant: str) -> set[str]:
    parameters = inspect.signature(getattr(narrows, VARIANTS[variant].estimator)).parameters
    return {"corruption", "penalties", "loss", "augmentation", "encoder", "decoder"} & {*parameters}


def checked(est: Any, X: np.ndarray, path: Any, pieces: Any = ()) -> None:
    """Save and load, and compare codes to the bit."""
    est.save(path / "m.safetensors")
    again = load(path / "m.safetensors", pieces=pieces)
    np.testing.assert_array_equal(again.transform(X), est.transform(X))


KNOWN = [
    (variant, slot, piece)
    for variant, (slot, table) in product(
        VARIANTS, {"corruption": CORRUPTIONS, "penalties": PENALTIES, "loss": LOSSES}.items()
    )
    for piece in table
]


def test_every_variant_accepts_every_slot_that_its_formula_leaves_open():
    for variant in VARIANTS:
        missing = {"corruption", "penalties", "loss", "augmentation"} - slots_of(variant)
        # words in a row have no neighbors, unlike pixels
        assert missing == ({"augmentation"} if variant == "document" else set()), variant


@pytest.mark.parametrize("variant, slot, piece", KNOWN)
def test_a_named_piece_works_in_every_variant(variant, slot, piece, tmp_path):
    given: Any = Patches(image_shape=(3, 3)) if piece == "patches" else piece
    est = estimator(variant, **{slot: (given,) if slot == "penalties" else given})
    X = COUNTS if piece == "multinomial" or variant == "document" else ROWS
    y = CLASSES if piece == "auxiliary" else None
    reason = refusal(variant, piece)
    if reason is not None:
        with pytest.raises(narrows.errors.UsageError, match=reason):
            est.fit(X, y)
        return
    checked(est.fit(X, y), X, tmp_path)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if "augmentation" in slots_of(v)])
def test_an_augmentation_works_in_every_variant(variant, tmp_path):
    images = ROWS.reshape(-1, 3, 3)
    checked(estimator(variant, augmentation="affine").fit(images), images, tmp_path)


@dataclass(frozen=True)
class Shrink:
    """Omega = weight * mean |h|, read from the step."""

    weight: float = 0.1

    def __call__(self, step: Any) -> torch.Tensor:
        return self.weight * step.code.h.abs().mean()


@dataclass(frozen=True)
class Huber(Loss):
    delta: float = 0.5
    unit = "Huber loss per sample"

    def per_sample(self, output: Any, x: Any, weights: Any = None) -> torch.Tensor:
        x = x if isinstance(x, torch.Tensor) else narrows.core.sparse.dense_rows(x)
        each = nn.functional.huber_loss(output, x, reduction="none", delta=self.delta)
        return (each if weights is None else each * weights).sum(dim=1)


def half(x: Any, *, generator: torch.Generator) -> Any:
    """A corruption that halves the features."""
    return x * 0.5


class Trunk(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(9, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4))


class Back(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, 9))


OWN = {
    "penalties": (Shrink(0.2),),
    "loss": Huber(),
    "corruption": half,
    "encoder": Trunk(),
    "decoder": Back(),
}


@pytest.mark.parametrize(
    "variant, slot", [(v, s) for v in VARIANTS for s in OWN if s in slots_of(v)]
)
def test_a_custom_piece_works_in_every_variant(variant, slot, tmp_path):
    X = COUNTS if variant == "document" else ROWS
    est = estimator(variant, **{slot: OWN[slot]})
    reason = {
        ("variational", "encoder"): POSTERIOR,
        ("tied", "encoder"): "tied: the decoder's weights are a dense encoder's",
        ("tied", "decoder"): "tied: the decoder's weights are a dense encoder's",
        ("top_k", "encoder"): "the encoder itself keeps the k largest",
    }.get((variant, slot))
    if reason is not None:
        with pytest.raises(narrows.errors.UsageError, match=reason):
            est.fit(X)
        return
    est.fit(X)
    with pytest.raises(narrows.errors.ModelFileError, match="load.path, pieces="):
        checked(est, X, tmp_path)
    checked(est, X, tmp_path, [Shrink, Huber, half, Trunk, Back])


@pytest.mark.parametrize("n_neighbors", [0, 5])
@pytest.mark.parametrize("cls", [DocumentAutoencoder, SemanticHasher])
def test_labels_reach_a_task_of_a_net_with_neighbors(cls, n_neighbors):
    """Rows are rebuilt with their neighbors, and their code still predicts y."""
    labels = np.where(COUNTS[:, 0] > 1, "often", "rarely")
    est = cls(8, hidden=(16,), penalties="auxiliary:100", n_neighbors=n_neighbors,
              neighbors_by="rows", corruption=None, max_epochs=200, validation_fraction=0.0,
              random_state=0).fit(COUNTS, labels)  # fmt: skip
    codes = torch.from_numpy(est.transform(COUNTS))
    predicted = est.model_.objective.tasks[0].predict(codes).argmax(dim=1).numpy()
    assert (est.classes_[predicted] == labels).mean() > 0.9


def test_penalties_are_kept_with_a_sampled_softmax():
    """The penalty was once dropped silently."""
    counts = sp.csr_array(COUNTS)
    arguments = {"hidden": (6,), "sampled_words": 3, "max_epochs": 20, "random_state": 0}
    sizes = [
        np.abs(
            DocumentAutoencoder(4, penalties=p, **arguments).fit(counts).transform(counts)
        ).mean()
        for p in ((), "l1:1")
    ]
    assert sizes[1] < 0.8 * sizes[0]
