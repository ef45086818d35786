"""Text estimators in scikit-learn's pipelines, with texts in every accepted form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from topics import topic_texts

from narrows import DocumentAutoencoder, SemanticHasher
from narrows.errors import InvalidData

SMALL = {"hidden": (8,), "max_epochs": 1, "random_state": 0}
KINDS = [DocumentAutoencoder, SemanticHasher]
TEXTS, LABELS = topic_texts()
TEXTS, LABELS = TEXTS[:40], LABELS[:40]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(kind):
    return kind(8, **SMALL).fit(TEXTS)


@pytest.fixture
def table():
    return pd.DataFrame({"text": TEXTS, "n": range(40)}, index=[f"row {i}" for i in range(40)])


FORMS = {
    "list": list,
    "tuple": tuple,
    "objects": lambda texts: np.array(texts, dtype=object),
    "strings": np.array,
    "objects, one column": lambda texts: np.array(texts, dtype=object)[:, None],
    "strings, one column": lambda texts: np.array(texts)[:, None],
    "series": pd.Series,
    "categories": lambda texts: pd.Series(texts, dtype="category"),
    "strings of pandas": lambda texts: pd.Series(texts, dtype="string"),
    "frame": lambda texts: pd.DataFrame({"text": texts}),
    "polars series": pl.Series,
    "polars frame": lambda texts: pl.DataFrame({"text": texts}),
    "arrow array": pa.chunked_array,
    "arrow table": lambda texts: pa.table({"text": texts}),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_have_the_same_codes_in_every_form(fitted, form):
    X = FORMS[form](TEXTS if form != "arrow array" else [TEXTS])
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(TEXTS))


@pytest.mark.parametrize("form", ["frame", "polars frame", "objects, one column"])
def test_fit_accepts_one_column(kind, fitted, form):
    again = kind(8, **SMALL).fit(FORMS[form](TEXTS))
    np.testing.assert_array_equal(again.transform(TEXTS), fitted.transform(TEXTS))


def test_two_columns_of_texts_are_refused_by_name(kind):
    frame = pd.DataFrame({"a": TEXTS, "b": TEXTS})
    with pytest.raises(InvalidData, match="column 'a' holds"):
        kind(8, **SMALL).fit(frame)


def test_a_missing_text_in_a_column_is_refused_with_its_place(kind):
    frame = pd.DataFrame({"text": [TEXTS[0], None, TEXTS[1]]})
    with pytest.raises(InvalidData, match="document 1 is of type"):
        kind(8, **SMALL).fit(frame)


# Names of features, and containers


def test_feature_names_do_not_depend_on_the_input_column(kind, fitted):
    names = [f"{kind.__name__.lower()}{i}" for i in range(8)]
    for given in (None, ["text"], ["a", "b"]):
        assert fitted.get_feature_names_out(given).tolist() == names


def test_columns_of_counts_are_still_checked(kind):
    counts = kind(8, **SMALL).fit(TEXTS).vocabulary_.count(TEXTS)
    model = kind(8, **SMALL).fit(counts)
    with pytest.raises(ValueError, match="input_features should have length"):
        model.get_feature_names_out(["text"])


@pytest.mark.parametrize("form", ["list", "series", "frame", "objects"])
def test_set_output_returns_a_pandas_frame(kind, form):
    X = FORMS[form](TEXTS)
    frame = kind(8, **SMALL).set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame) and frame.shape == (40, 8)
    assert frame.columns[0] == f"{kind.__name__.lower()}0"
    if hasattr(X, "iloc"):
        assert frame.index.equals(X.index)


def test_set_output_returns_a_polars_frame(kind):
    frame = kind(8, **SMALL).set_output(transform="polars").fit_transform(TEXTS)
    assert isinstance(frame, pl.DataFrame) and frame.shape == (40, 8)


@pytest.mark.parametrize("column", ["text", ["text"]], ids=["column", "frame"])
def test_a_column_transformer_puts_codes_beside_other_columns(kind, table, column):
    both = ColumnTransformer([("d", kind(8, **SMALL), column), ("n", "passthrough", ["n"])])
    beside = both.fit_transform(table)
    alone = kind(8, **SMALL).fit_transform(TEXTS)
    np.testing.assert_allclose(beside[:, :8], alone)
    np.testing.assert_array_equal(beside[:, 8], range(40))
    names = [f"d__{kind.__name__.lower()}{i}" for i in range(8)] + ["n__n"]
    assert both.get_feature_names_out().tolist() == names
    frame = clone(both).set_output(transform="pandas").fit_transform(table)
    assert frame.columns.tolist() == names and frame.index.equals(table.index)
    np.testing.assert_allclose(frame.to_numpy(), beside)


# Compositions


def test_a_feature_union_prefixes_the_names_of_both_estimators():
    union = FeatureUnion(
        [("d", DocumentAutoencoder(3, **SMALL)), ("h", SemanticHasher(8, **SMALL))]
    )
    assert union.fit_transform(TEXTS).shape == (40, 11)
    assert union.get_feature_names_out()[[0, 3]].tolist() == [
        "d__documentautoencoder0", "h__semantichasher0",
    ]  # fmt: skip


def test_a_grid_search_varies_a_pipelines_parameters(kind, table):
    columns = ColumnTransformer([("d", kind(8, **SMALL), "text"), ("n", "passthrough", ["n"])])
    pipeline = Pipeline([("columns", columns), ("classes", KNeighborsClassifier())])
    grid = {"columns__d__n_components": [8, 16], "columns__d__stemmer": [None, "porter"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(table, LABELS)
    assert search.predict(table).shape == (40,)
    named = search.best_estimator_[:-1].get_feature_names_out()
    assert len(named) == search.best_params_["columns__d__n_components"] + 1


def test_a_grid_search_uses_the_estimators_own_score(kind):
    search = GridSearchCV(kind(8, **SMALL), {"min_df": [1, 2]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(TEXTS).best_score_)
