"""Checks of a fitted model: unused units, copying, overfitting, and advice."""

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


@shown_as_table
@dataclass(frozen=True, repr=False)
class Health:
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


MANY = 0.1
"""A share of dead, saturated or duplicate units that is worth a word."""

MARGIN = 0.02
"""A share of the variance that is worth a word."""

WIDE_GAP = 1.5


def advice_on(
    model: Model,
    code: CodeStatistics,
    copying: Copying,
    evaluation: Evaluation,
    gap: float | None,
) -> list[str]:
    """Return a sentence for each thing that is wrong, the gravest first."""
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
    """Advise where the net knows hidden features, but less of them than a linear guess."""
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
    theirs = evaluation.baseline_squared_error
    if theirs is None or evaluation.baseline_copies or not evaluation.comparable:
        return None
    if evaluation.squared_error <= theirs + MARGIN * evaluation.variance:
        return None
    return (
        f"{evaluation.baseline} of the same width rebuilds these rows better "
        f"({theirs:.4g} against {evaluation.squared_error:.4g}): train for more epochs with more "
        "patience, lower the learning rate, or weaken corruption and penalties."
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
        f"{len(code.duplicates)} of {code.n_components} units say what an earlier one says: "
        "narrow the code."
    )


def _of_gap(gap: float | None) -> str | None:
    if gap is None or gap < WIDE_GAP:
        return None
    return (
        f"The error on held-out rows is {gap:.2g} times that in training: take more rows, fewer "
        "or narrower layers, weight_decay=0.1, or a corruption."
    )
