"""The sampled softmax: exact if all words are sampled, and unbiased on average."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts
from torch import Generator

from narrows import DocumentAutoencoder
from narrows.data.array_sources import sparse_rows
from narrows.errors import UsageError
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.variants.building import build_objective


@pytest.fixture
def net():
    parameters = {"n_components": 3, "hidden": [6], "loss": "multinomial"}
    objective = build_objective("document", parameters, 50, seed=1)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.normal_(std=0.3, generator=Generator().manual_seed(0))
        objective.encoder.weights[0].mul_(0.02)  # rows are long
    return objective


@pytest.fixture
def rows():
    counts = sp.random_array((8, 50), density=0.1, format="csr", rng=0, dtype=np.float32)
    return sparse_rows(counts)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_sampling_all_words_gives_the_full_softmax(net, rows):
    whole = net(rows, generator=seeded())
    sampled = SampledSoftmax(net, 1000)(rows, generator=seeded())
    torch.testing.assert_close(sampled.total, whole.total)
    whole.total.backward()
    expected = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    sampled.total.backward()
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_normalizer_is_right_on_average(net, rows):
    """exp(log Z) over many draws has the mean sum_j exp(o_j)."""
    sampled = SampledSoftmax(net, 5)
    output = net.decoder(net.encoder(rows).h)
    whole = output.exp().sum(dim=1)
    estimates = []
    for seed in range(3000):
        words, extra, log_weight = sampled._sample(rows, seeded(seed))
        there = output[:, words.long()].exp().sum(dim=1)
        estimates.append(there + np.exp(log_weight) * output[:, extra.long()].exp().sum(dim=1))
    mean = torch.stack(estimates).mean(0)
    torch.testing.assert_close(mean, whole, rtol=0.01, atol=0)


def test_a_step_moves_no_logit_of_words_that_were_not_sampled(net, rows):
    terms = SampledSoftmax(net, 3)(rows, generator=seeded())
    terms.total.backward()
    moved = int((net.decoder.biases[-1].grad != 0).sum())
    assert len(rows.indices.unique()) <= moved <= len(rows.indices.unique()) + 3 < 50


def test_training_on_sampled_words_is_nearly_as_good():
    texts, _ = topic_texts()
    arguments = {"hidden": (16,), "max_epochs": 20, "batch_size": 4, "random_state": 0}
    start = DocumentAutoencoder(3, **{**arguments, "max_epochs": 1, "learning_rate": 1e-9})
    whole, sampled = (
        DocumentAutoencoder(3, sampled_words=k, n_neighbors=0, **arguments).fit(texts)
        for k in (0, 5)
    )
    gained = [ae.score(texts) - start.fit(texts).score(texts) for ae in (whole, sampled)]
    assert gained[1] > 0.8 * gained[0] > 0.1


@pytest.mark.parametrize(
    "changes", [{"n_neighbors": 3}, {"loss": "squared_error", "scale": "none"}], ids=str
)
def test_unsupported_combinations_are_refused(changes):
    with pytest.raises(UsageError, match="sampled_words: needs CSR counts and the multinomial"):
        DocumentAutoencoder(2, sampled_words=5, **changes).fit(topic_texts()[0])


def test_dense_counts_are_refused():
    X = np.random.default_rng(0).integers(0, 3, (20, 9))
    with pytest.raises(UsageError, match="or give X as CSR"):
        DocumentAutoencoder(2, sampled_words=5).fit(X)
