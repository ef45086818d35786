"""Analyze texts: lowercase them, split them into words, drop stop words, and stem.

The reference is scikit-learn's ``CountVectorizer``, applied to text in Unicode's composed form
(NFC). Every text is normalized to it first, so that words that look equal are equal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from narrows.core.checks import check_number
from narrows.errors import MissingExtra, ModelFileError, UsageError, unknown_name
from narrows.text.patterns import check_pattern
from narrows.text.tokens import (
    UNSPACED_SHARE,
    WORDS,
    Tokens,
    character_ngrams,
    check_range,
    composed,
    in_lists,
    inner_ngrams,
    word_ngrams,
    word_splitter,
)

__all__ = ["STEMMERS", "Analyzer"]

_LANGUAGES = (
    "arabic armenian basque catalan czech danish dutch dutch_porter english esperanto estonian "
    "finnish french german greek hindi hungarian indonesian irish italian lithuanian nepali "
    "norwegian persian polish porter portuguese romanian russian serbian sesotho spanish swedish "
    "tamil turkish yiddish"
).split()

STEMMERS = {**{name: name for name in _LANGUAGES}, "snowball": "english"}
"""PyStemmer's algorithms by name: languages, and Porter's "porter" (1980) and "snowball"."""

_UNITS = ("auto", "word", "char", "char_wb")
_AUTO_CHARACTERS = (1, 3)

_MAX_TOKEN_LENGTH = 1000
_MAX_STOP_WORDS = 100_000
_MAX_CACHED = 1 << 17
_MAX_NGRAM = 1000


@dataclass(frozen=True)
class Analyzer:
    """The rules by which texts are split into terms.

    Stop words are dropped before stemming: with the list "english", "have" is dropped, but "haves"
    is counted under the stem "have".

    Parameters
    ----------
    lowercase : bool, default=True
    token_pattern : str, default=WORDS
        Regular expression of a word, with at most one group, that matches in linear time (see
        ``patterns``).
    stop_words : "english", list or set of str, or None, default="english"
        "english" is scikit-learn's list.
    stemmer : str or None, default=None
        The algorithm by which PyStemmer stems words: "porter" or "snowball" for English, or a
        language, such as "german".
    max_token_length : int, default=100
        Longer words are dropped: they are encoded files or lines of underscores. At most 1000.
    analyzer : {"auto", "word", "char", "char_wb"}, default="auto"
        The unit of terms. "char" makes n-grams of characters, "char_wb" n-grams inside of words
        padded by spaces; stop_words, stemmer and token_pattern apply to words only. "auto" is
        resolved by ``for_texts``; otherwise it means words.
    ngram_range : (int, int) or "auto", default="auto"
        The least and the greatest n of the n-grams; "auto" is (1, 1) for words, (1, 3) for
        characters.

    Raises
    ------
    UsageError
        If an argument is invalid.

    Examples
    --------
    >>> Analyzer(stemmer="porter")("The Autoencoders compress, and compressing is coding.")
    ['autoencod', 'compress', 'compress', 'code']
    """

    lowercase: bool = True
    token_pattern: str = WORDS
    stop_words: str | Sequence[str] | None = "english"
    stemmer: str | None = None
    max_token_length: int = 100
    analyzer: str = "auto"
    ngram_range: str | Sequence[int] = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.lowercase, bool):
            raise UsageError(f"lowercase: must be True or False, got {self.lowercase!r}.")
        check_pattern(self.token_pattern)
        if self.stemmer is not None and not _is_one_of(self.stemmer, STEMMERS):
            raise unknown_name("stemmer", self.stemmer, STEMMERS)
        check_number(
            "max_token_length", self.max_token_length, low=1, high=_MAX_TOKEN_LENGTH, integer=True
        )
        object.__setattr__(self, "stop_words", _checked_stop_words(self.stop_words))
        if not _is_one_of(self.analyzer, _UNITS):
            raise unknown_name("analyzer", self.analyzer, _UNITS)
        if not isinstance(self.ngram_range, str) or self.ngram_range != "auto":
            object.__setattr__(self, "ngram_range", check_range(self.ngram_range))
        if self.of_characters:
            self._check_characters()

    @property
    def of_characters(self) -> bool:
        """Whether terms are n-grams of characters."""
        return self.analyzer in ("char", "char_wb")

    @property
    def _range(self) -> tuple[int, int]:
        if self.ngram_range == "auto":
            return _AUTO_CHARACTERS if self.of_characters else (1, 1)
        low, high = self.ngram_range
        return int(low), int(high)

    @property
    def has_plain_words(self) -> bool:
        """Whether every term is a single word."""
        return not self.of_characters and self._range == (1, 1)

    def described(self) -> str:
        """Return a description of the terms."""
        low, high = self._range
        if self.has_plain_words:
            return "words" if self.token_pattern == WORDS else f"words by {self.token_pattern}"
        unit = {"char": "characters", "char_wb": "characters inside words"}
        numbers = str(low) if low == high else f"{low} to {high}"
        return f"n-grams of {numbers} {unit.get(self.analyzer, 'words')}"

    def for_texts(self, unspaced_share: float) -> Analyzer:
        """Resolve "auto" for texts with this share of characters of unspaced scripts."""
        if self.analyzer != "auto":
            return self
        return replace(self, analyzer="char_wb" if unspaced_share >= UNSPACED_SHARE else "word")

    def _check_characters(self) -> None:
        """Refuse options that apply only to words; drop them if they are the defaults."""
        named = self.stop_words is None or self.stop_words == "english"
        if not named or self.token_pattern != WORDS:
            what = "token_pattern" if named else "stop_words"
            raise UsageError(
                f"{what}: has no effect on n-grams of characters; leave it out, or set "
                "analyzer='word'."
            )
        if self.stemmer not in (None, "porter"):
            raise UsageError(
                f"stemmer: {self.stemmer!r} has no effect on n-grams of characters; leave it out, "
                "or set analyzer='word'."
            )
        object.__setattr__(self, "stop_words", None)
        object.__setattr__(self, "stemmer", None)

    def __call__(self, text: str) -> list[str]:
        """Return the terms of a text in order, with repetitions."""
        term = self.make_term()
        found = (term(token) for tokens in self.make_tokens()(text) for token in tokens)
        return [kept for kept in found if kept is not None]

    def make_tokens(self) -> Tokens:
        """Return a function from a text to lists of tokens, the input of ``make_term``.

        Tokens are n-grams, or all words, including those that ``make_term`` drops.
        """
        words = word_splitter(self.token_pattern, lowercase=self.lowercase)
        if self.has_plain_words:
            return words
        low, high = self._range
        if self.of_characters:
            ngrams = character_ngrams if self.analyzer == "char" else inner_ngrams
            return lambda text: in_lists(
                ngrams(composed(text, lowercase=self.lowercase), low, high)
            )
        term = _Terms(self._make_word_term())

        def tokens(text: str) -> Iterator[list[str]]:
            kept = [term[word] for some in words(text) for word in some]
            return in_lists(word_ngrams([word for word in kept if word is not None], low, high))

        return tokens

    def make_term(self) -> Callable[[str], str | None]:
        """Return a function from a token to its term, or None if the token is not counted.

        Raises
        ------
        MissingExtra
            If there is a stemmer to use and PyStemmer is not installed.
        """
        return self._make_word_term() if self.has_plain_words else _checked_ngram

    def _make_word_term(self) -> Callable[[str], str | None]:
        """Return a function from a word to its term, or None if the word is not counted.

        Raises
        ------
        MissingExtra
            If there is a stemmer to use and PyStemmer is not installed.
        """
        stop_words = self.stop_word_set()
        shortest = 2 if self.token_pattern == WORDS else 0
        longest = self.max_token_length
        stem = _make_stem(self.stemmer)

        def term(token: str) -> str | None:
            if not shortest <= len(token) <= longest or token in stop_words:
                return None
            try:
                token.encode()
            except UnicodeEncodeError:
                return None  # half of a surrogate pair, which only custom patterns match
            return stem(token) or None if stem is not None else token

        return term

    def stop_word_set(self) -> frozenset[str]:
        if self.stop_words == "english":
            from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

            return ENGLISH_STOP_WORDS
        return frozenset(self.stop_words or ())

    def to_spec(self) -> dict[str, Any]:
        """Return the arguments as JSON values."""
        words = self.stop_words
        spec: dict[str, Any] = {
            "lowercase": self.lowercase,
            "token_pattern": self.token_pattern,
            "stop_words": words if words is None or isinstance(words, str) else list(words),
            "stemmer": self.stemmer,
            "max_token_length": int(self.max_token_length),
        }
        if not self.has_plain_words:  # specs of plain words stay as older versions wrote them
            units = self.analyzer if self.of_characters else "word"
            spec |= {"analyzer": units, "ngram_range": list(self._range)}
        return spec

    @classmethod
    def from_spec(cls, spec: Any) -> Analyzer:
        """Return the analyzer of a spec.

        Raises
        ------
        ModelFileError
            If ``to_spec`` did not write it.
        """
        names = set(cls.__dataclass_fields__)
        since = {"analyzer", "ngram_range"}
        if not isinstance(spec, dict) or spec.keys() not in (names, names - since):
            raise ModelFileError("the analyzer's spec has unexpected entries.")
        try:
            return cls(**{"analyzer": "word", **spec})
        except UsageError as error:
            raise ModelFileError(f"the analyzer's spec is invalid: {error}") from None


def _is_one_of(name: Any, known: Iterable[str]) -> bool:
    return isinstance(name, str) and name in known


def _checked_stop_words(words: Any) -> str | tuple[str, ...] | None:
    if words is None or isinstance(words, str):
        if words not in (None, "english"):
            raise UsageError(
                f"stop_words: the only named list is 'english', got {words!r:.60}; pass a list of "
                "words, or None and max_df=0.5, which drops words in over half of the documents."
            )
        return words
    good = isinstance(words, list | tuple | set | frozenset) and len(words) <= _MAX_STOP_WORDS
    if not good or not all(isinstance(word, str) for word in words):
        raise UsageError(
            f"stop_words: must be 'english', None or a list of at most {_MAX_STOP_WORDS} str, got "
            f"{words!r:.60}."
        )
    composed = [unicodedata.normalize("NFC", word) for word in words]
    return tuple(sorted(composed) if isinstance(words, set | frozenset) else composed)


def _make_stem(name: str | None) -> Callable[[str], str] | None:
    if name is None:
        return None
    try:
        import Stemmer
    except ImportError:
        raise MissingExtra(
            f"stemmer={name!r} needs PyStemmer; install it: pip install 'PyStemmer>=2.2'"
        ) from None
    try:
        return Stemmer.Stemmer(STEMMERS[name], 0).stemWord  # no cache: WordColumns caches
    except KeyError:
        raise UsageError(
            f"stemmer: the installed PyStemmer has no {name!r}; upgrade it, or choose from "
            f"{', '.join(Stemmer.algorithms())}."
        ) from None


class _Terms(dict[str, "str | None"]):
    """A cache of the terms of words, bounded in size."""

    def __init__(self, term: Callable[[str], str | None]) -> None:
        super().__init__()
        self._term = term

    def __missing__(self, word: str) -> str | None:
        if len(self) >= _MAX_CACHED:
            self.clear()
        found = self[word] = self._term(word)
        return found


def _checked_ngram(term: str) -> str | None:
    """Return an n-gram, or None if it is too long or not valid Unicode."""
    if len(term) > _MAX_NGRAM:
        return None
    try:
        term.encode()
    except UnicodeEncodeError:
        return None
    return term
