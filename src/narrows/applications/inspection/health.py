"""Check a fitted model for unused units, copying and overfitting, and give advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Generator

from narrows.applications.coding.evaluation import Evaluation, evaluate
from narrows.applications.inspection.code_statistics import CodeStatistics, code_statistics
from narrows.applications.inspection.copying import Copying, measure_copying
from narrows.applications.printing import shown_as_table
from narrows.corruptions import Identity
from narrows.data.source import Source
from narrows.encoders import TopKEncoder
from narrows.model.model import Model

__all__ = ["Gap", "Health", "advice_on", "examine"]

_OF_CORRUPTED = ", of corrupted rows"


@dataclass(frozen=True)
class Gap:
    """The errors in training and on held-out rows, of the epoch whose weights were kept.

    In the unit of the loss; the whole of J if the code is random. The training error is a mean
    over the epoch, of corrupted rows if there is a corruption, so that a ratio a little below 1 is
    usual. The held-out error is None if no rows were held out.
    """

    training: float | None
    validation: float | None
    corrupted: bool = False
    """Whether the training error is that of corrupted rows; the held-out rows are clean."""

    @property
    def ratio(self) -> float | None:
        if self.training is None or self.validation is None or self.training <= 0:
            return None
        return self.validation / self.training


@shown_as_table
@dataclass(frozen=True, repr=False)
class Health:
    """The results of ``inspect``.

    Attributes
    ----------
    code : CodeStatistics
        Dead, saturated and duplicate units, effective rank, KL per dimension, L0.
    copying : Copying
        Whether the net fills in hidden features or only copies its input.
    evaluation : Evaluation
        The reconstruction errors of the model and of its baseline.
    gap : Gap
        The errors in training and on held-out rows.
    advice : list of str
        A sentence with the way out for each problem; empty without problems.
    """

    code: CodeStatistics
    copying: Copying
    evaluation: Evaluation
    gap: Gap
    advice: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, with None for what is undefined."""
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
            ("nonzero per row", _number(code.l0, f" of {code.n_components}")),
            ("KL per row", _number(None if code.kl is None else sum(code.kl), " nats")),
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
    """Return the health of a model on rows, by two passes over them and a bounded sample.

    Raises
    ------
    InvalidData
        If a value is not finite (NaN passes if the model admits missing values), or if the loss
        does not allow it.
    """
    code = code_statistics(model, source)
    copying = measure_copying(model, source, generator=generator)
    evaluation = evaluate(model, source)
    gap = gap_of(model)
    return Health(
        code, copying, evaluation, gap, advice_on(model, code, copying, evaluation, gap.ratio)
    )


def gap_of(model: Model) -> Gap:
    """Return the two errors from the training record of a model."""
    epochs = model.record.get("epochs") or []
    if not epochs:
        return Gap(None, None)
    best = model.record.get("best_epoch")
    if best == 0:  # the linear start, before any epoch
        return Gap(None, None)
    best = best or len(epochs)
    epoch = epochs[min(best, len(epochs)) - 1]
    # for a random code the held-out error is the whole of J, penalties included
    kind = "loss" if model.objective.judged_by == "error" else "objective"
    corrupted = not isinstance(model.objective.corruption, Identity)
    return Gap(epoch[kind], epoch["validation"], corrupted)


def _count(units: list[Any] | None, n: int) -> str | None:
    return None if units is None else f"{len(units)} of {n}"


def _number(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:.4g}{unit}"


def _share(value: float | None, of: str) -> str | None:
    return None if value is None else f"{value:.1%}{of}"


MANY = 0.1
"""Share of dead, saturated or duplicate units from which there is advice."""

MARGIN = 0.02
"""Share of the variance from which a difference gives advice."""

WIDE_GAP = 1.5


def advice_on(
    model: Model,
    code: CodeStatistics,
    copying: Copying,
    evaluation: Evaluation,
    gap: float | None,
) -> list[str]:
    """Return a sentence for each problem, the most serious first."""
    found = [
        _of_copying(copying),
        _of_linear_guess(copying),
        _of_baseline(evaluation),
        _of_dead(model, code),
        _of_posterior(code),
        _of_saturated(code),
        _of_duplicates(code),
        _of_gap(gap),
    ]
    return [sentence for sentence in found if sentence is not None]


def _of_copying(copying: Copying) -> str | None:
    if not copying.copies:
        return None
    return (
        f"The net copies: of hidden features it fills in {copying.filled_in:.0%} of the variance, "
        f"a linear guess {copying.linear:.0%}; narrow the code, or add "
        "corruption='masking:0.25' (--corruption masking:0.25) or a penalty."
    )


def _of_linear_guess(copying: Copying) -> str | None:
    """Return advice if the net fills in hidden features, but less than a linear guess."""
    if copying.copies is not False:
        return None
    assert copying.filled_in is not None and copying.linear is not None
    assert copying.rebuilt is not None
    if copying.filled_in >= copying.linear - MARGIN:
        return None
    out = "train with corruption='masking:0.25' (--corruption masking:0.25), or for more epochs"
    if copying.rebuilt < copying.linear:
        out = "widen the code, which is too narrow for more, or train for more epochs"
    return (
        f"Of hidden features the net fills in {copying.filled_in:.0%} of the variance, a linear "
        f"guess {copying.linear:.0%}: to fill in values, {out}."
    )


def _of_baseline(evaluation: Evaluation) -> str | None:
    by_baseline = evaluation.baseline_squared_error
    if by_baseline is None or evaluation.baseline_copies or not evaluation.comparable:
        return None
    if evaluation.squared_error <= by_baseline + MARGIN * evaluation.variance:
        return None
    return (
        f"{evaluation.baseline} of the same width reconstructs these rows better "
        f"({by_baseline:.4g} against {evaluation.squared_error:.4g}): train for more epochs with "
        "more patience, lower the learning rate, or weaken corruption and penalties."
    )


def _of_dead(model: Model, code: CodeStatistics) -> str | None:
    if not code.dead or len(code.dead) < MANY * code.n_components:
        return None
    out = "narrow the code, or lower the learning rate"
    if isinstance(model.objective.encoder, TopKEncoder):
        out = "set revive=0.03125 with a smaller dead_after, raise k, or narrow the code"
        if model.variant != "dictionary":
            out = "raise k, narrow the code, or use DictionaryAutoencoder, which revives"
    return f"{len(code.dead)} of {code.n_components} units never change on these rows: {out}."


def _of_posterior(code: CodeStatistics) -> str | None:
    if code.in_use is None or code.in_use > (1 - MANY) * code.n_components:
        return None
    return (
        f"{code.n_components - code.in_use} of {code.n_components} dimensions follow the prior "
        "whatever the row (KL under 0.01 nats): give the KL less weight (beta), or "
        "narrow the code to what is in use."
    )


def _of_saturated(code: CodeStatistics) -> str | None:
    if not code.saturated or len(code.saturated) < MANY * code.n_components:
        return None
    return (
        f"{len(code.saturated)} of {code.n_components} units are at an end of their range in over "
        "95% of the rows, where nothing moves them: scale the data, or lower the learning rate."
    )


def _of_duplicates(code: CodeStatistics) -> str | None:
    if not code.duplicates or len(code.duplicates) < MANY * code.n_components:
        return None
    return (
        f"{len(code.duplicates)} of {code.n_components} units repeat an earlier one: "
        "narrow the code."
    )


def _of_gap(gap: float | None) -> str | None:
    if gap is None or gap < WIDE_GAP:
        return None
    return (
        f"The error on held-out rows is {gap:.2g} times that in training: take more rows, fewer "
        "or narrower layers, weight_decay=0.1, or a corruption."
    )
