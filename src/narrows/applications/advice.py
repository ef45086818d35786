"""From what was measured of a code to sentences that name the way out."""

from __future__ import annotations

from narrows.applications.code_statistics import CodeStatistics
from narrows.applications.copying import Copying
from narrows.applications.evaluation import Evaluation
from narrows.encoders import TopKEncoder
from narrows.model import Model

__all__ = ["advice_on"]

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
