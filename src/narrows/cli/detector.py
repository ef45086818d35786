"""narrows detector: nets that find the odd rows of a table, fitted and written into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._checkpoints import Interruptible, checkpoint_options
from narrows.cli._common import (
    PATH,
    SEED,
    data_argument,
    json_option,
    open_model,
    print_json,
)
from narrows.cli._held_out import held_out_options, opened_for_fit
from narrows.cli._progress import quiet_option, verbosity
from narrows.cli._set_option import read_settings, set_option
from narrows.errors import did_you_mean

__all__ = ["detector"]


@click.command(short_help="Fit an anomaly detector to a table, for narrows anomalies.")
@data_argument
@click.option("--like", type=PATH, metavar="MODEL", help="A model file: its kind of net is fitted "
              "anew to every fold, as for images, in the place of the detector's own.",
              )  # fmt: skip
@click.option("--seed", "random_state", type=SEED, help="Makes a fit repeat.")
@set_option("A parameter of AnomalyDetector, such as n_folds=3 or trim=0")
@held_out_options
@click.option("-o", "--output", type=PATH, required=True, help="The detector's file.")
@checkpoint_options
@quiet_option
@json_option
def detector(
    data: str,
    like: Path | None,
    random_state: int | None,
    settings: tuple[str, ...],
    groups: str | None,
    block_length: int | None,
    gap: int | None,
    validation: str | None,
    output: Path,
    resume: bool,
    restart: bool,
    keep_checkpoints: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Fit an anomaly detector to the rows of DATA, which may hold anomalies.

    `narrows anomalies` then says of new rows how odd they are. Every row of DATA is scored by a net
    that did not see it, and among these scores p-values are counted: nothing is held out. With
    --validation they are counted among its rows instead.

    Checkpoints stand in OUTPUT.checkpoints until the file is written; Ctrl-C and SIGTERM leave one,
    and --resume goes on from it to the same end.
    """
    from sklearn.base import clone

    from narrows import AnomalyDetector
    from narrows.errors import UsageError
    from narrows.writers.tables import check_writable

    check_writable(output, *filter(None, (data, like, validation)))
    given = read_settings(settings)
    known = [name for name in AnomalyDetector._get_param_names() if name != "autoencoder"]
    for name in given:
        if name not in known:
            raise UsageError(
                f"--set {name}: a detector has {', '.join(known)}.{did_you_mean(name, known)}"
            )
    net: Any = None if like is None else clone(open_model(like))
    shown = {"random_state": random_state, "verbose": verbosity(quiet)}
    fitted = AnomalyDetector(net, **{**shown, **given})
    opened, rows = opened_for_fit(
        data, groups=groups, block_length=block_length, gap=gap, validation=validation
    )
    with Interruptible(
        output, resume=resume, restart=restart, keep_checkpoints=keep_checkpoints
    ) as run:
        fitted.fit(opened.rows, **rows, **run.of_fit).set_params(verbose=0).save(output)
    if run.exit_code:
        return run.exit_code
    n = len(fitted.calibration_)
    results = {
        "rows": n,
        "features": fitted.n_features_in_,
        "nets": len(fitted.members_),
        "smallest_possible_p_value": 1 / (n + 1),
        "model": str(output),
    }
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(f"{name.replace('_', ' ')}: {v}" for name, v in results.items()))
    return 0
