"""The health of a fitted code: what its units do, what it knows, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Generator

from narrows.applications.advice import advice_on
from narrows.applications.code_statistics import CodeStatistics, code_statistics
from narrows.applications.copying import Copying, measure_copying
from narrows.applications.evaluation import Evaluation, evaluate
from narrows.applications.printing import PrintsTable
from narrows.corruptions import Identity
from narrows.data.source import Source
from narrows.model import Model

_OF_CORRUPTED = ", of corrupted rows"

__all__ = ["Gap", "Health", "examine"]


@dataclass(frozen=True)
class Gap:
    """The error in training and on the rows held out, of the epoch whose weights were kept.

    In the unit of the loss; of all of J where the code is random. The first is a mean over the
    epoch, of corrupted rows where there is a corruption, so that a ratio a little under 1 is
    usual. None where nothing was held out.
    """

    training: float | None
    validation: float | None
    corrupted: bool = False
    """Whether the first is of corrupted rows; the second is of clean ones."""

    @property
    def ratio(self) -> float | None:
        if self.training is None or self.validation is None or self.training <= 0:
            return None
        return self.validation / self.training


@dataclass(frozen=True, repr=False)
class Health(PrintsTable):
    """What ``inspect`` found.

    Attributes
    ----------
    code : CodeStatistics
        Dead, saturated and duplicate units, effective rank, KL per dimension, L0.
    copying : Copying
        Whether the net knows what belongs where features are hidden.
    evaluation : Evaluation
        The reconstruction error beside PCA's.
    gap : Gap
        The error in training beside that on the rows held out.
    advice : list of str
        A sentence for each thing that is wrong, with the way out; empty where nothing is.
    """

    code: CodeStatistics
    copying: Copying
    evaluation: Evaluation
    gap: Gap
    advice: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; None for what is not defined."""
        return {
            "code": {**asdict(self.code), "dead_share": self.code.dead_share},
            "copying": {**asdict(self.copying), "copies": self.copying.copies},
            "evaluation": self.evaluation.as_dict(),
            "training": {**asdict(self.gap), "ratio": self.gap.ratio},
            "advice": self.advice,
        }

    def table(self) -> str:
        """Return lines to print, with units."""
        code, copying, gap = self.code, self.copying, self.gap
        unit = self.evaluation.error_unit
        lines = [
            ("dead units", _count(code.dead, code.n_components)),
            ("saturated units", _count(code.saturated, code.n_components)),
            ("duplicate units", _count(code.duplicates, code.n_components)),
            ("effective rank", _number(code.effective_rank, f" of {code.n_components}")),
            ("not 0 in a row", _number(code.l0, f" of {code.n_components}")),
            ("KL of a row", _number(None if code.kl is None else sum(code.kl), " nats")),
            ("dimensions in use", _number(code.in_use, f" of {code.n_components}")),
            ("error in training", _number(gap.training, f" {unit}{_OF_CORRUPTED * gap.corrupted}")),
            ("error held out", _number(gap.validation, f" {unit}")),
            ("hidden filled in", _share(copying.filled_in, " of the variance")),
            ("  by linear guess", _share(copying.linear, " of the variance")),
            ("  nothing hidden", _share(copying.rebuilt, " of the variance")),
            ("noise passed on", _share(copying.passed_on, "")),
            ("copies its input", {True: "yes", False: "no", None: None}[copying.copies]),
        ]
        shown = [f"{name:<18}  {text}" for name, text in lines if text is not None]
        return "\n".join([*shown, "", self.evaluation.table(), *self._advice_lines()])

    def _advice_lines(self) -> list[str]:
        return ["", *(f"- {sentence}" for sentence in self.advice)] if self.advice else []


def examine(model: Model, source: Source, *, generator: Generator) -> Health:
    """Return the health of a model's code on rows, in two passes over them and a bounded sample.

    Raises
    ------
    InvalidData
        If a value is not finite where the model admits none missing, or its loss refuses it.
    """
    code = code_statistics(model, source)
    copying = measure_copying(model, source, generator=generator)
    evaluation = evaluate(model, source)
    gap = gap_of(model)
    return Health(
        code, copying, evaluation, gap, advice_on(model, code, copying, evaluation, gap.ratio)
    )


def gap_of(model: Model) -> Gap:
    """Return the two errors from the model's training record."""
    epochs = model.record.get("epochs") or []
    if not epochs:
        return Gap(None, None)
    best = model.record.get("best_epoch") or len(epochs)
    epoch = epochs[min(best, len(epochs)) - 1]
    # a random code is judged on held-out rows by all of J, its price included
    kind = "objective" if model.objective.stochastic else "loss"
    corrupted = not isinstance(model.objective.corruption, Identity)
    return Gap(epoch[kind], epoch["validation"], corrupted)


def _count(units: list[Any] | None, n: int) -> str | None:
    return None if units is None else f"{len(units)} of {n}"


def _number(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:.4g}{unit}"


def _share(value: float | None, of: str) -> str | None:
    return None if value is None else f"{value:.1%}{of}"
