"""Resolve the device, and the number format of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from narrows.errors import UsageError, did_you_mean

__all__ = ["product_context", "resolve_device", "resolve_precision"]

_SMALL = 100_000
"""Nets with fewer weights gain nothing, because casting costs as much as the products save."""


def resolve_device(device: str) -> torch.device:
    """Return the device of this name; ``"auto"`` is a GPU if there is one, else the CPU.

    Raises
    ------
    UsageError
        If torch does not know the device, or it does not exist; for ``"auto"``, if the process was
        forked from one that had used CUDA, which a child cannot use again.
    """
    if device == "auto":
        # private, but the only way to know: is_available() may still be true here
        if torch.cuda._is_in_bad_fork():  # pyright: ignore[reportPrivateUsage]
            raise UsageError(
                "device: 'auto' cannot take the GPU in a process that was forked from one that "
                "used CUDA; start processes by 'spawn', or give device='cpu'."
            )
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()  # "meta" makes tensors without content
    except (RuntimeError, AssertionError, NotImplementedError, ImportError, TypeError) as error:
        # torch raises various errors for devices that it does not know or that do not exist
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise UsageError(f"device: {device!r} cannot be used: {reason}; try 'cpu'.") from None
    return found


def resolve_precision(precision: str, device: torch.device, net: nn.Module) -> str:
    """Resolve ``"auto"`` to float32 if bfloat16 cannot be faster.

    This is so for small nets, and on CPUs without instructions for it. Otherwise "auto" stays, for
    ``faster_precision`` to measure. Weights, optimizer, losses and everything after training are
    float32 in any case.

    Raises
    ------
    UsageError
        If the precision is unknown.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        hint = did_you_mean(precision, ("auto", "float32", "bfloat16"))
        raise UsageError(
            f"precision: must be 'auto', 'float32' or 'bfloat16', got {precision!r}.{hint}"
        )
    if precision != "auto":
        return precision
    if sum(p.numel() for p in net.parameters()) < _SMALL:
        return "float32"
    return "auto" if _multiplies_bfloat16(device) else "float32"


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    flags = torch.cpu.get_capabilities()
    if flags.get("architecture") != "x86_64":
        return True
    return any(flags.get(name) for name in ("amx_bf16", "avx512_bf16", "avx_ne_convert"))


def product_context(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context for a forward pass; "auto" runs in float32 until it is measured."""
    return _bfloat16_products(device) if precision == "bfloat16" else nullcontext()


@contextmanager
def _bfloat16_products(device: torch.device) -> Iterator[None]:
    """Use bfloat16, and cast the weights again at every step.

    torch keeps the casts until the outermost autocast ends: under a caller's own autocast, every
    step would read the weights of the first.
    """
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        torch.clear_autocast_cache()
