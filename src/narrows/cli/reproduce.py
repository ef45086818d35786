"""narrows reproduce: run a paper's experiment and print the results beside the published ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from narrows.cli._options import PATH

__all__ = ["papers_folder", "reproduce"]


def papers_folder() -> Path:
    """Return the folder of the papers: inside the installed package, or beside a checkout's src."""
    package = Path(__file__).parents[1]
    installed = package / "_papers"
    return installed if installed.is_dir() else package.parents[1] / "papers"


def _papers() -> dict[str, Path]:
    scripts = papers_folder().glob("*/run.py")
    return {script.parent.name.replace("_", "-"): script for script in sorted(scripts)}


@click.command(short_help="Run a paper's experiment and compare with its published results.")
@click.argument("paper", required=False)
@click.option("--preset", help="Size of the experiment, such as fast or best.  [fast]")
@click.option("--seed", type=int, help="Seed of the experiment.  [0]")
@click.option("-o", "--output", type=PATH, help="Folder for table.json, pictures and models.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def reproduce(
    paper: str | None, preset: str | None, seed: int | None, output: Path | None, as_json: bool
) -> int:
    """Run PAPER's experiment; without PAPER, list the papers."""
    from narrows.errors import unknown_name

    papers = _papers()
    if paper is None:
        click.echo("\n".join(papers))
        return 0
    if paper not in papers:
        raise unknown_name("paper", paper, papers)
    command = [sys.executable, str(papers[paper])]
    for option, value in (("--preset", preset), ("--seed", seed), ("--output", output)):
        if value is not None:
            command += [option, str(value)]
    if as_json:
        command.append("--json")
    return subprocess.run(command, check=False).returncode
