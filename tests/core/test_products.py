"""The matrix products of dense layers: the same numbers and gradients with either kernel."""

from __future__ import annotations

import pytest
import torch

from narrows.core import linear_kernels as products


@pytest.fixture(params=[False, True], ids=["torch", "oneDNN"])
def kernels(request, monkeypatch):
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "_onednn_is_faster", lambda: request.param)
    monkeypatch.setattr(products, "_LARGE", 1)
    return request.param


def leaves(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*s, generator=generator).requires_grad_() for s in shapes]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n", [1, 5])
def test_affine_equals_x_w_plus_b(kernels, transposed, n):
    x, w, b = leaves((n, 7), (3, 7) if transposed else (7, 3), (3,))
    y = products.affine(x, w, b, transposed=transposed)
    assert ("OneDNN" in type(y.grad_fn).__name__) is kernels
    expected = x.double() @ (w.t() if transposed else w).double() + b.double()
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_first_and_second_gradients_match_float64(kernels, transposed):
    inputs = leaves((4, 6), (3, 6) if transposed else (6, 3), (3,))

    def gradients(values, affine):
        x, w, b = values
        h = affine(x, w, b).tanh()
        (first,) = torch.autograd.grad(h.square().sum(), x, create_graph=True)
        return [first, *torch.autograd.grad(first.square().sum(), values)]

    def plain(x, w, b):
        return x @ (w.t() if transposed else w) + b

    found = gradients(inputs, lambda *a: products.affine(*a, transposed=transposed))
    wide = [value.detach().double().requires_grad_() for value in inputs]
    for ours, expected in zip(found, gradients(wide, plain), strict=True):
        torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-4)


def test_an_empty_batch_and_other_formats_are_left_to_torch(kernels):
    x, w, b = leaves((0, 7), (7, 3), (3,))
    assert products.affine(x, w, b).shape == (0, 3)
    half = products.affine(*(v.bfloat16() for v in leaves((2, 7), (7, 3), (3,))))
    assert half.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert products.affine(*leaves((2, 7), (7, 3), (3,))).dtype == torch.bfloat16


@pytest.mark.parametrize("rows", [1, 1024])
@pytest.mark.parametrize(("width", "wide"), [(127, False), (128, True)])
def test_small_products_use_torch_and_large_ones_onednn(monkeypatch, rows, width, wide):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "_onednn_is_faster", lambda: True)
    x, w, b = leaves((rows, 256), (256, width), (width,))
    assert ("OneDNN" in type(products.affine(x, w, b).grad_fn).__name__) is wide
    assert products._suits_onednn(x, w) is wide
    with torch.no_grad():
        assert products._suits_onednn(x, w)  # so that a row's code does not depend on its batch


def test_product_equals_the_matrix_product(kernels):
    a, b = leaves((4, 6), (6, 5))
    torch.testing.assert_close(products.product(a, b), a @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_in", "n_out"), [(10, 3), (16, 10), (64, 10), (100, 30)])
def test_without_gradients_a_rows_result_does_not_depend_on_its_place(n_in, n_out):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    row, w, b = leaves((1, n_in), (n_in, n_out), (n_out,))
    with torch.no_grad():
        batches = [products.affine(row.repeat(n, 1), w, b) for n in (16, 32, 48, 160)]
    assert bool((torch.cat(batches) == batches[0][0]).all())
