"""Documents from every kind of column of strings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from narrows.errors import InvalidData
from narrows.text import Document, Documents, as_documents
from narrows.text.documents import MAX_CHARACTERS, texts_of

TEXTS = ["to be", "", "or not"]

COLUMNS = {
    "list": list,
    "tuple": tuple,
    "numpy str": np.array,
    "numpy object": lambda texts: np.array(texts, dtype=object),
    "pandas": lambda texts: pd.Series(texts, index=[5, 5, 1]),
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas category": lambda texts: pd.Series(texts, dtype="category"),
    "polars": pl.Series,
}


@pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS.keys())
def test_a_column_becomes_documents_numbered_in_order(make):
    documents = list(as_documents(make(TEXTS)))
    assert documents == [Document("0", "to be"), Document("1", ""), Document("2", "or not")]
    assert {type(document.text) for document in documents} == {str}


def test_documents_can_be_read_repeatedly():
    documents = as_documents(TEXTS)
    assert list(documents) == list(documents)
    assert list(documents.texts()) == TEXTS


def test_documents_are_returned_unchanged():
    documents = Documents(lambda: iter([Document("a", "x", ("l",))]), origin="f", labeled=True)
    assert as_documents(documents) is documents
    assert repr(documents) == "Documents(f, labeled)"


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("one text", r"got one string; pass \[text\]"),
        (b"bytes", r"got bytes; pass \[text.decode\('utf-8'\)\]"),
        (["a", b"b"], r"document 1 is of type bytes .*decode it"),
        (["a", None], r"document 1 is of type NoneType \(None\); .*drop the missing ones"),
        (["a", "b", float("nan")], r"document 2 is of type float"),
        ([["a"], ["b"]], r"document 0 is of type list"),
        (np.array([["a", "b"]]), r"got ndarray of shape \(1, 2\); choose the column"),
        (np.array("a"), r"got ndarray of shape \(\)"),
        (np.array([b"a"]), r"document 0 is of type bytes"),
        (np.arange(3), r"document 0 is of type int \(0\)"),
        (pd.DataFrame({"text": ["a"]}), r"got DataFrame of shape \(1, 1\); choose the column"),
        (pd.Series(["a", None]), r"document 1 is of type"),
        (pl.Series(["a", None]), r"document 1 is of type NoneType"),
        ((t for t in TEXTS), r"a generator can be read only once; pass list\(X\)"),
        ({"a": "b"}, r"expected a list of strings, got dict"),
        ({"a"}, r"expected a list of strings, got set"),
        (3, r"expected a list of strings, got int"),
        (None, r"expected a list of strings, got NoneType"),
        ([], r"X: no documents"),
        (np.array([], dtype=str), r"X: no documents"),
    ],
)
def test_other_inputs_are_refused_with_advice(X, message):
    with pytest.raises(InvalidData, match=message):
        as_documents(X)


def test_an_iterator_can_be_read_once():
    assert list(texts_of(iter(TEXTS))) == TEXTS


def test_an_iterator_names_the_position_of_an_item_that_is_not_a_string():
    with pytest.raises(InvalidData, match="document 1 is of type int"):
        list(texts_of(iter(["a", 1])))


def test_a_document_over_the_limit_is_refused_by_position():
    with pytest.raises(InvalidData, match=r"X, document 1: .*10,000,001 .* at most 10,000,000"):
        as_documents(["a", "x" * (MAX_CHARACTERS + 1)])


def test_a_document_at_the_limit_is_read():
    long = "x" * MAX_CHARACTERS
    assert next(as_documents([long]).texts()) == long


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\udfff\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),  # halves that belong together
        ("a\u202eb\ufeff", "a\u202eb\ufeff"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_invalid_characters_become_replacement_characters(text, cleaned):
    assert next(as_documents([text]).texts()) == cleaned
    assert cleaned.encode().decode() == cleaned
