"""narrows search: find the rows of an index that are nearest to a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import data_path, open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import PATH, json_option
from narrows.cli._outputs import one_line, print_json

if TYPE_CHECKING:
    from narrows.indexing.index import Index
    from narrows.indexing.protocol import Hit

__all__ = ["search"]

_SHOWN = 72


@click.command(short_help="Find the rows of an index that are nearest to a query.")
@click.argument("index", type=PATH)
@click.argument("query", required=False)
@click.option("-k", default=10, show_default=True, help="How many rows to find for each query.")
@click.option("--like", metavar="ID", help="Use a row of the index as the query, instead of QUERY.")
@click.option(
    "--queries", metavar="FILE",
    help="Many queries: a .txt with one per line, or data that the model reads.",
)  # fmt: skip
@click.option("--model", type=PATH, help="The model file.  [the path stored in the index]")
@click.option(
    "--rerank",
    is_flag=True,
    help="Order hits by the cosine of the numbers that were thresholded to bits.",
)
@json_option
def search(
    index: Path,
    query: str | None,
    k: int,
    like: str | None,
    queries: str | None,
    model: Path | None,
    rerank: bool,
    as_json: bool,
) -> None:
    """Print the rows of INDEX nearest to QUERY: id, distance, and the beginning of the text.

    QUERY is a text; for a model that does not read texts, an image or a file of rows.

    The distance is the number of bits that differ; for codes of numbers, 1 - cosine. Rows at the
    same distance come in the order in which they were added. --rerank also prints the cosine.
    """
    from narrows.applications.retrieval.lookup import check_rerank
    from narrows.errors import ModelFileError, UsageError
    from narrows.indexing.index import Index

    given = [value for value in (query, like, queries) if value is not None]
    if len(given) != 1:
        raise UsageError("give one of QUERY, --like and --queries.")
    if not index.exists():
        raise ModelFileError(f"{index}: no such index; `narrows index` makes one.")
    rows = Index.load(index)
    if rerank:
        check_rerank(rows)
    if like is not None:
        answers, names, unknown = (
            [rows.like(like, k, shortlist=max(10 * k, 100) if rerank else None)],
            [like],
            None,
        )
    else:
        path = _model_of(rows, index, model)
        answers, names, unknown = _search(rows, path, query, queries, k, rerank)
    if as_json:
        found = [_as_json(*pair) for pair in zip(names, answers, strict=True)]
        for answer, share in zip(found, unknown or (), strict=unknown is not None):
            answer["unknown_share"] = round(share, 4)
        print_json({"answers": found})
        return
    if any(answers):
        click.echo(_header(answers))
    for name, hits in zip(names, answers, strict=True):
        if queries is not None or len(names) > 1:  # QUERY may be a file of several rows
            click.echo(f"{one_line(name, _SHOWN)}:")
        for hit in hits:
            click.echo(_line(hit))
    if not len(rows):
        click.echo("nothing found: the index is empty.", err=True)


def _model_of(rows: Index, index: Path, model: Path | None) -> Path:
    from narrows.errors import ModelFileError

    if model is None and not rows.settings.model_path:
        raise ModelFileError(f"{index}: does not hold the path of its model; give it with --model.")
    path = model or index.parent / rows.settings.model_path
    if not path.is_file():
        shown = one_line(str(path), _SHOWN)
        raise ModelFileError(
            f"{shown}: the index's model file does not exist; give it with --model."
        )
    return path


def _search(
    rows: Index, path: Path, query: str | None, queries: str | None, k: int, rerank: bool
) -> tuple[list[list[Hit]], list[str], list[float] | None]:
    """Return the hits of every query, its name, and the share of its words that the model does not
    know; None for the shares if queries are not texts."""
    from narrows.applications.retrieval.lookup import search_rows
    from narrows.errors import InvalidData, ModelFileError
    from narrows.estimators.autoencoders.text_autoencoder import lookup_rows

    fitted = open_model(path)
    if rows.settings.model_digest != fitted.model_.fingerprint():
        raise ModelFileError(f"{path}: the index was made with another model; use that one.")
    X: Any
    if query is not None:
        X, names = [query], [query]
        if fitted.model_.vocabulary is None:
            if not data_path(query).exists():
                raise InvalidData(
                    f"QUERY: the model reads no texts, and {query!r} is not a file; give an image "
                    "or other data, or use --like."
                )
            X = open_data(query, fitted)
            names = [*(row_names(X) or ("", []))[1]]
    elif queries is not None and queries.lower().endswith(".txt"):
        if not Path(queries).is_file():
            raise InvalidData(f"{queries}: not a regular file.")
        lines = Path(queries).read_text(encoding="utf-8", errors="replace").split("\n")
        X = [line for line in lines if line.strip()]
        if not X:
            raise InvalidData(f"{queries}: contains no queries.")
        names = X
    else:
        assert queries is not None
        X = open_data(queries, fitted)
        names = [*(row_names(X) or ("", []))[1]]
    model, source = lookup_rows(fitted, X)
    names = names or [str(row) for row in range(source.n_rows)]
    answers = search_rows(rows, model, source, k, rerank=rerank)
    if source.unknown_shares is None:
        return answers, names, None
    unknown: list[float] = source.unknown_shares.tolist()
    for name, share in zip(names, unknown, strict=True):
        if share == 1:
            click.echo(f"{one_line(name, _SHOWN)!r}: no word that the model knows.", err=True)
        elif share > 0:
            click.echo(
                f"{one_line(name, _SHOWN)!r}: the model does not know {share:.0%} of its words.",
                err=True,
            )
    return answers, names, unknown


def _header(answers: list[list[Hit]]) -> str:
    """Return the header of the lines of hits."""
    hits = [hit for found in answers for hit in found]
    cells = ["id", "distance"]
    cells += ["cosine"] * any(hit.cosine is not None for hit in hits)
    cells += ["text"] * any(hit.metadata.get("snippet") for hit in hits)
    return "\t".join(cells)


def _line(hit: Hit) -> str:
    distance = f"{hit.distance:d}" if isinstance(hit.distance, int) else f"{hit.distance:.4f}"
    cells = [one_line(hit.name, 40), distance]
    if hit.cosine is not None:
        cells.append(f"{hit.cosine:.4f}")
    return "\t".join([*cells, one_line(str(hit.metadata.get("snippet", "")), _SHOWN)]).rstrip()


def _as_json(name: str, hits: list[Hit]) -> dict[str, Any]:
    found = [
        {**hit.metadata, "id": hit.name, "distance": hit.distance, "cosine": hit.cosine}
        for hit in hits
    ]
    return {"query": name, "hits": found}
