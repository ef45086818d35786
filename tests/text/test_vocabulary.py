"""The vocabulary and its counts equal those of scikit-learn's CountVectorizer."""

from __future__ import annotations

import copy
import json
import pickle
import unicodedata
from itertools import islice

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from narrows.errors import InvalidData, ModelFileError, UsageError
from narrows.text import Analyzer, Vocabulary, as_documents, empty_rows, read_documents
from narrows.text.counting import pack

TEXTS = [
    "The cat sat on the mat; the CAT sat.",
    "A dog and a cat: dogs, cats, and DOGS' tails_1!",
    "Ὀδυσσεύς, ΟΔΟΣ'Α ΣΑΣ naïve café",
    "İstanbul Straße STRASSE ﬁne x² 漢字かな ١٢٣",
    "",
    "the of and",
]

words = st.sampled_from("the cat CAT Dog ab aB a_ ΣΑΣ İI né x the_ 12 ß".split())
glue = st.sampled_from([" ", "", ".", "'", "\n", "\x1c", "\x85", "\u2003", "\u00ad", "-", "\0"])
texts = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(max_codepoint=127), max_size=40),
    st.lists(st.tuples(words, glue), max_size=12).map(lambda p: "".join(w + g for w, g in p)),
)


def reference(texts, *, normalize=True, **how):
    """Return scikit-learn's terms and counts, on composed text."""
    how = {"stop_words": "english", "max_features": None} | how
    vectorizer = CountVectorizer(**how)
    composed = [unicodedata.normalize("NFC", text) for text in texts] if normalize else texts
    counts = vectorizer.fit_transform(composed)
    return vectorizer, tuple(vectorizer.get_feature_names_out()), counts


def learned(texts, *, analyzer=None, **how):
    return Vocabulary.learn(
        texts, analyzer or Analyzer(analyzer="word"), **({"max_features": None} | how)
    )


def assert_same(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.has_canonical_format
    theirs = theirs.copy()
    theirs.sort_indices()
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_array_equal(ours.data, theirs.data)


@pytest.mark.parametrize("stop_words", [None, "english", ["cat", "ΣΑΣ", "σας"]])
@pytest.mark.parametrize("lowercase", [True, False])
@given(corpus=st.lists(texts, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_unicode_text_counts_as_with_scikit_learn(corpus, lowercase, stop_words):
    how = {"lowercase": lowercase, "stop_words": stop_words}
    analyzer = Analyzer(analyzer="word", max_token_length=1000, **how)
    try:
        _, terms, counts = reference(corpus, lowercase=lowercase, stop_words=stop_words)
    except ValueError as error:
        with pytest.raises(InvalidData, match="no words to count"):
            learned(corpus, analyzer=analyzer)
        assert "empty vocabulary" in str(error)
        return
    vocabulary, ours = learned(corpus, analyzer=analyzer)
    assert vocabulary.terms == terms
    assert_same(ours, counts)
    assert_same(vocabulary.count(corpus), counts)


@given(
    corpus=st.lists(texts, min_size=1, max_size=8),
    min_df=st.sampled_from([1, 2, 3, 0.0, 0.25, 0.5]),
    max_df=st.sampled_from([1.0, 0.75, 0.5, 2, 5]),
)
@settings(max_examples=200, deadline=None)
def test_rare_and_common_terms_are_dropped_as_with_scikit_learn(corpus, min_df, max_df):
    try:
        _, terms, counts = reference(corpus, min_df=min_df, max_df=max_df)
    except ValueError:
        with pytest.raises((InvalidData, UsageError)):
            learned(corpus, min_df=min_df, max_df=max_df)
        return
    vocabulary, ours = learned(corpus, min_df=min_df, max_df=max_df)
    assert vocabulary.terms == terms
    assert_same(ours, counts)


@given(corpus=st.lists(texts, min_size=1, max_size=8), max_features=st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_the_most_frequent_terms_are_kept_and_ties_are_resolved_by_code_point(corpus, max_features):
    try:
        _, terms, counts = reference(corpus)
    except ValueError:
        return
    occurrences = np.asarray(counts.sum(axis=0)).ravel()
    commonest = sorted(zip(-occurrences, terms, strict=True))[:max_features]
    vocabulary, ours = learned(corpus, max_features=max_features)
    assert vocabulary.terms == tuple(sorted(term for _, term in commonest))
    kept = [terms.index(term) for term in vocabulary.terms]
    assert_same(ours, sp.csr_array(counts[:, kept]))


@given(learned_from=st.lists(texts, min_size=1, max_size=6), corpus=st.lists(texts, min_size=1))
@settings(max_examples=100, deadline=None)
def test_other_texts_count_as_with_scikit_learn(learned_from, corpus):
    try:
        vectorizer, _, _ = reference(learned_from)
    except ValueError:
        return
    composed = [unicodedata.normalize("NFC", text) for text in corpus]
    vocabulary, _ = learned(learned_from)
    assert_same(vocabulary.count(corpus), vectorizer.transform(composed))


@pytest.mark.parametrize(
    "pattern", [r"(?u)\b\w\w+\b", r"\b\w+\b", r"[a-z]{3,}", r"(\w)\w*", r"\S+"]
)
def test_any_token_pattern_counts_as_with_scikit_learn(pattern):
    _, terms, counts = reference(TEXTS, token_pattern=pattern)
    vocabulary, ours = learned(TEXTS, analyzer=Analyzer(token_pattern=pattern))
    assert vocabulary.terms == terms
    assert_same(ours, counts)


@pytest.mark.parametrize("stemmer", ["porter", "snowball"])
def test_stems_count_as_with_the_same_stemmer_in_scikit_learn(stemmer):
    import Stemmer

    texts = [*TEXTS, "generously generous generations running runner ran dying dies skies"]
    words = CountVectorizer(stop_words="english").build_analyzer()
    stem = Stemmer.Stemmer({"porter": "porter", "snowball": "english"}[stemmer]).stemWord
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    theirs = CountVectorizer(analyzer=lambda text: [stem(word) for word in words(text)])
    counts = theirs.fit_transform(composed)
    vocabulary, ours = learned(texts, analyzer=Analyzer(stemmer=stemmer))
    assert vocabulary.terms == tuple(theirs.get_feature_names_out())
    assert_same(ours, counts)
    assert_same(vocabulary.count(texts), counts)


def test_the_two_stemmers_differ():
    word = "generously"
    porter, snowball = (Analyzer(stemmer=name)(word) for name in ("porter", "snowball"))
    assert (porter, snowball) == (["gener"], ["generous"])


def test_stop_words_are_dropped_before_stemming():
    assert Analyzer(stemmer="porter")("have haves") == ["have"]
    assert Analyzer(stemmer="porter", stop_words=["run"])("run running") == ["run"]


def test_a_long_document_is_split_between_words(monkeypatch):
    monkeypatch.setattr("narrows.text.tokens._PIECE", 7)
    for text in (" ".join(TEXTS), " ".join(TEXTS).encode("ascii", "ignore").decode(), "w" * 50):
        _, terms, counts = reference([text])
        vocabulary, ours = learned([text])
        assert vocabulary.terms == terms
        assert_same(ours, counts)
        _, terms, _ = reference([text], token_pattern=r"(\w)\w+")
        assert learned([text], analyzer=Analyzer(token_pattern=r"(\w)\w+"))[0].terms == terms


@pytest.mark.parametrize(("block_words", "block_rows"), [(1, 1), (5, 100), (10**6, 2)])
def test_the_size_of_a_block_does_not_matter(monkeypatch, block_words, block_rows):
    _, whole = learned(TEXTS)
    monkeypatch.setattr("narrows.text.counting.BLOCK_WORDS", block_words)
    monkeypatch.setattr("narrows.text.counting.BLOCK_ROWS", block_rows)
    vocabulary, ours = learned(TEXTS)
    assert_same(ours, whole)
    assert_same(vocabulary.count(TEXTS), whole)


@pytest.mark.parametrize("stemmer", [None, "porter"])
def test_words_dropped_from_the_cache_count_the_same(monkeypatch, stemmer):
    analyzer = Analyzer(stemmer=stemmer)
    before, whole = learned(TEXTS, analyzer=analyzer)
    monkeypatch.setattr("narrows.text.counting.MAX_CACHED", 2)
    vocabulary, ours = learned(TEXTS, analyzer=analyzer)
    assert vocabulary.terms == before.terms
    assert_same(ours, whole)
    assert_same(vocabulary.count(TEXTS), whole)


def test_counts_over_255_and_65535_are_kept():
    texts = ["ab " * n + "cd" for n in (1, 255, 256, 65_536)]
    vocabulary, counts = learned(texts)
    assert vocabulary.terms == ("ab", "cd")
    np.testing.assert_array_equal(counts.toarray(), [[1, 1], [255, 1], [256, 1], [65_536, 1]])


@pytest.mark.parametrize("columns", [[0, 1], [5, 2**16], [2**19, 1], [9_999_999, 0]])
def test_keys_unpack_to_rows_and_columns(columns):
    rows, columns = np.array([4095, 4095]), np.array(columns)
    keys, bits = pack(rows, columns, 4096)
    np.testing.assert_array_equal(keys >> bits, rows)
    np.testing.assert_array_equal(keys & ((1 << bits) - 1), columns)


def test_document_frequencies_count_documents():
    vocabulary, counts = learned(TEXTS)
    np.testing.assert_array_equal(vocabulary.document_frequencies, (counts.toarray() > 0).sum(0))
    assert vocabulary.document_frequencies.dtype == np.int64
    assert vocabulary.n_documents == len(TEXTS)


def test_counts_are_float32_and_sorted():
    vocabulary, counts = learned(TEXTS)
    assert counts.dtype == np.float32
    assert counts.has_sorted_indices
    assert isinstance(counts, sp.csr_array)
    np.testing.assert_array_equal(empty_rows(counts), [False] * 4 + [True] * 2)
    np.testing.assert_array_equal(empty_rows(vocabulary.count(["zebra", "cat"])), [True, False])


def test_rows_of_stored_zeros_are_empty():
    counts = sp.csr_array((np.array([0.0, 1.0]), [0, 1], [0, 1, 2]), shape=(2, 2))
    np.testing.assert_array_equal(empty_rows(counts), [True, False])
    np.testing.assert_array_equal(empty_rows(sp.csr_array((3, 2))), [True] * 3)


def test_one_pass_over_the_texts_is_enough():
    passes = []

    def once():
        passes.append(1)
        yield from TEXTS

    vocabulary, counts = learned(once())
    assert_same(counts, learned(TEXTS)[1])
    assert len(passes) == 1


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"max_features": 0}, "max_features: must be an integer >= 1"),
        ({"max_features": 2.5}, "max_features: must be an integer"),
        ({"min_df": 0}, "min_df: must be a number >= 1"),
        ({"min_df": -0.5}, "min_df: must be a number >= 0 and <= 1"),
        ({"max_df": 1.5}, "max_df: must be a number >= 0 and <= 1"),
        ({"max_df": float("nan")}, "max_df: must be a number"),
        ({"min_df": True}, "min_df: must be a number"),
        ({"min_df": 4, "max_df": 2}, "max_df=2 means 2 of 6 documents, fewer than min_df=4"),
    ],
)
def test_an_invalid_limit_is_refused(how, message):
    with pytest.raises(UsageError, match=message):
        Vocabulary.learn(TEXTS, **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"lowercase": 1}, "lowercase: must be True or False, got 1"),
        ({"token_pattern": "("}, "token_pattern: not a regular expression"),
        ({"token_pattern": "(a)(b)"}, r"at most one group, got 2 .* write the others as \(\?:"),
        ({"token_pattern": "x" * 201}, "at most 200 characters"),
        ({"token_pattern": None}, "token_pattern: must be a regular expression"),
        ({"stop_words": "german"}, "the only named list is 'english', got 'german'"),
        ({"stop_words": [1]}, "must be 'english', None or a list"),
        ({"stop_words": 3}, "must be 'english', None or a list"),
        ({"stemmer": "porterr"}, "unknown name 'porterr'; .* Did you mean 'porter'"),
        ({"max_token_length": 0}, "max_token_length: must be an integer >= 1 and <= 1000"),
        ({"max_token_length": 1001}, "max_token_length: must be an integer"),
    ],
)
def test_an_invalid_analyzer_is_refused(how, message):
    with pytest.raises(UsageError, match=message):
        Analyzer(**how)


def test_a_stemmer_that_is_not_installed_is_named_with_its_install_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(UsageError, match="needs PyStemmer; install it: pip install"):
        learned(TEXTS, analyzer=Analyzer(stemmer="porter"))


ANALYZERS = [
    Analyzer(),
    Analyzer(stop_words=None, lowercase=False),
    Analyzer(stop_words=["the", "é"], stemmer="snowball", token_pattern=r"\w+"),
    Analyzer(max_token_length=np.int64(7)),
]


@pytest.mark.parametrize("analyzer", ANALYZERS, ids=range(len(ANALYZERS)))
def test_a_loaded_vocabulary_counts_the_same(analyzer):
    vocabulary, counts = learned(TEXTS, analyzer=analyzer)
    spec, arrays = vocabulary.to_artefact_parts()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    back = Vocabulary.from_artefact_parts(json.loads(json.dumps(spec)), tensors)
    assert back.analyzer == vocabulary.analyzer
    assert (back.terms, back.n_documents) == (vocabulary.terms, vocabulary.n_documents)
    np.testing.assert_array_equal(back.document_frequencies, vocabulary.document_frequencies)
    assert_same(back.count(TEXTS), counts)


@pytest.mark.parametrize("stemmer", [None, "porter"])
def test_a_vocabulary_can_be_copied_after_counting(stemmer):
    vocabulary, counts = learned(TEXTS, analyzer=Analyzer(stemmer=stemmer))
    vocabulary.count(TEXTS)
    assert_same(copy.deepcopy(vocabulary).count(TEXTS), counts)
    assert_same(pickle.loads(pickle.dumps(vocabulary)).count(TEXTS), counts)


def _spec(**changes):
    spec = {"terms": ["a", "b"], "n_documents": 3, "analyzer": Analyzer().to_spec()}
    return spec | changes


SOUND = {"document_frequencies": np.array([1, 3])}


@pytest.mark.parametrize(
    ("spec", "arrays", "message"),
    [
        ([], SOUND, "unexpected entries"),
        ({"terms": ["a", "b"]}, SOUND, "unexpected entries"),
        (_spec(more=1), SOUND, "unexpected entries"),
        (_spec(terms="ab"), SOUND, "lacks its terms"),
        (_spec(), {}, "lacks its terms or document frequencies"),
        (_spec(terms=["a", "a"]), SOUND, "a term is repeated"),
        (_spec(terms=["a", 1]), SOUND, "term 1 must be a str"),
        (_spec(terms=["a", ""]), SOUND, "term 1 must be a str of 1 to"),
        (_spec(terms=["a", "b" * 5000]), SOUND, "term 1 must be a str of 1 to"),
        (_spec(terms=[]), SOUND, "1 to 1,000,000 terms, got 0"),
        (_spec(terms=["a", "b", "c"]), SOUND, "must be 3 integers, got int64 of shape"),
        (_spec(n_documents=2), SOUND, "between 0 and n_documents=2, got 1 to 3"),
        (_spec(n_documents=2.5), SOUND, "n_documents must be"),
        (_spec(n_documents=True), SOUND, "n_documents must be"),
        (_spec(n_documents=0), SOUND, "n_documents must be"),
        (_spec(n_documents=10**30), SOUND, "n_documents must be"),
        (_spec(), {"document_frequencies": np.array([1.0, 3.0])}, "integers, got float64"),
        (_spec(), {"document_frequencies": np.array([-1, 3])}, "between 0 and"),
        (_spec(), {"document_frequencies": np.array([[1, 3]])}, r"of shape \(1, 2\)"),
        (_spec(analyzer=None), SOUND, "the analyzer's spec has unexpected entries"),
        (_spec(analyzer={}), SOUND, "the analyzer's spec has unexpected entries"),
        (_spec(analyzer=Analyzer().to_spec() | {"stemmer": "x"}), SOUND, "spec is invalid"),
        (_spec(analyzer=Analyzer().to_spec() | {"stemmer": []}), SOUND, "spec is invalid"),
        (_spec(analyzer=Analyzer().to_spec() | {"token_pattern": "("}), SOUND, "is invalid"),
        (_spec(analyzer=Analyzer().to_spec() | {"lowercase": None}), SOUND, "is invalid"),
        (_spec(analyzer=Analyzer().to_spec() | {"stop_words": {"a": 1}}), SOUND, "is invalid"),
    ],
)
def test_invalid_parts_are_refused(spec, arrays, message):
    with pytest.raises(ModelFileError, match=message):
        Vocabulary.from_artefact_parts(spec, arrays)


@pytest.mark.parametrize("name", ["20newsgroups", "reuters21578"])
def test_real_texts_count_as_with_scikit_learn(data_folder, name):
    # every fifth, since scikit-learn would take half a minute for all
    documents = as_documents(
        list(islice(read_documents(data_folder / name / "docs.jsonl.gz").texts(), 0, None, 5))
    )
    _, terms, counts = reference(documents.texts())
    # longer words are dropped here; nothing else differs
    short = [at for at, term in enumerate(terms) if len(term) <= 100]
    vocabulary, ours = learned(documents)
    assert vocabulary.terms == tuple(terms[at] for at in short)
    assert_same(ours, sp.csr_array(counts[:, short]))

    vocabulary, ours = Vocabulary.learn(documents, max_features=2000, min_df=5, max_df=0.5)
    _, terms, theirs = reference(documents.texts(), max_features=2000, min_df=5, max_df=0.5)
    here, there = set(vocabulary.terms), set(terms)
    occurrences = dict(zip(vocabulary.terms, ours.sum(axis=0), strict=True))
    least = min(occurrences.values())
    assert len(here) == len(there) == 2000
    # scikit-learn's sort is not stable: of terms as frequent as the last one it may keep others
    assert {occurrences[term] for term in here - there} <= {least}
    shared = sorted(here & there)
    mine, others = list(vocabulary.terms), list(terms)
    assert_same(
        sp.csr_array(ours[:, [mine.index(term) for term in shared]]),
        sp.csr_array(theirs[:, [others.index(term) for term in shared]]),
    )
    assert_same(vocabulary.count(documents), sp.csr_array(ours))
