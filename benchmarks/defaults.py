"""Measure every estimator and use at its defaults beside simple rivals. See benchmarks/README.md.

    python benchmarks/defaults.py --fast          # a minute
    python benchmarks/defaults.py --minutes 60    # small runs first; run it again to continue
    python benchmarks/defaults.py --half locked   # only to measure a release

Data sets that are not installed with scikit-learn are read from the folder that NARROWS_DATA names.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the nets are small; read before torch is imported

import argparse
import subprocess
import time
from pathlib import Path

import torch
from machine import described, versions
from protocol.log import Log
from protocol.report import write
from protocol.runs import Choice, listed, run
from protocol.sets import SETS, half_of
from protocol.uses import USES

import narrows

HERE = Path(__file__).parent
PACKAGES = ["narrows", "torch", "scikit-learn", "numpy", "scipy"]


def source() -> str:
    """Return the commit of the measured package, which the version alone doesn't tell."""
    folder = Path(narrows.__file__).parent
    asked = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return "Commit: unknown (no git)."
    return f"Commit: {done.stdout.strip() or 'unknown (not a checkout)'}."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=("tuning", "locked"), default="tuning")
    parser.add_argument("--use", nargs="+", choices=USES, default=list(USES), metavar="NAME")
    parser.add_argument("--set", nargs="+", choices=SETS, default=[], metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=[], help="numbers of training rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fast", action="store_true", help="two small sets per use, one seed")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--log", type=Path, help="finished runs; an interrupted one continues")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--list", action="store_true", help="print uses and sets, and stop")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "defaults.md")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    given = parser.parse_args()
    other = [name for name in given.set if half_of(name) != given.half]
    if other:
        parser.error(f"not in the {given.half} half: {', '.join(other)}")
    choice = Choice(given.half, given.use, given.set, given.sizes, given.seeds, given.fast)
    if given.list:
        print(*listed(choice), sep="\n")
        return
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    log = Log(given.log or Path("defaults-fast.jsonl" if given.fast else "defaults.jsonl"))
    if not given.report_only:
        log.add({"machine": [described(), versions(PACKAGES), source()]})
        run(choice, log, until=time.monotonic() + 60 * given.minutes)
    if given.fast and not given.report_only:
        return  # too little for a verdict
    write(log, given.output, given.readme)


if __name__ == "__main__":
    main()
