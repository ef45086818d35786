"""narrows index: keep codes by the names of their rows, in a file to search."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.applications.printing import counted
from narrows.cli._data import open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import PATH, collected, json_option
from narrows.cli._outputs import one_line, print_json

if TYPE_CHECKING:
    from narrows.indexing.index import Index

__all__ = ["index"]

_SNIPPET = 200

_MEASURED = 20_000
"""More rows are not measured, because that takes a second pass over them."""

_WORTH_SAYING = 0.005
"""A smaller share of unknown words is 0%."""


@dataclass(frozen=True)
class _IndexOptions:
    """What to do with the index, and what a new one is like."""

    add: bool
    replace: bool
    delete: tuple[str, ...]
    verify: bool
    kind: str
    rerank: bool


@click.command(short_help="Create, extend or check an index of codes to search.")
@click.argument("model", type=PATH, required=False)
@click.argument("data", required=False)
@click.option("-o", "--output", type=PATH, required=True, help="The index file.")
@click.option("--add", is_flag=True, help="Add DATA to an existing index.")
@click.option("--replace", is_flag=True, help="Replace an existing index.")
@click.option("--delete", multiple=True, metavar="ID", help="Remove a row; may be repeated.")
@click.option(
    "--verify",
    is_flag=True,
    help="Check an index: its digest, its names, and that searches find its rows.",
)
@click.option("--kind", default="auto", show_default=True,
              help="Kind of an index of bits: auto, flat, hash, multihash or hnsw.")  # fmt: skip
@click.option(
    "--rerank", is_flag=True,
    help="Also keep the numbers that were thresholded to bits, for search --rerank.",
)  # fmt: skip
@collected("options", _IndexOptions)
@json_option
def index(
    model: Path | None,
    data: str | None,
    output: Path,
    options: _IndexOptions,
    as_json: bool,
) -> None:
    """Encode DATA with MODEL and keep the codes in an index, which `narrows search` reads.

    Documents keep their id and the beginning of their text. Images are named by their file, rows
    of t.csv:id=NAME by that column, and other rows 0, 1, ...; --add continues after the
    largest number that the index has ever had.

    Without MODEL and DATA, --delete and --verify work on an existing index. The file is replaced in
    one step, so a killed process leaves the index as it was.
    """
    from narrows.errors import UsageError
    from narrows.writers.tables import check_writable

    if (model is None) != (data is None):
        raise UsageError("MODEL and DATA go together.")
    changes = bool(options.delete) or options.verify
    if model is None and not changes:
        raise UsageError("give MODEL and DATA; or --delete or --verify, for an existing index.")
    if model is not None and changes:
        raise UsageError("--delete and --verify are for an existing index, without MODEL and DATA.")
    if model is None:
        _change(output, options, as_json)
        return
    assert data is not None
    if output.exists() and not (options.add or options.replace):
        raise UsageError(f"{output}: already exists; --add adds to it, --replace replaces it.")
    if options.add and (options.replace or options.rerank or options.kind != "auto"):
        raise UsageError("--add keeps the kind of the index: omit --replace, --kind and --rerank.")
    check_writable(output, model, data)
    rows, added = (
        _append(model, data, output) if options.add else _create(model, data, output, options)
    )
    _report(rows, output, as_json, added)


def _create(
    model: Path, data: str, output: Path, options: _IndexOptions
) -> tuple[Index, dict[str, Any]]:
    from narrows.applications.retrieval.lookup import new_index

    fitted = open_model(model)
    where = os.path.relpath(os.path.realpath(model), os.path.dirname(os.path.realpath(output)))
    rows = new_index(fitted.model_, kind=options.kind, rerank=options.rerank, model_path=where)
    added = _encode_into(rows, fitted, data)
    rows.save(output, replace=options.replace)  # refused if another process has just made one
    return rows, added


def _append(model: Path, data: str, output: Path) -> tuple[Index, dict[str, Any]]:
    from narrows.indexing.index import Index

    fitted = open_model(model)
    with Index.updating(output, model_digest=fitted.model_.fingerprint()) as rows:
        added = _encode_into(rows, fitted, data)
    return rows, added


def _encode_into(rows: Index, fitted: Any, data: str) -> dict[str, Any]:
    """Add the rows of data to an index; return what to print.

    That is how many rows were added, how many were left out because they are empty, and for texts
    the share of words that the model does not know.
    """
    from narrows.applications.retrieval.lookup import add_rows
    from narrows.estimators.autoencoders.text_autoencoder import lookup_rows
    from narrows.text import Documents

    opened = open_data(data, fitted)
    names: list[str] = []
    metadata: list[dict[str, Any] | None] | None = None
    if isinstance(opened, Documents):
        metadata = []
        for document in opened:
            names.append(document.id)
            metadata.append({"snippet": one_line(document.text, _SNIPPET)})
    model, source = lookup_rows(fitted, opened)
    named = None if names else row_names(opened)
    if named is not None:
        names = [*named[1]]
    if not names:
        first = rows.next_number
        names = [str(row) for row in range(first, first + source.n_rows)]
    empty = add_rows(rows, model, source, names, metadata)
    added: dict[str, Any] = {"added": source.n_rows - len(empty), "left_out": len(empty)}
    if len(empty):
        click.echo(
            f"{data}: {len(empty)} of {source.n_rows} rows contain no word that the model knows "
            f"and are left out; the first is {one_line(names[empty[0]], 40)!r}.",
            err=True,
        )
    _advise(model, source)
    if source.unknown_shares is not None:
        shares = source.unknown_shares
        kept = shares[shares < 1]
        added["unknown_share"] = round(float(kept.mean()), 4) if len(kept) else 1.0
        if added["unknown_share"] >= _WORTH_SAYING:
            click.echo(
                f"{data}: the model does not know {added['unknown_share']:.0%} of a document's "
                "words, on average.",
                err=True,
            )
    return added


def _advise(model: Any, source: Any) -> None:
    """Say where LSA or TF-IDF find halves of these documents better than the model's codes."""
    from narrows.applications.retrieval.half_comparison import compare_halves_of

    if source.n_rows > _MEASURED:
        return
    halves = compare_halves_of(model, source)
    for sentence in halves.advice() if halves is not None else []:
        click.echo(sentence, err=True)


def _change(output: Path, options: _IndexOptions, as_json: bool) -> None:
    from narrows.errors import ModelFileError
    from narrows.indexing.index import Index

    if not output.exists():
        raise ModelFileError(f"{output}: no such index.")
    if options.delete:
        with Index.updating(output) as rows:
            rows.delete(list(options.delete))
    rows = Index.load(output)
    if options.verify:
        found = rows.verify()
        if as_json:
            print_json({"index": str(output), **found})
            return
        click.echo(f"{output}: sound; " + ", ".join(f"{k} {v}" for k, v in found.items()))
        return
    _report(rows, output, as_json, {})


def _report(rows: Index, output: Path, as_json: bool, added: dict[str, Any]) -> None:
    settings = rows.settings
    if as_json:
        print_json({"index": str(output), "rows": len(rows), "metric": settings.metric,
                    "width": settings.width, "kind": settings.kind, **added})  # fmt: skip
        return
    what = f"{settings.width} bits" if settings.metric == "hamming" else f"{settings.width} numbers"
    click.echo(f"{output}: {counted(len(rows), 'code')} of {what}, {settings.kind}")
