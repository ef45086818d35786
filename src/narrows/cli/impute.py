"""narrows impute: fill in the missing cells of a table, and keep everything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._models import open_model
from narrows.cli._options import PATH, SEED, data_argument, json_option, quiet_option
from narrows.cli._outputs import file_lines, print_results
from narrows.cli._progress import RowsProgress

if TYPE_CHECKING:
    from narrows.writers.filled_tables import IncompleteTable

__all__ = ["impute"]


@click.command(short_help="Fill in the missing cells of a table; other columns stay as they are.")
@data_argument
@click.option(
    "-o",
    "--output",
    type=PATH,
    help="The file to write, of the kind of DATA: .csv, .tsv, .parquet or .npy.",
)
@click.option(
    "--model",
    type=PATH,
    metavar="FILE",
    help="A model of the columns of numbers, which fills in instead.",
)
@click.option("--check", is_flag=True,
              help="Hide a tenth of the known cells, and print how well they are filled in: by "
              "this command, a linear fill, the mean, 20-NN and scikit-learn's "
              "IterativeImputer.")  # fmt: skip
@click.option("--indicator", is_flag=True,
              help="Add a column NAME_missing for each column with missing cells: 1 where a cell "
              "was filled in, else 0.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace the output if it exists.")
@click.option("--seed", type=SEED, default=0, show_default=True,
              help="Seed of the hidden cells and of the net.")  # fmt: skip
@quiet_option
@json_option
def impute(
    data: str,
    output: Path | None,
    model: Path | None,
    check: bool,
    indicator: bool,
    replace: bool,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fill in the missing cells (empty, NA, NaN, null, ?) of the columns of numbers of DATA.

    The rows themselves are learned from: a linear fill is chosen on hidden cells, and a net is
    added where it lowers the error. Known cells, columns of texts, dates and booleans, and those
    in DATA:id=A,label=B,drop=C stay as they are. Fills lie between the least and the largest known
    value of their column, and are whole where the column is.
    """
    import numpy as np

    from narrows.errors import first_names
    from narrows.writers.filled_tables import read_incomplete_table

    if output is None and not check:
        raise click.UsageError(
            "give -o FILE to write the filled table, --check to measure, or both."
        )
    path, options = _parsed(data)
    if output is not None:
        _check_output(output, path, data, model, replace=replace)
    table = read_incomplete_table(path, keep=_kept(options), header=options.get("header"))
    missing = np.isnan(table.values)
    empty = [table.names[j] for j in np.flatnonzero(missing.all(axis=0))]
    if not missing.any():
        click.echo(
            f"Warning: {data}: no cell of a column of numbers is missing; the table stays as it "
            "is.",
            err=True,
        )
    elif empty:
        click.echo(
            f"Warning: {data}: {first_names([repr(name) for name in empty])}: no cell is known, so "
            "the column stays empty; leave it out of the file, or name it in drop=.",
            err=True,
        )
    progress = RowsProgress(quiet)
    results: dict[str, Any] = {
        "rows": len(table.values),
        "columns": table.names,
        "left_as_they_are": table.others,
        "missing": dict(zip(table.names, missing.sum(axis=0).tolist(), strict=True)),
    }
    lines = []
    if output is not None:
        filled = table.values
        if missing.any():
            progress.say(f"filling in: {len(filled)} rows of {len(table.names)} columns")
            imputer, filled = _filled(table.values, table.names, model, seed, data)
            results |= {"method": imputer.method_, "errors": imputer.errors_}
            lines.append(_sentence(imputer, missing & ~np.isnan(filled)))
        marked = np.flatnonzero(missing.any(axis=0)).tolist() if indicator else []
        table.write(output, filled, marked)
        results |= {"output": str(output), "filled": int((missing & ~np.isnan(filled)).sum())}
    if check:
        results["check"], shown = _checked(table, model, seed, data, progress)
        lines.append(shown)
    print_results(results, lines + file_lines(results), as_json=as_json)


def _parsed(data: str) -> tuple[Path, dict[str, Any]]:
    """Return the file in DATA and its options."""
    from narrows.data.readers.naming import parse_name
    from narrows.errors import InvalidData, UsageError

    name, options = parse_name(data)
    path = Path(name)
    if path.is_dir():
        raise InvalidData(f"{path}: is a folder; impute reads a table, narrows inpaint images.")
    if not path.exists():
        raise InvalidData(f"{path}: no such file.")
    other = next(iter(options.keys() - {"id", "label", "drop", "header"}), None)
    if other is not None:
        raise UsageError(f"{data!r}: {other} has no effect here; impute takes id, label, drop and "
                         "header.")  # fmt: skip
    return path, options


def _kept(options: dict[str, Any]) -> set[str]:
    """Return the columns that DATA names as no features."""
    return {*options.get("drop", ()), *(options[k] for k in ("id", "label") if k in options)}


def _check_output(
    output: Path, path: Path, data: str, model: Path | None, *, replace: bool
) -> None:
    """Refuse an output that cannot be written, is of another kind than DATA, or exists."""
    from narrows.data.readers.kinds import kind_of
    from narrows.errors import UsageError
    from narrows.writers.tables import check_writable

    check_writable(output, data, *([] if model is None else [model]))
    kinds = [kind_of(name).replace(".pq", ".parquet") for name in (output, path)]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"{output}: the table is written in the format of DATA, {kinds[1] or 'no suffix'}, got "
            f"{kinds[0] or 'no suffix'}; name a {kinds[1]} file."
        )
    if output.exists() and not replace:
        raise UsageError(f"{output}: exists; choose another output path, or pass --replace.")


def _sentence(imputer: Any, filled: Any) -> str:
    """Return how many cells were filled in, and by what; ``filled`` marks them."""
    chosen = "the given model" if imputer.linear_ is None else imputer.linear_.name
    chosen += " and a net" if imputer.method_ == "linear and net" else ""
    return f"filled in: {int(filled.sum())} of {filled.size} cells, by {chosen}"


def _filled(X: Any, names: list[str], model: Path | None, seed: int, data: str) -> tuple[Any, Any]:
    """Return a fitted imputer, and X filled in; columns without a known cell stay empty."""
    import numpy as np
    from sklearn.frozen import FrozenEstimator

    from narrows.errors import InvalidData
    from narrows.estimators.columns import check_same_names
    from narrows.estimators.imputer import CodeImputer

    autoencoder = None
    if model is not None:
        fitted = open_model(model)
        check_same_names(names, getattr(fitted, "feature_names_in_", None), origin=data)
        autoencoder = FrozenEstimator(fitted)
    if len(X) < 2 or np.isnan(X).all():
        raise InvalidData(
            f"{data}: has {len(X)} row(s) and {int((~np.isnan(X)).sum())} known cells; filling in "
            "learns from the known cells of at least two rows."
        )
    imputer = CodeImputer(
        autoencoder, whole_numbers=True, keep_empty_features=True, random_state=seed
    )
    filled = imputer.fit(X).transform(X)
    filled[:, np.isnan(imputer.statistics_)] = np.nan
    return imputer, filled


def _checked(
    table: IncompleteTable, model: Path | None, seed: int, data: str, progress: RowsProgress
) -> tuple[dict[str, Any], str]:
    """Return the errors of hidden cells as values and as text."""
    from narrows.applications.filling.imputation_check import baseline_imputers, check_imputation

    others, left_out = baseline_imputers(*table.values.shape, seed=seed)
    imputers = {"this command": lambda X: _filled(X, table.names, model, seed, data)[1], **others}
    progress.say(f"measuring: {', '.join(imputers)}")
    found = check_imputation(table.values, table.names, imputers, left_out=left_out, seed=seed)
    return found.as_dict(), found.table()
