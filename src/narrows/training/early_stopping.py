"""Stop early, and keep the weights with the lowest error on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["EarlyStopping", "HeldOutErrors", "clearly_lower"]


@dataclass(frozen=True)
class HeldOutErrors:
    """The errors of the held-out rows at one time of a training.

    Attributes
    ----------
    mean : float
        What the choice of an epoch reads, in the unit of the loss.
    rows : Tensor
        The error L of every row, float32 (n_rows,).
    weights : Tensor or None
        How much each row counts, (n_rows,), of mean 1.
    of_rows : bool
        Whether ``mean`` is the weighted mean of ``rows``, and not of J.
    """

    mean: float
    rows: Tensor
    weights: Tensor | None = None
    of_rows: bool = True

    @property
    def mean_of_rows(self) -> float:
        """The weighted mean of ``rows``."""
        return float((self.rows if self.weights is None else self.rows * self.weights).mean())


def clearly_lower(errors: HeldOutErrors, others: HeldOutErrors, *, by: float = 1.0) -> bool:
    """Return whether errors are lower than those of the same rows at another time.

    If means of rows are compared, by more than ``by`` standard errors of the mean difference.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), "Classification and regression trees" (the rule of one
    standard error).

    Examples
    --------
    >>> before, after = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.9, 1.8, 2.9])
    >>> clearly_lower(HeldOutErrors(1.87, after), HeldOutErrors(2.0, before))
    True
    """
    if not (errors.of_rows and others.of_rows):
        return errors.mean < others.mean
    differences = errors.rows.double() - others.rows.double()
    if errors.weights is not None:
        differences = differences * errors.weights
    n = len(differences)
    return n > 1 and bool(differences.mean() + by * differences.std() / n**0.5 < 0)


class EarlyStopping:
    """Keep the best weights, and stop after ``patience`` epochs without better ones.

    If ``patience`` is None it never stops. Epoch 0 is a start that counts, such as a linear code:
    its weights are kept unless the errors of the best epoch are clearly lower. With ``keep_all``
    the errors of all epochs are kept, from epoch 0 or 1.
    """

    def __init__(self, patience: int | None, *, keep_all: bool = False) -> None:
        self.patience, self.keep_all = patience, keep_all
        self.best_epoch = 0
        self.all: list[HeldOutErrors] = []
        self._since = 0
        self._best: HeldOutErrors | None = None
        self._start: HeldOutErrors | None = None
        self._weights: dict[str, Tensor] = {}
        self._start_weights: dict[str, Tensor] = {}

    def update(self, epoch: int, errors: HeldOutErrors, net: nn.Module) -> bool:
        """Record the held-out errors of an epoch; return whether to stop."""
        if self._best is None or errors.mean < self._best.mean:
            self._best, self.best_epoch, self._weights = errors, epoch, _copied(net)
        if epoch == 0:
            self._start, self._start_weights = errors, self._weights
        if self.keep_all:
            self.all.append(errors)
        return self.waited_enough(epoch)

    def waited_enough(self, epoch: int) -> bool:
        """Return whether ``patience`` epochs have passed without a lower error."""
        waited = epoch - max(self.best_epoch, self._since)
        return self.patience is not None and waited >= self.patience

    def restart_patience(self, epoch: int) -> None:
        """Count ``patience`` from this epoch, when a finished training continues."""
        self._since = epoch

    @property
    def keeps_start(self) -> bool:
        """Whether the start has not been clearly improved."""
        best, start = self._best, self._start
        return best is not None and start is not None and not clearly_lower(best, start)

    def restore_best(self, net: nn.Module) -> int:
        """Load the best weights into the net, if there are any, and return their epoch."""
        epoch, weights = self.best_epoch, self._weights
        if self.keeps_start:
            epoch, weights = 0, self._start_weights
        if weights:
            with torch.no_grad():
                net.load_state_dict(weights)
        return epoch

    def restore_start(self, net: nn.Module) -> None:
        """Load the weights of epoch 0 into the net, if it counted."""
        if self._start_weights:
            with torch.no_grad():
                net.load_state_dict(self._start_weights)

    def state(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        """Return the tensors and the JSON values that ``restore`` reads."""
        tensors = {f"best.{name}": value for name, value in self._weights.items()}
        if self.best_epoch:
            tensors |= {f"start.{name}": value for name, value in self._start_weights.items()}
        values: dict[str, object] = {
            "best_epoch": self.best_epoch, "since": self._since, "keeps_start": self.keeps_start
        }  # fmt: skip
        kept = {"best": self._best, "start": self._start, **dict(enumerate(self.all))}
        for name, errors in kept.items():
            if errors is not None:
                tensors[f"held_out.{name}"] = errors.rows
                values[f"error.{name}"] = [errors.mean, errors.of_rows]
                if errors.weights is not None:
                    tensors["held_out.weights"] = errors.weights
        return tensors, values

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, object]) -> None:
        """Load the tensors and values of ``state``."""
        self.best_epoch = int(values["best_epoch"])  # pyright: ignore[reportArgumentType]
        self._since = int(values.get("since", 0))  # pyright: ignore[reportArgumentType]

        def errors(name: object) -> HeldOutErrors | None:
            if f"error.{name}" not in values:
                return None
            mean, of_rows = values[f"error.{name}"]  # pyright: ignore[reportGeneralTypeIssues]
            rows = tensors[f"held_out.{name}"].clone()
            return HeldOutErrors(mean, rows, tensors.get("held_out.weights"), of_rows)

        self._best, self._start = errors("best"), errors("start")
        if "best_error" in values:  # an older checkpoint
            mean = float(values["best_error"])  # pyright: ignore[reportArgumentType]
            self._best = HeldOutErrors(mean, torch.empty(0), of_rows=False)
        self.all = []
        while (found := errors(len(self.all))) is not None:
            self.all.append(found)
        self._weights = _with_prefix("best.", tensors)
        self._start_weights = _with_prefix("start.", tensors)
        if self._start is not None and not self._start_weights:
            self._start_weights = self._weights


def _copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value.clone()
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
