"""Terms of texts: n-grams, safe patterns, stemmers, and scripts without spaces."""

from __future__ import annotations

import time

import numpy as np
import pytest
import Stemmer
from sklearn.feature_extraction.text import CountVectorizer
from topics import topic_texts

from narrows import DocumentAutoencoder, SemanticHasher, load
from narrows.cli import run as cli
from narrows.errors import ModelFileError, UnspacedTextWarning, UsageError
from narrows.text import Analyzer, Vocabulary
from narrows.text.patterns import check_pattern

SMALL = {"hidden": (8,), "max_epochs": 1, "random_state": 0}
CHINESE = [
    "我喜欢吃苹果和香蕉因为它们很甜",
    "银行利率今天上涨了百分之二",
    "球队昨天晚上赢得了比赛",
] * 8
UNSPACED = {
    "Chinese": CHINESE,
    "Japanese": ["吾輩は猫である。名前はまだ無い。", "どこで生れたかとんと見当がつかぬ。"],
    "Thai": ["แมวนอนอยู่บนเสื่อ", "ธนาคารขึ้นอัตราดอกเบี้ยวันนี้"],
    "Lao": ["ແມວນອນຢູ່ເທິງເສື່ອ", "ທະນາຄານຂຶ້ນອັດຕາດອກເບ້ຍ"],
    "Khmer": ["ឆ្មាដេកលើកន្ទេល", "ធនាគារបានដំឡើងអត្រាការប្រាក់"],
    "Burmese": ["ကြောင်သည်ဖျာပေါ်တွင်အိပ်နေသည်", "ဘဏ်သည်အတိုးနှုန်းကိုမြှင့်ခဲ့သည်"],
}
SPACED = {
    "English": topic_texts()[0][:20],
    "English with a Chinese name": ["the bank of China 中国 raised its rates today again"] * 5,
    "Russian": ["банк сегодня повысил ставку", "кошка спит на коврике"],
    "Korean": ["고양이가 매트 위에서 잔다", "은행이 오늘 금리를 올렸다"],
    "Hindi": ["बिल्ली चटाई पर सो रही है", "बैंक ने आज ब्याज दर बढ़ाई"],
}
MIXED = [
    "The cat sat, the cat's hat!  Äpfel über   Ölberg",
    "one\n\ntwo\tthree a b",
    "",
    "x",
    "ΟΔΥΣΣΕΥΣ naïve",
    "我喜欢 cats",
]


# As scikit-learn counts


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb"])
@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 2), (2, 3), (1, 5), (4, 6)])
def test_counts_equal_scikit_learns(analyzer, ngram_range):
    texts = [*MIXED, *CHINESE[:2], *topic_texts()[0][:10]]
    words = {"stop_words": ["the", "a"]} if analyzer == "word" else {}
    theirs = CountVectorizer(analyzer=analyzer, ngram_range=ngram_range, **words)
    expected = theirs.fit_transform(texts)
    ours = Analyzer(analyzer=analyzer, ngram_range=ngram_range, **{"stop_words": None, **words})
    vocabulary, counts = Vocabulary.learn(texts, ours, max_features=None)
    assert vocabulary.terms == tuple(theirs.get_feature_names_out())
    np.testing.assert_array_equal(counts.toarray(), expected.toarray())
    new = ["the cat sat on cats", "我吃 Ö", "", *texts[:3]]
    np.testing.assert_array_equal(vocabulary.count(new).toarray(), theirs.transform(new).toarray())
    all_counts, unknown = vocabulary.count_all(new)
    np.testing.assert_array_equal(all_counts.toarray(), theirs.transform(new).toarray())
    n_terms = [len(theirs.build_analyzer()(text)) for text in new]
    np.testing.assert_array_equal(all_counts.sum(axis=1) + unknown, n_terms)


@pytest.mark.parametrize("pattern", [r"[a-z]+", r"(?u)\b\w+\b", r"\b[a-zA-Z]{2,}\b", r"#(\w+)"])
def test_words_of_a_pattern_equal_scikit_learns(pattern):
    texts = [*MIXED, "#tag and #Other-tag", "w1 w2w3"]
    theirs = CountVectorizer(token_pattern=pattern)
    expected = theirs.fit_transform(texts).toarray()
    ours = Analyzer(token_pattern=pattern, stop_words=None)
    vocabulary, counts = Vocabulary.learn(texts, ours, max_features=None)
    assert vocabulary.terms == tuple(theirs.get_feature_names_out())
    np.testing.assert_array_equal(counts.toarray(), expected)


def test_n_grams_of_words_use_stems():
    terms = Analyzer(stemmer="porter", ngram_range=(1, 2))("The ships sailing")
    assert terms == ["ship", "sail", "ship sail"]


def test_a_long_text_is_split_without_losing_n_grams():
    text = "abcd " * 50_000
    lists = list(Analyzer(analyzer="char", ngram_range=(2, 3)).make_tokens()(text))
    assert len(lists) > 5 and max(map(len, lists)) <= 1 << 16
    assert sum(map(len, lists)) == 2 * 250_000 - 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"analyzer": "words"}, "analyzer: unknown name 'words'.*Did you mean 'word'"),
        ({"ngram_range": (2, 1)}, "ngram_range: the first must not be above the second"),
        ({"ngram_range": (0, 1)}, "ngram_range: must be .*>= 1"),
        ({"ngram_range": (1, 50)}, "ngram_range: must be .*<= 10"),
        ({"ngram_range": 2}, "ngram_range: must be two whole numbers"),
        ({"ngram_range": "12"}, "ngram_range: must be two whole numbers"),
        ({"analyzer": "char", "stop_words": ["a"]}, "stop_words: has no effect on n-grams of char"),
        ({"analyzer": "char", "token_pattern": "[a-z]+"}, "token_pattern: has no effect"),
        ({"stemmer": "germann"}, "stemmer: unknown name 'germann'.*Did you mean 'german'"),
        ({"stop_words": "german"}, "the only named list is 'english'.*max_df=0.5"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        Analyzer(**arguments)
    with pytest.raises(UsageError, match=message):
        DocumentAutoencoder(2, **SMALL, **arguments).fit(topic_texts()[0])


# Stems


@pytest.mark.parametrize("language", sorted({*Stemmer.algorithms()} - {"nepali", "tamil"}))
def test_every_stemmer_of_pystemmer_is_available(language):
    word = "bestellungen"
    expected = Stemmer.Stemmer(language).stemWord(word)
    assert Analyzer(stemmer=language, stop_words=None)(word) == [expected]


def test_a_stemmer_that_the_installed_pystemmer_lacks_is_refused_by_name(monkeypatch):
    def missing(name: str, size: int) -> None:
        raise KeyError(name)

    monkeypatch.setattr(Stemmer, "Stemmer", missing)
    with pytest.raises(UsageError, match="the installed PyStemmer has no 'yiddish'"):
        Analyzer(stemmer="yiddish")("word")


# Texts without spaces


@pytest.mark.parametrize("language", UNSPACED)
def test_texts_without_spaces_are_read_by_characters_with_a_warning(language):
    with pytest.warns(UnspacedTextWarning, match="without spaces between words .*characters"):
        vocabulary, counts = Vocabulary.learn(UNSPACED[language])
    assert vocabulary.analyzer.analyzer == "char_wb" and (counts.sum(axis=1) > 0).all()
    assert max(map(len, vocabulary.terms)) == 3


@pytest.mark.parametrize("language", SPACED)
def test_other_texts_are_read_by_words(language):
    vocabulary, _ = Vocabulary.learn(SPACED[language])
    assert vocabulary.analyzer.analyzer == "word"


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb"])
def test_an_explicit_analyzer_causes_no_warning(analyzer):
    vocabulary, _ = Vocabulary.learn(CHINESE, Analyzer(analyzer=analyzer, stop_words=None))
    assert vocabulary.analyzer.analyzer == analyzer


def test_an_iterator_of_texts_is_read_completely():
    with pytest.warns(UnspacedTextWarning):
        vocabulary, counts = Vocabulary.learn(iter(CHINESE))
    assert counts.shape[0] == vocabulary.n_documents == len(CHINESE)


@pytest.mark.parametrize("kind", [DocumentAutoencoder, SemanticHasher])
def test_estimators_of_texts_without_spaces_search_by_parts_of_sentences(kind, tmp_path):
    with pytest.warns(UnspacedTextWarning):
        model = kind(8, **{**SMALL, "max_epochs": 5, "validation_fraction": 0.0}).fit(CHINESE)
    index = model.make_index(CHINESE[:3])
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.vocabulary_.analyzer.to_spec() == model.vocabulary_.analyzer.to_spec()
    assert again.model_.fingerprint() == model.model_.fingerprint()
    hits = again.search(index, ["银行利率"], 3)[0]
    assert len(hits) == 3  # no word of a sentence, and yet known


# Estimators and files


@pytest.mark.parametrize(
    "arguments",
    [
        {"token_pattern": r"\b[a-z]{5,}\b"},
        {"analyzer": "char", "ngram_range": (2, 3)},
        {"ngram_range": [1, 2]},
        {"stemmer": "german", "stop_words": None},
    ],
    ids=str,
)
def test_a_model_file_keeps_how_texts_are_read(arguments, tmp_path):
    texts = topic_texts()[0][:30]
    model = DocumentAutoencoder(2, **SMALL, **arguments).fit(texts)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.transform(texts), model.transform(texts))
    for name, value in arguments.items():
        assert getattr(again, name) in (value, list(value) if value else None)
    plain = DocumentAutoencoder(2, **SMALL).fit(texts)
    assert plain.vocabulary_.terms != model.vocabulary_.terms


def test_specs_of_plain_words_have_no_newer_entries():
    spec = Analyzer(stemmer="porter").to_spec()
    assert set(spec) == {"lowercase", "token_pattern", "stop_words", "stemmer", "max_token_length"}
    again = Analyzer.from_spec(spec)
    assert again.analyzer == "word" and again("the ships") == ["ship"]


def test_a_spec_with_only_one_of_the_newer_entries_is_refused():
    with pytest.raises(ModelFileError, match="unexpected entries"):
        Analyzer.from_spec({**Analyzer().to_spec(), "analyzer": "char"})


# Patterns

HOSTILE = [
    r"(a+)+$", r"(\w+\s?)*!", r"(?:a|a)*b", r"(a|aa)+$", r"\w+\w+\w+!", r"(.*)*x", r"\w*x",
    r"(\w)\1", r"(?=a+)b", r"(?<=a)b", r"(?>a+)b", r"a{60}", r"(?:a?){30}a{30}", r"(?:a|bb){12}c",
    r"a{1,9}b", r"(?:\w{1,9}){1,9}x", r".+\b", r"[^,]+\b", r"\s+x", r"(?:a+b)?c", r"\D+\b",
]  # fmt: skip
FINE = [
    r"(?u)\b\w\w+\b", r"\b\w+\b", r"[a-z]+", r"\w{3,}", r"[^\W\d_]+\b", r"[a-z]+(?:-[a-z]+)*",
    r"[A-Za-z]+(?:'[a-z]{1,2})?", r"-?\d+", r"#(\w+)", r"\S+", r"(?:[A-Z]\.){2,}", r"\d{4}|\w+",
    r".", r"(?i:[a-z]+)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_pattern_that_may_take_forever_is_refused(pattern, tmp_path):
    with pytest.raises(UsageError, match="could take forever|one group|not a regular expression"):
        check_pattern(pattern)
    with pytest.raises(ModelFileError, match="invalid: token_pattern"):
        Analyzer.from_spec({**Analyzer().to_spec(), "token_pattern": pattern})


@pytest.mark.parametrize("pattern", FINE)
def test_an_accepted_pattern_matches_in_linear_time(pattern):
    """On texts that make the pattern fail late and often; quadratic time would take minutes."""
    tokens = Analyzer(token_pattern=pattern, stop_words=None).make_tokens()
    started = time.process_time()
    for piece in ("a", "a1", "aA", "a-", "A.", "ab ", "1", "é", "a_", "'", "-"):
        for text in (piece * 100_000, piece * 100_000 + "!", piece * 100_000 + "é1"):
            assert sum(map(len, tokens(text))) >= 0
    assert time.process_time() - started < 20


def test_a_pattern_that_is_too_long_or_invalid_is_refused():
    with pytest.raises(UsageError, match="at most 200 characters"):
        check_pattern("a" * 201)
    with pytest.raises(UsageError, match="not a regular expression"):
        check_pattern("(")


# The command line


def test_the_command_line_sets_how_texts_are_read(tmp_path, capsys):
    (tmp_path / "docs.jsonl").write_text(
        "\n".join(f'{{"id": "{i}", "text": "{text}"}}' for i, text in enumerate(CHINESE))
    )
    model = tmp_path / "m.safetensors"
    arguments = ["fit", str(tmp_path / "docs.jsonl"), "--variant", "document", "--code", "2",
                 "--hidden", "8", "--epochs", "1", "-q", "-o", str(model)]  # fmt: skip
    settings = ["--set", "analyzer=char", "--set", "ngram_range=[2,2]"]
    settings += ["--set", "validation_fraction=0.0"]
    assert cli([*arguments, *settings]) == 0
    analyzer = load(model).vocabulary_.analyzer
    assert (analyzer.analyzer, tuple(analyzer.ngram_range)) == ("char", (2, 2))
    assert cli(["inspect", str(model), "--json"]) == 0
    assert '"terms": "n-grams of 2 characters"' in capsys.readouterr().out
    assert cli([*arguments, "--set", "token_pattern=(a+)+$"]) == 2
    assert "could take forever" in capsys.readouterr().err
