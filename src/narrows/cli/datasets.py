"""narrows datasets: list and fetch the named data sets."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._near_names import Commands
from narrows.cli._options import PATH, json_option
from narrows.cli._outputs import print_json

__all__ = ["datasets"]


@click.group(cls=Commands, short_help="List and fetch the named data sets.")
def datasets() -> None:
    """List and fetch the named data sets, which are verified by SHA-256.

    The environment variable NARROWS_DATA names a folder that already holds them.
    """


@datasets.command("list", short_help="Print the data sets and where they are.")
@json_option
def list_(as_json: bool) -> None:
    """Print the name, title and license of each data set, and where it is."""
    from narrows.data.datasets import DATASETS, local_folder

    held = local_folder()
    rows = []
    for name, dataset in DATASETS.items():
        there = held is not None and (held / name / dataset.files[0].name).exists()
        rows.append(
            {
                "name": name,
                "title": dataset.title,
                "license": dataset.license,
                "place": str(held / name) if held is not None and there else dataset.url,
            }
        )
    if as_json:
        print_json({"datasets": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:<15} {row['title']}\n{'':<15} {row['license']}; {row['place']}")


@datasets.command("fetch", short_help="Find or download a data set.")
@click.argument("name")
@click.option("-o", "--output", type=PATH, help="Folder to download to.  [the user's cache]")
@json_option
def fetch_(name: str, output: Path | None, as_json: bool) -> None:
    """Find or download the data set NAME, verify it, and print the paths of its files."""
    from narrows.data.datasets import fetch

    files = {file: str(path) for file, path in fetch(name, folder=output).items()}
    if as_json:
        print_json({"name": name, "files": files})
    else:
        for path in files.values():
            click.echo(path)
