"""Load the weights of a file into a net built on the meta device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

__all__ = ["load_weights", "tensor_layout"]


def load_weights(net: nn.Module, weights: Mapping[str, Tensor], frozen: Any) -> None:
    """Assign tensors to the net's weights; ``frozen`` names those that do not train.

    Tied weights stay tied.

    Raises
    ------
    ValueError
        If names, shapes or dtypes are not those of the net, or ``frozen`` is not a list of names.
    """
    if tensor_layout(net.state_dict()) != tensor_layout(weights):
        raise ValueError("the weights are not those of the variant")
    names: dict[int, list[str]] = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    net.load_state_dict(weights, assign=True)
    for first, *others in names.values():
        for name in others:
            module, _, last = name.rpartition(".")
            setattr(net.get_submodule(module), last, net.get_parameter(first))
    known = {name for name, _ in net.named_parameters()}
    if not isinstance(frozen, list) or not known.issuperset(map(str, frozen)):
        raise ValueError(f"frozen: must be names of weights, got {frozen!r}")
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in frozen)


def tensor_layout(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return shape and dtype of every tensor by its name."""
    return {name: (value.shape, value.dtype) for name, value in tensors.items()}
