"""The same documents as a file of every kind."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from narrows.text import Document

DOCUMENTS = [
    Document("a/1", "The first text,\nof two lines", ("sea", "sky")),
    Document("a/2", "", ()),
    Document("b/1", 'naïve "quoted"; \tcafé 漢字 \u202eabc', ("sky",)),
]


def _rows(documents, several):
    return [
        {
            "id": d.id,
            "text": d.text,
            "label": list(d.labels) if several else (d.labels or ("",))[0],
        }
        for d in documents
    ]


def as_jsonl(path, documents=DOCUMENTS):
    text = "".join(json.dumps(row) + "\n" for row in _rows(documents, True))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def as_csv(path, documents=DOCUMENTS):
    table = io.StringIO()
    separator = "\t" if ".tsv" in path.name else ","
    writer = csv.DictWriter(table, ["id", "text", "label"], delimiter=separator)
    writer.writeheader()
    writer.writerows(_rows(documents, False))
    text = table.getvalue().encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def as_parquet(path, documents=DOCUMENTS, **how):
    pq.write_table(pa.Table.from_pylist(_rows(documents, True)), path, row_group_size=2, **how)
    return path


def as_folder(path, documents=DOCUMENTS):
    for document in documents:
        (path / document.id).parent.mkdir(parents=True, exist_ok=True)
        (path / document.id).write_text(document.text, encoding="utf-8", newline="")
    return path


KINDS = {
    "jsonl": as_jsonl,
    "ndjson": as_jsonl,
    "jsonl.gz": as_jsonl,
    "csv": as_csv,
    "tsv": as_csv,
    "csv.gz": as_csv,
    "parquet": as_parquet,
    "folder": as_folder,
}
