"""Hostile and damaged texts have defined results, within bounds."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reader_files import saved
from text_files import KINDS

from narrows.errors import InvalidData, ResourceError, UnspacedTextWarning
from narrows.text import (
    Analyzer,
    Document,
    Vocabulary,
    as_documents,
    empty_rows,
    looks_like_documents,
    read_documents,
)


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u3000", "zebra", "the of", "x y z", "\0", "\ud800"]
)
def test_a_document_without_known_words_has_no_counts_and_is_flagged(text):
    vocabulary, _ = Vocabulary.learn(["cat dog", "dog"])
    counts = vocabulary.count([text, "dog"])
    assert counts.shape == (2, 2)
    np.testing.assert_array_equal(counts.toarray(), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(empty_rows(counts), [True, False])


def test_documents_without_words_keep_their_rows_while_learning():
    vocabulary, counts = Vocabulary.learn(["", "cat", " "])
    assert vocabulary.n_documents == 3
    np.testing.assert_array_equal(counts.toarray(), [[0], [1], [0]])


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "folder"])
def test_a_document_over_the_limit_is_refused_with_its_place(tmp_path, monkeypatch, kind):
    for module in ("documents", "readers.tables"):
        monkeypatch.setattr(f"narrows.text.{module}.MAX_CHARACTERS", 100)
    monkeypatch.setattr("narrows.text.readers.folder._MAX_BYTES", 400)
    path = KINDS[kind](tmp_path / f"x.{kind}", [Document("a", "short"), Document("b", "x" * 101)])
    place = {"jsonl": "line 2", "csv": "line 3", "parquet": "row 1", "folder": "b"}[kind]
    with pytest.raises(InvalidData, match=f"{place}.*(at most 100 are read; split it|field limit)"):
        list(read_documents(path))


def test_a_file_of_a_hundred_megabytes_is_not_read_whole(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    with open(folder / "big.txt", "wb") as file:
        file.truncate(100 << 20)  # sparse: it uses no disk
    with pytest.raises(InvalidData, match=r"big\.txt: a document of more than 40,000,000 bytes"):
        list(read_documents(folder))


_CHILD = r"""
import json, os, re
from pathlib import Path
from narrows.text import Vocabulary
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
documents = {
    "ascii": "word of cats " * 769_230,
    "other": "wörd of cäts " * 769_230,
    "token": "x" * 9_999_999,
}
Vocabulary.learn(["cat"])  # what is imported on the way
for kind, text in documents.items():
    if os.fork() == 0:  # each begins with the peak of what is imported alone
        before = peak()
        vocabulary, counts = Vocabulary.learn([text, "cat"])
        found = {kind: [peak() - before, len(vocabulary), int(counts.sum())]}
        print(json.dumps(found), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def longest_documents() -> dict[str, tuple[float, int, int]]:
    """Peak megabytes of each kind, its number of terms, and their total count."""
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc to read the peak in")
    command = [sys.executable, "-c", _CHILD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {k: v for line in done.stdout.splitlines() for k, v in json.loads(line).items()}


@pytest.mark.parametrize(("kind", "terms"), [("ascii", 3), ("other", 3), ("token", 1)])
def test_memory_for_the_longest_document_is_bounded(longest_documents, kind, terms):
    megabytes, n_terms, total = longest_documents[kind]
    assert n_terms == terms
    assert total == (1 if kind == "token" else 2 * 769_230 + 1)
    # lower() alone takes 12 bytes a letter; every word an object of its own would be 130 more
    assert megabytes < 220


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_token_of_a_million_letters_is_dropped_and_not_kept(letter):
    vocabulary, counts = Vocabulary.learn([letter * 10**6 + " cat", "cat"])
    assert vocabulary.terms == ("cat",)
    np.testing.assert_array_equal(counts.toarray(), [[1], [1]])


@pytest.mark.parametrize("stemmer", [None, "porter"])
def test_a_token_at_the_limit_is_counted_and_one_longer_is_not(stemmer):
    analyzer = Analyzer(max_token_length=10, stemmer=stemmer)
    assert analyzer("b" * 10 + " " + "c" * 11) == ["b" * 10]


def test_the_cache_of_words_is_bounded(monkeypatch):
    from narrows.text.counting import WordColumns

    monkeypatch.setattr("narrows.text.counting.MAX_CACHED", 100)
    words = WordColumns(Analyzer(max_token_length=10), lambda term: 1)
    for n in range(1000):
        assert words[f"word{n}"] == 1
        assert words["w" * (11 + n)] == 0
    assert len(words) <= 100
    assert max(map(len, words)) <= 10


def test_too_many_different_words_are_refused(monkeypatch):
    monkeypatch.setattr("narrows.text.vocabulary.MAX_DIFFERENT", 50)
    with pytest.raises(ResourceError, match="more than 50 different terms; is this text"):
        Vocabulary.learn([" ".join(f"word{n}" for n in range(100))])


def test_too_many_terms_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr("narrows.text.vocabulary.MAX_TERMS", 50)
    texts = [" ".join(f"word{n}" for n in range(51))]
    with pytest.raises(InvalidData, match="51 terms, at most 50 are kept; set max_features"):
        Vocabulary.learn(texts, max_features=None)
    assert len(Vocabulary.learn(texts, max_features=50)[0]) == 50


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_the_same_word(form):
    vocabulary, counts = Vocabulary.learn(["café naïve", unicodedata.normalize(form, "café naïve")])
    assert vocabulary.terms == ("café", "naïve")
    np.testing.assert_array_equal(counts.toarray(), [[1, 1], [1, 1]])


def test_decomposed_stop_words_stop_composed_words():
    stop_words = [unicodedata.normalize("NFD", "été")]
    assert Analyzer(stop_words=stop_words)("été café") == ["café"]


def test_compatibility_forms_stay_different_words():
    # NFC, not NFKC: scikit-learn would not join them either
    assert Analyzer()("ﬁne fine ｆｉｎｅ") == ["ﬁne", "fine", "ｆｉｎｅ"]


@pytest.mark.parametrize("mark", ["\0", "\ufeff", "\u202e", "\u202d", "\u200b", "\ud800", "\x85"])
def test_characters_that_are_not_letters_separate_words(mark):
    assert Analyzer()(f"cat{mark}dog") == ["cat", "dog"]
    assert Analyzer(token_pattern=r"[a-z]+")(f"cat{mark}dog") == ["cat", "dog"]


def test_a_lone_surrogate_in_json_is_replaced(tmp_path):
    path = saved(
        tmp_path / "x.jsonl", '{"id": "a\\ud800", "text": "cat\\udfff dog", "label": "\\ud800"}'
    )
    document = next(iter(read_documents(path)))
    assert document == Document("a\ufffd", "cat\ufffd dog", ("\ufffd",))
    assert json.dumps([document.text, document.id], ensure_ascii=False).encode()


def test_a_term_with_a_lone_surrogate_is_dropped():
    # only a custom pattern finds such a word, and no file could store it
    assert Analyzer(token_pattern=r"\S+", stemmer="porter")("cat\ud800 dog") == ["dog"]


def test_a_file_name_that_is_not_unicode_gets_a_valid_id(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    try:
        (folder / b"caf\xe9".decode("utf-8", "surrogateescape")).write_text("words")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    assert [d.id for d in read_documents(folder)] == ["caf\ufffd"]


def test_markup_is_text_and_keeps_its_characters(tmp_path):
    script = "<script>alert('x')</script>"
    path = saved(tmp_path / "x.jsonl", json.dumps({"id": script, "text": script, "label": script}))
    assert list(read_documents(path)) == [Document(script, script, (script,))]
    assert Analyzer()(script) == ["script", "alert", "script"]


@pytest.mark.parametrize(
    ("texts", "how", "message"),
    [
        (["", " "], {}, "the 2 documents have no words to count: .*stop words"),
        (["the of and"], {}, "the 1 documents have no words to count"),
        (["cat dog", "bird"], {"min_df": 2}, r"none of 3 terms .*min_df=2 dropped 3 .in fewer"),
        (["cat"] * 2, {"max_df": 0.5}, r"none of 1 terms .*max_df=0\.5 dropped 1 .in more"),
        (
            ["cat dog", "cat bird", "cat fish"],
            {"min_df": 2, "max_df": 2},
            "min_df=2 dropped 3 .* and max_df=2 dropped 1 .*; lower min_df or raise max_df",
        ),
    ],
)
def test_an_empty_vocabulary_names_the_limit(texts, how, message):
    with pytest.raises(InvalidData, match=message):
        Vocabulary.learn(texts, **how)


def test_a_parquet_bomb_of_one_repeated_text_is_not_expanded(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    repeated = pa.DictionaryArray.from_arrays(np.zeros(10**5, np.int32), ["ab " * 300_000])
    pq.write_table(
        pa.table({"text": repeated}), path, store_schema=False
    )  # 90 GB if it were unfolded
    before = pa.total_allocated_bytes()
    documents = iter(read_documents(path))
    for _ in range(600):  # a batch is 256 rows
        assert len(next(documents).text) == 900_000
    assert pa.total_allocated_bytes() - before < 50 << 20


def test_an_id_beyond_pythons_digits_is_refused_by_line(tmp_path):
    path = saved(tmp_path / "x.jsonl", '{"text": "a", "id": ' + "9" * 4000 + "}")
    assert len(next(iter(read_documents(path))).id) == 4000
    path = saved(tmp_path / "y.jsonl", '{"text": "a", "id": ' + "9" * 5000 + "}")
    with pytest.raises(InvalidData, match="line 1: bad JSON: Exceeds the limit"):
        read_documents(path)


def used(path):
    """Return whether the text readers accept a file; any error but a refusal is a failure."""
    looks_like_documents(path)
    try:
        documents = list(read_documents(path))
    except InvalidData as error:
        assert str(error).startswith(str(path))
        return False
    assert documents
    for document in documents:
        for part in (document.id, document.text, *document.labels):
            part.encode()
            assert "\0" not in part
    assert len({document.id for document in documents}) == len(documents)
    try:
        with (
            warnings.catch_warnings()
        ):  # texts without spaces between words are accepted with a warning
            warnings.simplefilter("ignore", UnspacedTextWarning)
            vocabulary, counts = Vocabulary.learn(as_documents([d.text for d in documents]))
    except InvalidData as error:
        assert "no words to count" in str(error)
        return True
    assert counts.shape == (len(documents), len(vocabulary))
    assert np.isfinite(counts.data).all() and (counts.data >= 1).all()
    assert (vocabulary.count([d.text for d in documents]) != counts).nnz == 0
    return True


def fuzz(n_examples):
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=n_examples, deadline=None, suppress_health_check=slow)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
@given(content=st.binary(max_size=200))
@fuzz(60)
def test_arbitrary_bytes_are_documents_or_refused(tmp_path, kind, content):
    used(saved(tmp_path / f"x.{kind}", content))


@given(content=st.binary(max_size=200))
@fuzz(100)
def test_arbitrary_bytes_in_a_folder_are_documents_or_refused(tmp_path, content):
    (tmp_path / "x").mkdir(exist_ok=True)
    saved(tmp_path / "x" / "a", content)
    used(tmp_path / "x")


edits = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 3),
        st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b",", b"\n", b"\\ud800", b"\xff"])),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
@given(edits=edits)
@fuzz(120)
def test_valid_files_with_edits_are_documents_or_refused(tmp_path, kind, edits):
    path = KINDS[kind](tmp_path / f"x.{kind}")
    content = path.read_bytes()
    for place, cut, put in edits:
        at = place % (len(content) + 1)
        content = content[:at] + put + content[at + cut :]
    used(saved(path, content))


@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["text", "id", "label", "topics", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=4,
            ),
        ),
        max_size=5,
    )
)
@fuzz(200)
def test_any_json_objects_are_documents_or_refused(tmp_path, rows):
    used(saved(tmp_path / "x.jsonl", "\n".join(map(json.dumps, rows))))


@given(texts=st.lists(st.text(), min_size=1, max_size=5))
@fuzz(100)
def test_any_texts_are_read_back_unchanged_from_every_kind_of_file(tmp_path, texts):
    # a reader of CSV may not tell these from the ends of its rows
    cleaned = list(as_documents(texts).texts())
    documents = [Document(str(at), text) for at, text in enumerate(cleaned)]
    for kind in ("jsonl", "csv", "parquet"):
        found = read_documents(KINDS[kind](tmp_path / f"x.{kind}", documents))
        assert list(found.texts()) == cleaned
