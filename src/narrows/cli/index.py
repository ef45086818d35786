"""narrows index: keep the codes of documents or rows by name, in a file to search in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import PATH, json_option
from narrows.cli._outputs import one_line, print_json

if TYPE_CHECKING:
    from narrows.indexing.index import Index

__all__ = ["index"]

_SNIPPET = 200


@click.command(short_help="Make or change an index of codes, to search in.")
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
              help="For bits: auto, flat, hash, multihash or hnsw.")  # fmt: skip
@click.option(
    "--rerank", is_flag=True,
    help="Also keep the numbers that the bits are cut from, for search --rerank.",
)  # fmt: skip
@json_option
def index(
    model: Path | None,
    data: str | None,
    output: Path,
    add: bool,
    replace: bool,
    delete: tuple[str, ...],
    verify: bool,
    kind: str,
    rerank: bool,
    as_json: bool,
) -> None:
    """Encode DATA with MODEL and keep the codes in an index, which `narrows search` reads.

    Documents keep their id and the beginning of their text. Images are named by their file, rows
    of t.csv:id=NAME by that column, and other rows 0, 1, ...; --add counts on from the largest
    number that the index ever had.

    Without MODEL and DATA, --delete and --verify work on an existing index. The file is replaced in
    one step, so a killed process leaves the index as it was.
    """
    from narrows.errors import UsageError
    from narrows.writers.tables import check_writable

    if (model is None) != (data is None):
        raise UsageError("MODEL and DATA go together.")
    if model is None and not (delete or verify):
        raise UsageError("give MODEL and DATA; or --delete or --verify, for an existing index.")
    if model is not None and (delete or verify):
        raise UsageError("--delete and --verify are for an existing index, without MODEL and DATA.")
    if model is None:
        _change(output, delete, verify, as_json)
        return
    assert data is not None
    if output.exists() and not (add or replace):
        raise UsageError(f"{output}: exists already; --add adds to it, --replace replaces it.")
    if add and (replace or rerank or kind != "auto"):
        raise UsageError(
            "--add keeps the kind of the index: leave --replace, --kind and --rerank out."
        )
    check_writable(output, model, data)
    rows, added = (
        _append(model, data, output)
        if add
        else _create(model, data, output, kind, rerank, replace=replace)
    )
    _report(rows, output, as_json, added)


def _create(
    model: Path, data: str, output: Path, kind: str, rerank: bool, *, replace: bool
) -> tuple[Index, dict[str, Any]]:
    from narrows.applications.retrieval.lookup import new_index

    fitted = open_model(model)
    where = os.path.relpath(os.path.realpath(model), os.path.dirname(os.path.realpath(output)))
    rows = new_index(fitted.model_, kind=kind, rerank=rerank, model_path=where)
    added = _encode_into(rows, fitted, data)
    rows.save(output, replace=replace)  # refused if another process has made one meanwhile
    return rows, added


def _append(model: Path, data: str, output: Path) -> tuple[Index, dict[str, Any]]:
    from narrows.indexing.index import Index

    fitted = open_model(model)
    with Index.updating(output, model_digest=fitted.model_.fingerprint()) as rows:
        added = _encode_into(rows, fitted, data)
    return rows, added


def _encode_into(rows: Index, fitted: Any, data: str) -> dict[str, Any]:
    """Add the rows of data to an index; return the counts to print.

    They are how many rows were added, how many were left out because they are empty, and for texts
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
            f"{data}: {len(empty)} of {source.n_rows} without a word that the model knows are "
            f"left out, the first is {one_line(names[empty[0]], 40)!r}.",
            err=True,
        )
    if source.unknown_shares is not None:
        shares = source.unknown_shares
        kept = shares[shares < 1]
        added["unknown_share"] = round(float(kept.mean()), 4) if len(kept) else 1.0
        click.echo(
            f"{data}: the model does not know {added['unknown_share']:.0%} of a document's words, "
            "on average.",
            err=True,
        )
    return added


def _change(output: Path, delete: tuple[str, ...], verify: bool, as_json: bool) -> None:
    from narrows.errors import ModelFileError
    from narrows.indexing.index import Index

    if not output.exists():
        raise ModelFileError(f"{output}: no such index.")
    if delete:
        with Index.updating(output) as rows:
            rows.delete(list(delete))
    rows = Index.load(output)
    if verify:
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
    click.echo(f"{output}: {len(rows)} codes of {what}, {settings.kind}")
