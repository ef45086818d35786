"""Write the report: a summary, all losses, then everything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.log import Log
from protocol.runs import errors_of
from protocol.uses import USES
from protocol.verdict import Verdict, judge

__all__ = ["BEGIN", "END", "Comparison", "comparisons", "losses_table", "report", "rewritten"]

BEGIN = "<!-- losses: written by benchmarks/defaults.py -->"
END = "<!-- end of losses -->"


@dataclass(frozen=True)
class Comparison:
    """An estimator beside one rival, on one set at one size and condition, over all seeds."""

    half: str
    use: str
    set: str
    size: int
    condition: str
    measure: str
    estimator: str
    rival: str
    seeds: int
    verdict: Verdict
    failure: str = ""


def comparisons(log: Log) -> list[Comparison]:
    """Return all comparisons that the log allows, in the order of uses, sets and sizes."""
    cells: dict[tuple, dict[str, dict[int, dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for record in log.runs.values():
        key = (record["half"], *(record[name] for name in ("use", "set", "size", "condition")))
        cells[key][record["method"]][record["seed"]] = record
    found = []
    for (half, use_name, set_name, size, condition), methods in cells.items():
        use = USES.get(use_name)
        for estimator in (name for name in use.estimators if name in methods) if use else ():
            for rival in (name for name in use.rivals_of(estimator) if name in methods):
                ours, theirs = methods[estimator], methods[rival]
                seeds = sorted(set(ours) & set(theirs))
                measures = {m for seed in seeds for m in theirs[seed]["scores"]}
                failure = next((ours[s]["failure"] for s in seeds if ours[s]["failure"]), "")
                for measure in sorted(measures):
                    pairs = [(errors_of(ours[s], measure), errors_of(theirs[s], measure))
                             for s in seeds]  # fmt: skip
                    verdict = judge(pairs, len({theirs[s]["test"] for s in seeds}))
                    if verdict:
                        found.append(Comparison(half, use_name, set_name, size, condition, measure,
                                                estimator, rival, len(seeds), verdict,
                                                failure))  # fmt: skip
    order = list(USES)
    return sorted(found, key=lambda c: (c.half != "tuning", order.index(c.use), c.set.lower(),
                                        c.size, c.condition))  # fmt: skip


def _table(header: str, rows: Iterable[str]) -> list[str]:
    columns = header.count("|") + 1
    return [f"| {header} |", "|---" * columns + "|", *(f"| {row} |" for row in rows), ""]


def _share(results: list[str]) -> str:
    n = len(results)
    counts = [results.count(kind) for kind in ("win", "tie", "lose")]
    return " / ".join(f"{100 * count / n:.0f}" for count in counts) + f" | {n}"


def _summary(found: list[Comparison], log: Log) -> list[str]:
    groups: dict[tuple, list[Comparison]] = defaultdict(list)
    for one in found:
        groups[one.half, one.use, one.estimator, one.measure, one.rival].append(one)
    seconds: dict[tuple, list[float]] = defaultdict(list)
    for record in log.runs.values():
        seconds[record["half"], record["use"], record["method"]].append(record["seconds"])

    def mean(*key: str) -> str:
        return f"{np.mean(seconds[key]):.2g}"

    rows = []
    for (half, use, estimator, measure, rival), ones in groups.items():
        ratios = [one.verdict.ratio for one in ones if one.verdict.ratio > 0]
        ratio = f"{np.exp(np.mean(np.log(ratios))):.2f}" if ratios else ""
        rows.append(
            f"{half} | {use} | {estimator} | {rival} | {measure} | "
            f"{_share([one.verdict.result for one in ones])} | {ratio} | "
            f"{mean(half, use, estimator)} / {mean(half, use, rival)}"
        )
    header = ("half | use | estimator | rival | error | win / tie / lose, % | comparisons | "
              "ratio of errors, geometric mean | seconds, both")  # fmt: skip
    return _table(header, rows)


def _number(value: float) -> str:
    return "failed" if np.isnan(value) else f"{value:.4g}"


def losses_table(found: list[Comparison]) -> list[str]:
    """Return the table of all losses, the worst ratio of each use first; failures come first."""
    lost = [one for one in found if one.verdict.result == "lose"]
    if not lost:
        return ["No losses.", ""]
    order = list(USES)

    def worst_first(one: Comparison) -> tuple:
        ratio = one.verdict.ratio
        return order.index(one.use), -np.inf if np.isnan(ratio) else -ratio

    rows = []
    for one in sorted(lost, key=worst_first):
        v = one.verdict
        shown = [_number(v.error), _number(v.rival_error),
                 "" if np.isnan(v.ratio) else f"{v.ratio:.3f}"]  # fmt: skip
        rows.append(
            f"{one.use} | {one.set} ({one.half}) | {one.size:,} | {one.condition} | "
            f"{one.estimator} | {one.rival} | {one.measure} | {' | '.join(shown)}"
        )
    return _table("use | set | rows | condition | estimator | rival | error | estimator's | "
                  "rival's | ratio", rows)  # fmt: skip


def _failures(log: Log) -> list[str]:
    groups: dict[tuple, list[dict]] = defaultdict(list)
    for record in log.runs.values():
        if record["failure"]:
            groups[record["use"], record["method"], record["failure"]].append(record)
    if not groups:
        return ["No run failed.", ""]
    return [
        f"- {use}, {method}, {len(ones)} runs ({ones[0]['set']}, {ones[0]['size']} rows, ...): "
        f"`{' '.join(failure.replace('`', chr(39)).split())}`"
        for (use, method, failure), ones in groups.items()
    ] + [""]


def _everything(found: list[Comparison]) -> list[str]:
    groups: dict[tuple, list[Comparison]] = defaultdict(list)
    for one in found:
        key = (one.half, one.use, one.set, one.size, one.condition, one.estimator, one.measure)
        groups[key].append(one)
    sign = {"win": "+", "tie": "=", "lose": "-"}
    rows = []
    for (half, use, name, size, condition, estimator, measure), ones in groups.items():
        beside = ", ".join(
            f"{sign[one.verdict.result]}{one.rival} {_number(one.verdict.rival_error)}"
            for one in ones
        )
        rows.append(
            f"{half} | {use} | {name} | {size:,} | {condition} | {estimator} | {measure} | "
            f"{_number(ones[0].verdict.error)} | {beside} | {max(one.seeds for one in ones)}"
        )
    return _table("half | use | set | rows | condition | estimator | error | estimator's | "
                  "rivals' | seeds", rows)  # fmt: skip


def report(log: Log) -> str:
    """Return the page of a log."""
    found = comparisons(log)
    runs = list(log.runs.values())
    machines = dict.fromkeys(line for start in log.starts for line in start["machine"])
    used = {record["use"] for record in runs}
    out = [
        "# Every estimator at its defaults",
        "",
        "Written by `python benchmarks/defaults.py`. [The protocol](../README.md) says what is "
        "measured and how a verdict is reached.",
        "",
        *machines,
        "",
        f"{len(runs):,} runs, {len(found):,} comparisons, "
        f"{sum(r['seconds'] for r in runs) / 3600:.1f} hours of runs, "
        f"{sum(r['warnings'] for r in runs):,} warnings.",
        "",
        *(f"- {use.name}: {use.what}." for use in USES.values() if use.name in used),
        "",
        "## Summary",
        "",
        *_summary(found, log),
        "## Failures",
        "",
        *_failures(log),
        "## All losses",
        "",
        *losses_table(found),
        "## Everything",
        "",
        "+ before a rival is a win of the estimator, = a tie, - a loss.",
        "",
        *_everything(found),
    ]
    return "\n".join(out).rstrip() + "\n"


def rewritten(readme: str, found: list[Comparison]) -> str:
    """Return a page with the table of losses between the two markers replaced."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the line {BEGIN!r} or {END!r}")
    return "\n".join([before + BEGIN, "", *losses_table(found), END + after])


def write(log: Log, page: Path, readme: Path) -> None:
    """Write the page, and the losses into the readme."""
    page.parent.mkdir(exist_ok=True)
    page.write_text(report(log))
    readme.write_text(rewritten(readme.read_text(), comparisons(log)))
