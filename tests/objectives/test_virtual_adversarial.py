"""Virtual adversarial smoothing: nearby rows get the same class."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from narrows import Autoencoder, CodeClassifier, Identity, VectorQuantizedAutoencoder, load
from narrows.errors import UsageError
from narrows.objectives.code_task import CodeTask, HeadTask
from narrows.objectives.virtual_adversarial import SmoothTask, worst_step


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two clusters, their classes, and labels of the 6 leftmost rows of each, else -1."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    across = np.where(y, 1.2, -1.2) + rng.normal(0, 0.4, 400)
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    x = np.c_[across, rng.normal(0, 0.3, (400, 5))] @ turned
    known, order = np.full(400, -1), np.argsort(across)
    for label in (0, 1):
        known[order[y[order] == label][:6]] = label
    return x.astype(np.float32), y, known


@pytest.fixture(scope="module")
def ae(clusters) -> Autoencoder:
    settings = {"hidden": (32,), "scale": "none", "max_epochs": 20, "validation_fraction": 0.0}
    return Autoencoder(3, **settings, linear_start=False, random_state=0).fit(clusters[0])


def test_the_step_follows_the_direction_of_largest_change():
    weight = torch.tensor([[3.0, -3.0], [1.0, -1.0], [0.0, 0.0]])
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)) / 4
    step = worst_step(
        lambda rows: (rows @ weight).log_softmax(dim=1),
        x,
        (x @ weight).log_softmax(dim=1),
        radius=0.7,
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(step.norm(dim=1), torch.full((50,), 0.7))
    along = step @ torch.tensor([3.0, 1.0, 0.0]) / 10**0.5
    torch.testing.assert_close(along.abs(), torch.full((50,), 0.7), atol=1e-4, rtol=0)


def test_a_constant_prediction_has_no_step():
    x = torch.ones(4, 3)
    same = torch.zeros(4, 2).log_softmax(dim=1)
    step = worst_step(
        lambda rows: same + 0 * rows.sum(dim=1, keepdim=True),
        x, same, radius=1.0, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert (step == 0).all()


def test_the_decision_boundary_moves_between_the_clusters(clusters, ae):
    x, y, known = clusters
    settings = {"training": "fine_tuned", "missing_label": -1, "max_epochs": 60, "batch_size": 100}
    settings["features"] = "code"
    plain, smooth = (
        1 - CodeClassifier(ae, **settings, adversarial_radius=r, random_state=1).fit(x, known)
        .score(x, y)
        for r in (0.0, 1.0)
    )  # fmt: skip
    assert plain > 0.04  # the border is halfway between the labeled rows, within the left cluster
    assert smooth < 0.6 * plain


def test_fits_repeat_and_a_loaded_head_predicts_the_same(clusters, ae, tmp_path):
    x, y, _ = clusters
    settings = {"training": "joint", "max_epochs": 3, "adversarial_radius": 0.3}
    one, two = (CodeClassifier(ae, **settings, random_state=3).fit(x, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(x), two.predict_proba(x))
    one.save(tmp_path / "smooth.safetensors")
    again = load(tmp_path / "smooth.safetensors")
    assert again.adversarial_radius == 0.3
    np.testing.assert_array_equal(one.predict_proba(x), again.predict_proba(x))


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        ({"adversarial_radius": -1.0}, np.asarray, "adversarial_radius: must be a number >= 0"),
        ({"training": "frozen"}, np.asarray, "must be 0 with training='frozen'"),
        ({}, sp.csr_array, "adversarial_radius: X is sparse"),
    ],
)
def test_invalid_arguments_are_refused(clusters, ae, settings, rows, message):
    x, y, _ = clusters
    given = {"training": "fine_tuned", "adversarial_radius": 0.3, **settings}
    with pytest.raises(UsageError, match=message):
        CodeClassifier(ae, **given).fit(rows(x), y)


def test_the_term_is_the_divergence_from_the_predictions_at_the_row(clusters, ae):
    x, y = torch.from_numpy(clusters[0][:40]), torch.from_numpy(clusters[1][:40])
    fitted = CodeClassifier(ae, max_epochs=2, random_state=0).fit(*clusters[:2])
    task = CodeTask(
        fitted.autoencoder_.model_.objective,
        HeadTask(fitted.head_, classification=True),
        layer=fitted.layer_,
        corruption=Identity(),
    )
    generator = torch.Generator().manual_seed(5)
    terms = SmoothTask(task, radius=0.8)(x, y, generator=generator)
    plain = task(x, y, generator=torch.Generator().manual_seed(5))

    def log_probabilities(rows):
        return fitted.head_(task.features(rows)).log_softmax(dim=1)

    here = log_probabilities(x).detach()  # the predictions at x are a fixed target
    generator = torch.Generator().manual_seed(5)
    step = worst_step(log_probabilities, x, here, radius=0.8, generator=generator)
    there = log_probabilities(x + step)
    expected = F.kl_div(there, here, log_target=True, reduction="batchmean")
    assert expected > 1e-3
    for found, term in ((terms.total, plain.total), (terms.penalty, plain.penalty)):
        torch.testing.assert_close(found, term + expected)
    weights = [*task.parameters()]
    gradients = (
        torch.autograd.grad(of, weights, allow_unused=True, materialize_grads=True)
        for of in (terms.total, plain.total + expected)
    )
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gap", [1.0, 60.0])
def test_steps_keep_their_length_for_nearly_certain_predictions(gap):
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)) / 100
    here = torch.tensor([[gap, 0.0]]).expand(20, 2).log_softmax(dim=1)
    weight = torch.tensor([[1.0, -1.0]] * 4)
    step = worst_step(
        lambda rows: (torch.tensor([[gap, 0.0]]) + rows @ weight).log_softmax(dim=1),
        x, here, radius=2.0, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    lengths = step.norm(dim=1)
    torch.testing.assert_close(lengths[lengths > 0], torch.full_like(lengths[lengths > 0], 2.0))
    assert (lengths > 0).any()


def test_missing_values_and_quantized_codes_give_finite_predictions(clusters):
    x, y, _ = clusters
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    settings = {"training": "fine_tuned", "max_epochs": 2, "adversarial_radius": 0.5}
    for kind, rows in (
        (Autoencoder(3, hidden=(8,), corruption="missing", max_epochs=2, random_state=0), holes),
        (VectorQuantizedAutoencoder(4, hidden=(8,), max_epochs=2, random_state=0), x),
    ):
        fitted = CodeClassifier(kind, **settings, random_state=0).fit(rows, y)
        assert np.isfinite(fitted.predict_proba(rows)).all()
