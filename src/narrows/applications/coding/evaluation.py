"""Measure the reconstruction error of a model and of its linear baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch

from narrows.applications.printing import counted, shown_as_table
from narrows.core.sparse import dense_rows
from narrows.core.weights import fill_missing
from narrows.data.source import Source
from narrows.encoders import BinaryEncoder
from narrows.losses import SquaredError
from narrows.model.coding import scaled_batches
from narrows.model.model import Model
from narrows.model.training_rows import held_out_among

__all__ = ["Evaluation", "evaluate", "mean_evaluation"]


_NEARLY = 1.01
"""A model up to a hundredth behind its baseline is not called worse: so small a difference says
nothing about a code."""


@shown_as_table
@dataclass(frozen=True, repr=False)
class Evaluation:
    """Mean errors over the rows, weighted if ``fit`` was given weights.

    Attributes
    ----------
    error : float
        The model's own loss, in ``error_unit``.
    squared_error, baseline_squared_error : float
        Sum over features, in ``squared_unit``, of the model and of ``baseline`` (PCA or
        TruncatedSVD of the same width, fitted on the training rows of the model).
    variance : float
        Squared error of predicting the mean of these rows for every row, in ``squared_unit``.
        Missing values count neither here nor in the errors.
    comparable : bool
        Whether the two errors can be compared: not for a code of bits, since the baseline has as
        many real numbers, nor for shares of words, since the model has another loss.
    baseline_copies : bool
        Whether the code is as wide as the rows, so that the baseline only copies them.
    rows : {"held_out", "folds", "training", "fit"} or None
        Held-out rows, all rows, each held out in one of several trainings, training rows, all rows
        of ``fit``, or None for others. The rows of a ``fit`` without held-out rows are not
        recognized and are None.
    n_held_out : int or None
        Number of held-out rows among the rows of the fit; None if ``rows`` is not "fit".
    from_inputs : bool
        Whether the rows were reconstructed from given corrupted copies.
    weighted : bool
        Whether these are weighted means.
    """

    n_rows: int
    n_components: int
    error: float
    error_unit: str
    squared_error: float
    squared_unit: str
    variance: float
    baseline: str | None
    baseline_components: int | None
    baseline_squared_error: float | None
    comparable: bool = True
    baseline_copies: bool = False
    rows: str | None = None
    n_held_out: int | None = None
    from_inputs: bool = False
    weighted: bool = False

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def table(self) -> str:
        """Return lines to print: the errors of the model and its baseline, with units."""
        rows = [
            ("the mean", None, self.variance),
            ("this model", self.n_components, self.squared_error),
        ]
        if self.baseline is not None and self.baseline_squared_error is not None:
            error = None if self.baseline_copies else self.baseline_squared_error
            rows.insert(1, (self.baseline, self.baseline_components, error))
        lines = [f"{'':<14}{'code':>6}{'squared error':>16}{'explained':>12}"]
        for name, width, error in rows:
            if error is None:
                lines.append(f"{name:<14}{width or '-':>6}{'copies':>16}{'-':>12}")
                continue
            share = f"{1 - error / self.variance:.2%}" if self.variance > 0 else "-"
            lines.append(f"{name:<14}{width or '-':>6}{error:>16.6g}{share:>12}")
        lines.append(f"in {self.squared_unit}; {self._described_rows()}")
        if self.weighted:
            lines.append("Rows count by their weights.")
        if self.from_inputs:
            lines.append("Rows were reconstructed from the corrupted copies that were given.")
        if self.baseline_copies:
            lines.append(
                f"{self.baseline} is not a useful baseline here: with as many components as "
                "columns it copies the rows. Compare a narrower code."
            )
        if self.comparable and 0 < self.variance < self.squared_error:
            lines.append("These reconstructions are worse than the mean of the rows.")
        elif 0 < self.variance < self.squared_error:
            lines.append(
                "Explained is below 0 because the mean of these rows has a smaller squared error: "
                "the net was trained to lower another loss, or to keep it low through bits."
            )
        by_baseline = None if self.baseline_copies else self.baseline_squared_error
        # the baseline is exact, too, if the rows have fewer dimensions than the code
        worse = by_baseline is not None and (
            1e-6 * self.variance < by_baseline < self.squared_error / _NEARLY
        )
        if worse and self.comparable:
            lines.append(
                f"{self.baseline} reconstructs these rows better: train for more epochs with more "
                "patience, lower the learning rate, or weaken corruption and penalties."
            )
        elif worse:
            lines.append(
                "Reconstruction error does not measure this code; it is meant for search: see how "
                "many halves of documents it finds, or evaluate --retrieval with labels."
            )
        if self.error_unit != self.squared_unit:
            lines.append(f"loss: {self.error:.6g} {self.error_unit}")
        return "\n".join(lines)

    def _described_rows(self) -> str:
        """Return the number of rows, and whether they are training or held-out rows."""
        n = counted(self.n_rows, "row")
        if self.rows == "held_out":
            return f"{n} held out of training"
        if self.rows == "folds":
            return f"{n}, each held out of the training that reconstructed it"
        if self.rows == "training":
            return (
                f"{n}, all of them trained on: none was held out, so expect larger errors on new "
                "rows; hold some out by validation_fraction, or evaluate other rows"
            )
        if self.rows == "fit":
            return (
                f"{n}, those of the fit: {self.n_held_out} of them were held out, the others "
                "trained on, so expect larger errors on new rows"
            )
        return n


@torch.no_grad()
def evaluate(
    model: Model, source: Source, *, rows: str | None = None, inputs: Source | None = None
) -> Evaluation:
    """Return the errors of a model and of its baseline on the same rows, in one pass.

    ``rows`` says which rows these are, as in ``Evaluation``; with None the rows of the fit are
    recognized by the errors of held-out rows that the model keeps. ``inputs`` are corrupted copies
    to reconstruct the rows from, one per row. Rows count by the weights of the source, of mean 1.
    """
    device = model.device
    row_errors: list[torch.Tensor] = []
    squared = SquaredError()
    loss_sum = squared_sum = baseline_sum = torch.zeros((), dtype=torch.float64, device=device)
    total = torch.zeros(source.n_features, dtype=torch.float64, device=device)
    count = torch.zeros_like(total)
    power = torch.zeros((), dtype=torch.float64, device=device)
    corrupted = None if inputs is None else scaled_batches(model, inputs)
    first = 0
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        weights = None
        if source.weights is not None:
            weights = source.weights[first : first + len(x)].double().to(device)
        first += len(x)
        given = x if corrupted is None else next(corrupted)[1]
        x, known = fill_missing(x, model.objective.corruption)
        if model.baseline is not None:
            # it takes missing values as the mean, so it reads the rows before they are filled in
            fill = model.baseline.reconstruct(given.to("cpu")).to(device)
            baseline_sum = baseline_sum + _summed(squared.per_sample(fill, x, known), weights)
        output = model.objective.output(model.objective.encode(given).h)
        losses = model.objective.loss.per_sample(output, x, known)
        loss_sum = loss_sum + _summed(losses, weights)
        row_errors.append(losses.cpu())
        mean = model.objective.loss.reconstruction(output, x)
        squared_sum = squared_sum + _summed(squared.per_sample(mean, x, known), weights)
        dense = dense_rows(x)
        if known is None:
            count += len(dense) if weights is None else weights.sum()
        else:
            dense = dense * known  # values that were filled in do not count
            count += _summed(known, weights, dim=0)
        total += _summed(dense, weights, dim=0)
        power += _summed(dense.double().square(), weights)
    n = source.n_rows
    baseline = model.baseline
    n_held_out = None
    if rows is None and inputs is None:
        n_held_out = held_out_among(model, torch.cat(row_errors).numpy())
    return Evaluation(
        n_rows=n,
        n_components=model.n_components,
        error=float(loss_sum / n),
        error_unit=model.error_unit,
        squared_error=float(squared_sum / n),
        squared_unit=f"{squared.unit}, in {model.scaling.unit}",
        variance=float((power - (total.square() / count.clamp_min(1)).sum()) / n),
        baseline=baseline.name if baseline else None,
        baseline_components=len(baseline.components) if baseline else None,
        baseline_squared_error=float(baseline_sum / n) if baseline else None,
        baseline_copies=baseline is not None and len(baseline.components) >= source.n_features,
        comparable=not (isinstance(model.objective.encoder, BinaryEncoder) or model.scaling.shares),
        rows=rows if n_held_out is None else "fit",
        n_held_out=n_held_out,
        from_inputs=inputs is not None,
        weighted=source.weights is not None,
    )


def mean_evaluation(parts: Sequence[Evaluation]) -> Evaluation:
    """Return the means of several evaluations, each on other rows, as one."""
    if len(parts) == 1:
        return parts[0]
    n = sum(part.n_rows for part in parts)

    def mean(name: str) -> float:
        return sum(getattr(part, name) * part.n_rows for part in parts) / n

    names = ["error", "squared_error", "variance"]
    if all(part.baseline_squared_error is not None for part in parts):
        names.append("baseline_squared_error")
    return replace(parts[0], n_rows=n, **{name: mean(name) for name in names})


def _summed(
    values: torch.Tensor, weights: torch.Tensor | None, *, dim: int | None = None
) -> torch.Tensor:
    """Return the sum of values (batch, ...) in float64, each times the weight of its row."""
    values = values.double()
    if weights is not None:
        values = values * weights.reshape(-1, *[1] * (values.ndim - 1))
    return values.sum(dim=dim)
