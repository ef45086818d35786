"""Keep a forked process from waiting for threads that only its parent has.

OpenMP keeps its threads for the next parallel region. A fork copies the book-keeping and not the
threads, so the first region of the child, in torch, MKL, faiss or scikit-learn, waits for ever.
With one thread there are no regions. A child that knows its parent to have computed nothing may
call ``torch.set_num_threads`` again.
"""

from __future__ import annotations

import os

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["use_one_thread"]


def use_one_thread() -> None:
    """Have every OpenMP runtime that is loaded compute in the calling thread alone."""
    torch.set_num_threads(1)
    ThreadpoolController().select(user_api="openmp").limit(limits=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=use_one_thread)
