"""The products by oneDNN are torch's own: values, gradients, second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from narrows import products

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)


@pytest.fixture(autouse=True)
def onednn(monkeypatch):
    """Take the oneDNN path on every processor."""
    monkeypatch.setattr(products, "_onednn_is_faster", lambda: True)


@pytest.fixture
def tensors(generator):
    shapes = ((50, 70), (70, 90), (90,))
    return [torch.randn(*s, generator=generator).requires_grad_() for s in shapes]


def gradients(value, tensors, **options):
    return torch.autograd.grad(value.sin().sum(), tensors, **options)


def test_linear_and_its_gradients(tensors):
    x, weight, bias = tensors
    ours, torchs = products.linear(x, weight, bias), F.linear(x, weight.t(), bias)
    assert type(ours.grad_fn).__name__ == "_OneDnnBackward"
    torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-4)
    for a, b in zip(gradients(ours, tensors), gradients(torchs, tensors), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_the_transposed_product_and_its_gradients(tensors, generator):
    _, weight, _ = tensors
    x = torch.randn(50, 90, generator=generator).requires_grad_()
    bias = torch.randn(70, generator=generator).requires_grad_()
    ours, torchs = products.linear_transposed(x, weight, bias), F.linear(x, weight, bias)
    torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-4)
    leaves = [x, weight, bias]
    for a, b in zip(gradients(ours, leaves), gradients(torchs, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_second_derivatives(tensors):
    x, weight, bias = tensors
    seconds = []
    for value in (products.linear(x, weight, bias), F.linear(x, weight.t(), bias)):
        (first,) = gradients(value, [x], create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), weight)[0])
    torch.testing.assert_close(*seconds, rtol=1e-3, atol=1e-2)


def test_small_float64_and_autocast_products_are_torchs(tensors):
    x, weight, bias = tensors
    assert "OneDnn" not in type(products.linear(x[:, :9], weight[:9], bias).grad_fn).__name__
    wide = products.linear(x.double(), weight.double(), bias.double())
    assert "OneDnn" not in type(wide.grad_fn).__name__
    with torch.autocast("cpu", torch.bfloat16):
        assert products.linear(x, weight, bias).dtype == torch.bfloat16


def test_function_transforms_pass_through(tensors):
    x, weight, bias = tensors
    jacobian = torch.func.jacrev(lambda row: products.linear(row[None], weight, bias)[0])(x[0])
    torch.testing.assert_close(jacobian, weight.t())
