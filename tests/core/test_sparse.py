"""Sparse batches give the results and gradients of dense batches."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import Multinomial
from narrows.core import sparse
from narrows.core.sparse import SparseRows


def rows_and_dense(*, empty: bool = False) -> tuple[SparseRows, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(6, 9, generator=generator, dtype=torch.float64)
    dense[dense < (2 if empty else 0.6)] = 0
    dense[2] = 0  # a row of nothing
    dense[:, 4] = 0  # and a column
    parts = sp.csr_array(dense.numpy())
    tensors = (torch.from_numpy(part) for part in (parts.indptr, parts.indices, parts.data))
    return SparseRows(*tensors, n_features=9), dense


@pytest.mark.parametrize("empty", [False, True])
def test_sums_products_and_columns_equal_those_of_dense_rows(empty):
    x, dense = rows_and_dense(empty=empty)
    weight = torch.rand(9, 4, dtype=torch.float64)
    torch.testing.assert_close(x.to_dense(), dense)
    torch.testing.assert_close(x.row_sums(), dense.sum(dim=1))
    torch.testing.assert_close(x.matmul(weight), dense @ weight)
    torch.testing.assert_close(x.transposed().to_dense(), dense.T)
    torch.testing.assert_close(x.gather_sum(2 * dense + 1), (dense * (2 * dense + 1)).sum(dim=1))
    factor = torch.arange(6.0, dtype=torch.float64)
    torch.testing.assert_close(x.times_rows(factor).to_dense(), dense * factor[:, None])


@pytest.mark.parametrize("empty", [False, True])
def test_a_product_has_gradients_of_any_order(empty):
    x, dense = rows_and_dense(empty=empty)
    weight = torch.rand(9, 4, dtype=torch.float64, requires_grad=True)
    found = []
    for product in (lambda w: x.matmul(w), lambda w: dense @ w):
        (first,) = torch.autograd.grad(product(weight).pow(3).sum(), weight, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), weight)
        found.append((first, second))
    torch.testing.assert_close(*found)


def test_sparse_values_have_gradients():
    x, dense = rows_and_dense()
    weight = torch.rand(9, 4, dtype=torch.float64, requires_grad=True)
    values = x.values.clone().requires_grad_()
    x.with_values(values).matmul(weight).square().sum().backward()
    whole = dense.clone().requires_grad_()
    (whole @ weight).square().sum().backward()
    torch.testing.assert_close(values.grad, whole.grad.flatten()[x.places])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_the_gradient_of_the_multinomial_loss_matches_its_formula(sparse, shift):
    x, dense = rows_and_dense()
    outputs = [(5 * torch.randn(9, 6, dtype=torch.float64)).T + shift]  # not contiguous either
    outputs = [outputs[0].detach().requires_grad_() for _ in range(2)]
    weights = torch.rand(6, dtype=torch.float64)
    ours = Multinomial().per_sample(outputs[0], x if sparse else dense)
    theirs = -(dense * outputs[1].log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(ours, theirs)
    for loss in (ours, theirs):
        (weights * loss).sum().backward(retain_graph=True)
        (weights * loss).sum().backward()  # a second time adds the same
    torch.testing.assert_close(outputs[0].grad, outputs[1].grad)


def test_the_multinomial_loss_is_checked_by_finite_differences():
    x, _ = rows_and_dense()
    output = torch.randn(6, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda o: Multinomial().per_sample(o, x), output)


def test_a_product_in_blocks_equals_the_whole_product(monkeypatch):
    rows = sp.random_array((300, 12), density=0.5, rng=np.random.default_rng(0), format="csr")
    rows = rows.astype(np.float32)
    tensors = (torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data))
    x = SparseRows(*tensors, n_features=12)
    monkeypatch.setattr(sparse, "_LARGE", 0)
    weight = torch.randn(12, 129, generator=torch.Generator().manual_seed(0))
    widths: list[int] = []
    sums_of = SparseRows._sums_of
    monkeypatch.setattr(
        SparseRows, "_sums_of", lambda x, dense: widths.append(dense.shape[1]) or sums_of(x, dense)
    )
    blocks = x.matmul(weight)
    assert widths == [64, 64, 1]
    assert torch.equal(blocks, sums_of(x, weight))
