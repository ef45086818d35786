"""Parquet: one document a row, streamed a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narrows.data.readers.parquet import open_parquet
from narrows.errors import InvalidData
from narrows.text.documents import Documents
from narrows.text.readers._fields import Fields, choose_fields, documents_from

__all__ = ["read_parquet_documents", "string_columns"]

_ROWS = 256


def read_parquet_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a Parquet file; other columns are never read.

    Raises
    ------
    InvalidData
        If it is no Parquet file or damaged, or with the row, counted from 0, for a null text or
        a missing id.
    """
    file = open_parquet(path)
    names = list(file.schema_arrow.names)
    if len(set(names)) < len(names):
        raise InvalidData(f"{path}: a column name stands twice.")
    strings = string_columns(file)
    fields = choose_fields(names, strings, str(path), text=text, id=id, label=label)
    if fields.text not in strings:
        kind = file.schema_arrow.field(fields.text).type
        raise InvalidData(f"{path}: column {fields.text!r} holds {kind}, not strings.")
    return Documents(
        lambda: documents_from(_rows(path, fields), fields, str(path), "row"),
        origin=str(path),
        labeled=fields.label is not None,
    )


def string_columns(file: Any) -> list[str]:
    """Return the names of the columns of strings."""
    import pyarrow.types as kinds

    def holds_strings(kind: Any) -> bool:
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)

    return [field.name for field in file.schema_arrow if holds_strings(field.type)]


def _rows(path: Path, fields: Fields) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa

    # a dictionary of one long text and a million references to it must not be unfolded
    strings = string_columns(open_parquet(path))
    file = open_parquet(path, dictionary=[name for name in fields.names() if name in strings])
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=fields.names()):
            columns = {name: batch.column(name) for name in fields.names()}
            for at in range(batch.num_rows):
                yield number, {name: column[at].as_py() for name, column in columns.items()}
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = f"damaged Parquet data at or after row {number}: {error}"
        raise InvalidData(f"{path}: {reason}.") from None
    if number != file.metadata.num_rows:
        raise InvalidData(
            f"{path}: the footer promises {file.metadata.num_rows} rows, the data have {number}."
        )
