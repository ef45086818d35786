"""narrows detector: fit an anomaly detector, several nets in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._checkpoints import Interruptible
from narrows.cli._columns import open_for_fit
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    SEED,
    CheckpointOptions,
    RowOptions,
    check_known_parameters,
    checkpoint_options,
    data_argument,
    held_out_options,
    json_option,
    quiet_option,
    read_settings,
    set_option,
)
from narrows.cli._outputs import print_json, print_values
from narrows.cli._progress import verbosity

__all__ = ["detector"]


@click.command(short_help="Fit an anomaly detector to a table, for narrows anomalies.")
@data_argument
@click.option("--like", type=PATH, metavar="MODEL", help="A model file, whose kind of net, such as "
              "one for images, is refitted to every fold.  [a dense net for tables]",
              )  # fmt: skip
@click.option("--seed", "random_state", type=SEED, help="Makes the fit repeatable.  [none]")
@set_option("A parameter of AnomalyDetector, such as n_folds=3 or trim=0")
@held_out_options
@click.option("-o", "--output", type=PATH, required=True, help="The detector file to write.")
@checkpoint_options
@quiet_option
@json_option
def detector(
    data: str,
    like: Path | None,
    random_state: int | None,
    settings: tuple[str, ...],
    row_options: RowOptions,
    output: Path,
    checkpoints: CheckpointOptions,
    quiet: bool,
    as_json: bool,
) -> int:
    """Fit an anomaly detector to the rows of DATA, which may contain anomalies.

    `narrows anomalies` then scores new rows. One net is fitted per fold of DATA, and every row is
    scored by a net that was not trained on it. p-values are counted among these scores or, with
    --validation, among the scores of that file's rows. The file holds up to 10,000 rows of DATA
    that new rows are compared with; none with --set row_weight=0.

    Checkpoints are kept in OUTPUT.checkpoints until the file is written. Ctrl-C and SIGTERM save
    one and stop, and --resume continues from it with the same result.
    """
    from sklearn.base import clone

    from narrows import AnomalyDetector
    from narrows.writers.tables import check_writable

    check_writable(output, *filter(None, (data, like, row_options.validation)))
    given = read_settings(settings)
    check_known_parameters(AnomalyDetector, given, "a detector")
    net: Any = None if like is None else clone(open_model(like))
    options = {"random_state": random_state, "verbose": verbosity(quiet)}
    fitted = AnomalyDetector(net, **{**options, **given})
    opened, rows = open_for_fit(data, row_options)
    with Interruptible(output, checkpoints) as run:
        fitted.fit(opened.rows, **rows, **run.fit_arguments).set_params(verbose=0).save(output)
    if run.exit_code:
        return run.exit_code
    n = len(fitted.calibration_)
    results = {
        "rows": n,
        "features": fitted.n_features_in_,
        "nets": len(fitted.members_),
        "smallest_ranked_p_value": 1 / (n + 1),
        "model": str(output),
    }
    if as_json:
        print_json(results)
    else:
        print_values(results)
    return 0
