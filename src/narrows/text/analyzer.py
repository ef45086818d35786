"""From a text to its terms: letters made small, words found, stop words dropped, stems taken.

scikit-learn's ``CountVectorizer`` is the reference, on text in Unicode's composed form (NFC), to
which every text is brought first: words that look the same are the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from narrows.checks import check_number
from narrows.errors import MissingExtra, ModelFileError, UsageError, unknown_name
from narrows.text.words import WORDS, Tokens, check_pattern, word_cutter

__all__ = ["STEMMERS", "Analyzer"]

STEMMERS = {"porter": "porter", "snowball": "english"}
"""Our names of PyStemmer's algorithms: Porter (1980), and his later English stemmer."""

_MAX_TOKEN_LENGTH = 1000
_MAX_STOP_WORDS = 100_000


@dataclass(frozen=True)
class Analyzer:
    """What counts as a word, and which words count as the same.

    Stop words are dropped before stemming, as written in the text: with the list "english",
    "have" is dropped and "haves" is counted, under the stem "have".

    Parameters
    ----------
    lowercase : bool, default=True
    token_pattern : str, default=WORDS
        Regular expression of a word, with one group at most.
    stop_words : "english", list or set of str, or None, default="english"
        "english" is scikit-learn's list.
    stemmer : {"porter", "snowball"} or None, default=None
        For English; each word is stemmed by PyStemmer.
    max_token_length : int, default=100
        Longer words are dropped: they are encoded files and rules drawn with underscores.
        At most 1000.

    Raises
    ------
    UsageError
        If an argument cannot be.

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

    def __post_init__(self) -> None:
        if not isinstance(self.lowercase, bool):
            raise UsageError(f"lowercase: must be True or False, got {self.lowercase!r}.")
        check_pattern(self.token_pattern)
        if self.stemmer is not None and self.stemmer not in list(STEMMERS):
            raise unknown_name("stemmer", self.stemmer, STEMMERS)
        check_number(
            "max_token_length", self.max_token_length, low=1, high=_MAX_TOKEN_LENGTH, integer=True
        )
        object.__setattr__(self, "stop_words", _checked_stop_words(self.stop_words))

    def __call__(self, text: str) -> list[str]:
        """Return the terms of a text, in order, each as often as it stands there."""
        term = self.make_term()
        found = (term(token) for tokens in self.make_tokens()(text) for token in tokens)
        return [kept for kept in found if kept is not None]

    def make_tokens(self) -> Tokens:
        """Return a function from a text to its words, in lists, before any is dropped.

        Of a text of ASCII it gives words of one letter too, which ``make_term`` drops.
        """
        return word_cutter(self.token_pattern, lowercase=self.lowercase)

    def make_term(self) -> Callable[[str], str | None]:
        """Return a function from a word to its term, None for one that is not counted.

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
                return None  # half of a character: only a pattern of one's own finds these
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
        return {
            "lowercase": self.lowercase,
            "token_pattern": self.token_pattern,
            "stop_words": words if words is None or isinstance(words, str) else list(words),
            "stemmer": self.stemmer,
            "max_token_length": int(self.max_token_length),
        }

    @classmethod
    def from_spec(cls, spec: Any) -> Analyzer:
        """Return the analyzer of a spec.

        Raises
        ------
        ModelFileError
            If ``to_spec`` cannot have written it.
        """
        names = cls.__dataclass_fields__.keys()
        if not isinstance(spec, dict) or spec.keys() != set(names):
            raise ModelFileError("the analyzer's spec has other entries than it should.")
        try:
            return cls(**spec)
        except UsageError as error:
            raise ModelFileError(f"the analyzer's spec is impossible: {error}") from None


def _checked_stop_words(words: Any) -> str | tuple[str, ...] | None:
    if words is None or isinstance(words, str):
        if words not in (None, "english"):
            raise UsageError(
                f"stop_words: the only named list is 'english', got {words!r:.60}; pass a list of "
                "words."
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
    return Stemmer.Stemmer(STEMMERS[name], 0).stemWord  # no cache of its own: ours holds columns
