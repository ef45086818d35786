"""Stop early, and keep the weights with the lowest error on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["EarlyStopping", "HeldOutErrors", "clearly_lower", "within_bound"]

STANDARD_ERRORS = 2.0


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
    judged_by : str
        "error" if ``mean`` is the weighted mean of ``rows``, otherwise it is that of J: see
        ``Trainable.judged_by``.
    """

    mean: float
    rows: Tensor
    weights: Tensor | None = None
    judged_by: str = "error"

    @property
    def mean_of_rows(self) -> float:
        """The weighted mean of ``rows``."""
        return float((self.rows if self.weights is None else self.rows * self.weights).mean())


def clearly_lower(
    errors: HeldOutErrors, start: HeldOutErrors, *, by: float = STANDARD_ERRORS
) -> bool:
    """Return whether errors are lower than those of the same rows at another time, as epoch 0.

    If they are judged by J alone, lower is enough. Otherwise errors of rows are compared, and have
    to be lower by more than ``by`` standard errors of the mean difference: two by default, since an
    epoch is the best of many.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), "Classification and regression trees" (a rule of one
    standard error).

    Examples
    --------
    >>> before, after = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.9, 1.8, 2.9])
    >>> clearly_lower(HeldOutErrors(1.87, after), HeldOutErrors(2.0, before))
    True
    """
    lower = errors.mean < start.mean
    if "objective" in (errors.judged_by, start.judged_by):
        return lower
    differences = errors.rows.double() - start.rows.double()
    if errors.weights is not None:
        differences = differences * errors.weights
    n = len(differences)
    return lower and n > 1 and bool(differences.mean() + by * differences.std() / n**0.5 < 0)


def within_bound(errors: HeldOutErrors, start: HeldOutErrors | None) -> bool:
    """Return whether errors of rows that are bounded by those of epoch 0 are clearly lower.

    Examples
    --------
    >>> start = HeldOutErrors(5.0, torch.tensor([1.0, 2.0]), judged_by="bounded")
    >>> after = HeldOutErrors(3.0, torch.tensor([1.1, 2.1]), judged_by="bounded")
    >>> within_bound(after, start)
    False
    """
    return errors.judged_by != "bounded" or start is None or clearly_lower(errors, start)


class EarlyStopping:
    """Keep the best weights, and stop after ``patience`` epochs without better ones.

    If ``patience`` is None it never stops. Epochs out of bounds (``within_bound``) are not kept,
    but count as better for ``patience``. Epoch 0 is a start that counts, such as a linear code: its
    weights are kept unless the errors of the best epoch are clearly lower. With ``keep_all`` the
    errors of all epochs are kept, from epoch 0 or 1.
    """

    def __init__(self, patience: int | None, *, keep_all: bool = False) -> None:
        self.patience, self.keep_all = patience, keep_all
        self.best_epoch = 0
        self.all: list[HeldOutErrors] = []
        self._since = 0
        self._lowest: tuple[float, int] | None = None
        self._best: HeldOutErrors | None = None
        self._start: HeldOutErrors | None = None
        self._weights: dict[str, Tensor] = {}
        self._start_weights: dict[str, Tensor] = {}

    def update(self, epoch: int, errors: HeldOutErrors, net: nn.Module) -> bool:
        """Record the held-out errors of an epoch; return whether to stop."""
        if self._lowest is None or errors.mean < self._lowest[0]:
            self._lowest = errors.mean, epoch
        if self._best is None or (
            errors.mean < self._best.mean and within_bound(errors, self._start)
        ):
            self._best, self.best_epoch, self._weights = errors, epoch, _copied(net)
        if epoch == 0:
            self._start, self._start_weights = errors, self._weights
        if self.keep_all:
            self.all.append(errors)
        return self.waited_enough(epoch)

    def waited_enough(self, epoch: int) -> bool:
        """Return whether ``patience`` epochs have passed without a lower error."""
        lowest = 0 if self._lowest is None else self._lowest[1]
        waited = epoch - max(lowest, self._since)
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
            "best_epoch": self.best_epoch, "since": self._since, "keeps_start": self.keeps_start,
            "lowest": self._lowest,
        }  # fmt: skip
        kept = {"best": self._best, "start": self._start, **dict(enumerate(self.all))}
        for name, errors in kept.items():
            if errors is not None:
                tensors[f"held_out.{name}"] = errors.rows
                values[f"error.{name}"] = [errors.mean, errors.judged_by]
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
            mean, judged_by = values[f"error.{name}"]  # pyright: ignore[reportGeneralTypeIssues]
            if isinstance(judged_by, bool):  # an older checkpoint: whether by the errors of rows
                judged_by = "error" if judged_by else "objective"
            rows = tensors[f"held_out.{name}"].clone()
            return HeldOutErrors(mean, rows, tensors.get("held_out.weights"), judged_by)

        self._best, self._start = errors("best"), errors("start")
        if "best_error" in values:  # an older checkpoint
            mean = float(values["best_error"])  # pyright: ignore[reportArgumentType]
            self._best = HeldOutErrors(mean, torch.empty(0), judged_by="objective")
        if self._best is not None:
            lowest = values.get("lowest") or (self._best.mean, self.best_epoch)
            self._lowest = tuple(lowest)  # pyright: ignore[reportArgumentType]
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
