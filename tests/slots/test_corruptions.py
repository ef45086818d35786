"""Corruptions: noise on rows, and weights of features in the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from narrows import Bernoulli, Gaussian, Masking, Missing, Multinomial, SaltAndPepper, SquaredError
from narrows.core.sparse import SparseRows
from narrows.corruptions import CORRUPTIONS
from narrows.corruptions.patches import with_image_shape
from narrows.errors import UsageError
from narrows.variants.building import build_objective


@pytest.fixture
def x(generator):
    return torch.rand(400, 50, generator=generator) * 0.8 + 0.1


@pytest.fixture
def sparse():
    return SparseRows(torch.tensor([0, 2]), torch.tensor([0, 3]), torch.ones(2), 5)


def test_gaussian_noise_has_its_moments(x, generator):
    noise = Gaussian(0.4)(x, generator=generator).rows - x
    assert abs(float(noise.mean())) < 0.01
    assert float(noise.std()) == pytest.approx(0.4, rel=0.02)


def test_salt_and_pepper_each_replace_half_of_the_given_fraction(x, generator):
    rows = SaltAndPepper(0.3, -1.0, 2.0)(x, generator=generator).rows
    assert float((rows == -1).float().mean()) == pytest.approx(0.15, abs=0.01)
    assert float((rows == 2).float().mean()) == pytest.approx(0.15, abs=0.01)
    untouched = (rows != -1) & (rows != 2)
    assert torch.equal(rows[untouched], x[untouched])


@pytest.mark.parametrize("kind", [Masking, Missing])
def test_masking_and_missing_hide_the_same_features_of_one_seed(kind, x):
    rows = kind(0.3)(x, generator=Generator().manual_seed(1)).rows
    assert torch.equal(rows, Masking(0.3)(x, generator=Generator().manual_seed(1)).rows)
    assert float((rows == 0).float().mean()) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("kind", [Masking, Missing, SaltAndPepper])
def test_emphasis_weights_corrupted_features_alpha_and_the_others_beta(kind, x, generator):
    corrupted = kind(0.4, alpha=3.0, beta=0.5)(x, generator=generator)
    touched = corrupted.rows != x
    assert torch.equal(corrupted.weights, torch.where(touched, 3.0, 0.5))


def test_a_masked_zero_counts_as_corrupted(generator):
    corrupted = Masking(0.5, alpha=2.0)(torch.zeros(200, 20), generator=generator)
    assert float((corrupted.weights == 2).float().mean()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("loss", [SquaredError(), Bernoulli(), Multinomial()], ids=repr)
def test_weights_multiply_each_features_loss(loss, x, generator):
    output = torch.randn(400, 50, generator=generator)
    keep = torch.zeros(50)
    keep[[3, 7]] = torch.tensor([1.0, 2.0])
    found = loss.per_sample(output, x, keep.expand_as(x))
    if isinstance(loss, SquaredError):
        each = (output - x).square()
    elif isinstance(loss, Bernoulli):
        each = -x * output.sigmoid().log() - (1 - x) * (1 - output.sigmoid()).log()
    else:
        each = -x * output.log_softmax(1)
    torch.testing.assert_close(found, each[:, 3] + 2 * each[:, 7], rtol=1e-4, atol=1e-4)


def test_emphasis_changes_the_objective(x):
    def loss(**emphasis):
        spec = {"name": "masking", "rate": 0.3, **emphasis}
        net = build_objective("plain", {"n_components": 2, "corruption": spec}, 50)
        return net(x, generator=Generator().manual_seed(0)).loss.item()

    both, touched, others = loss(), loss(alpha=1, beta=0), loss(alpha=0, beta=1)
    assert both == pytest.approx(touched + others, rel=1e-4)
    assert loss(alpha=2, beta=1) == pytest.approx(2 * touched + others, rel=1e-4)


@pytest.mark.parametrize("kind", [Gaussian, SaltAndPepper])
def test_corruptions_that_would_make_sparse_rows_dense_are_refused(kind, sparse, generator):
    with pytest.raises(UsageError, match="needs dense rows, got sparse; use 'masking'"):
        kind()(sparse, generator=generator)


def test_emphasis_on_sparse_rows_is_refused(sparse, generator):
    with pytest.raises(UsageError, match="Masking: alpha and beta need dense rows, got sparse"):
        Masking(0.3, alpha=2)(sparse, generator=generator)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gaussian(-1), "Gaussian: sigma: must be a number >= 0, got -1"),
        (lambda: SaltAndPepper(2), "SaltAndPepper: rate: must be a number >= 0 and <= 1, got 2"),
        (lambda: SaltAndPepper(0.1, 1, 1), "SaltAndPepper: high: must be a number > 1, got 1"),
        (lambda: SaltAndPepper(0.1, np.nan), "low: must be a number that is finite, got nan"),
        (lambda: Missing(1.0), "Missing: rate: must be a number >= 0 and < 1, got 1.0"),
        (lambda: Masking(0.1, alpha=-1), "Masking: alpha: must be a number >= 0, got -1"),
        (lambda: Masking(0.1, alpha=0, beta=0), "alpha and beta are both 0: nothing would count"),
    ],
)
def test_a_value_out_of_range_is_refused(build, message):
    with pytest.raises(UsageError, match=message):
        build()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_corruption_modifies_its_input(name, x, generator):
    before = x.clone()
    with_image_shape(CORRUPTIONS[name](), (5, 10))(x, generator=generator)
    assert torch.equal(x, before)
