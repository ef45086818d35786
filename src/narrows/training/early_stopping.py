"""Stop early, and keep the weights with the lowest error on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Keep the best weights, and stop after ``patience`` epochs without better ones.

    If ``patience`` is None it never stops.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.best_error = float("inf")
        self.best_epoch = 0
        self._since = 0
        self._weights: dict[str, Tensor] = {}

    def update(self, epoch: int, error: float, net: nn.Module) -> bool:
        """Record the held-out error of an epoch; return whether to stop."""
        if error < self.best_error:
            self.best_error, self.best_epoch = error, epoch
            self._weights = {k: v.detach().clone() for k, v in net.state_dict().items()}
        return self.waited_enough(epoch)

    def waited_enough(self, epoch: int) -> bool:
        """Return whether ``patience`` epochs have passed without a lower error."""
        waited = epoch - max(self.best_epoch, self._since)
        return self.patience is not None and waited >= self.patience

    def restart_patience(self, epoch: int) -> None:
        """Count ``patience`` from this epoch, when a finished training continues."""
        self._since = epoch

    @torch.no_grad()
    def restore_best(self, net: nn.Module) -> None:
        """Load the best weights into the net, if there are any."""
        if self._weights:
            net.load_state_dict(self._weights)

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the tensors and the JSON values that ``restore`` reads."""
        tensors = {f"best.{name}": value for name, value in self._weights.items()}
        values: dict[str, float] = {"best_epoch": self.best_epoch, "since": self._since}
        if self._weights:
            values["best_error"] = self.best_error
        return tensors, values

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, float]) -> None:
        """Load the tensors and values of ``state``."""
        self.best_epoch = int(values["best_epoch"])
        self._since = int(values.get("since", 0))
        self.best_error = float(values.get("best_error", float("inf")))
        self._weights = {
            k.removeprefix("best."): v.clone() for k, v in tensors.items() if k.startswith("best.")
        }
