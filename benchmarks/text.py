"""Compare the speed of counting words with scikit-learn's CountVectorizer.

Counts the words of 20 Newsgroups in memory with ``Vocabulary`` and with ``CountVectorizer``: learns
the 2,000 commonest words except stop words, then counts them, with and without Porter stemming (the
same stemmer in both). The two alternate in one process on one thread; the table gives the median
time over the turns, and the median ratio of the two times within a turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import Stemmer
from machine import described, versions
from sklearn.feature_extraction.text import CountVectorizer

from narrows.data.datasets import local_folder
from narrows.text import Analyzer, Vocabulary, read_documents

RESULTS = Path(__file__).parent / "results" / "text.md"
N_TERMS = 2000


def vectorizer(stemmer: str | None) -> CountVectorizer:
    if stemmer is None:
        return CountVectorizer(stop_words="english", max_features=N_TERMS)
    words = CountVectorizer(stop_words="english").build_analyzer()
    stems = Stemmer.Stemmer(stemmer).stemWords
    return CountVectorizer(analyzer=lambda text: stems(words(text)), max_features=N_TERMS)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def turns(texts: list[str], stemmer: str | None, n_turns: int) -> dict[str, list[list[float]]]:
    """Return the times of each turn, Narrows' and scikit-learn's, for learning and counting."""
    analyzer = Analyzer(stemmer=stemmer)
    vocabulary, counts = Vocabulary.learn(texts, analyzer, max_features=N_TERMS)
    sklearn = vectorizer(stemmer)
    expected = sklearn.fit_transform(texts)
    shared = set(vocabulary.terms) & set(sklearn.get_feature_names_out())
    assert len(shared) >= N_TERMS - 5, "only terms as frequent as the last may differ"
    assert abs(counts.sum() - expected.sum()) < 0.001 * expected.sum()
    learn = (
        lambda: Vocabulary.learn(texts, analyzer, max_features=N_TERMS),
        lambda: vectorizer(stemmer).fit_transform(texts),
    )
    count = (lambda: vocabulary.count(texts), lambda: sklearn.transform(texts))
    times: dict[str, list[list[float]]] = {"learn": [], "count": []}
    for turn in range(n_turns):
        for what, pair in (("learn", learn), ("count", count)):
            order = (0, 1) if turn % 2 == 0 else (1, 0)
            taken = {which: seconds(pair[which]) for which in order}
            times[what].append([taken[0], taken[1]])
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    folder = local_folder()
    if folder is None:
        parser.error("set NARROWS_DATA to a folder that holds 20newsgroups/docs.jsonl.gz")
    texts = list(read_documents(folder / "20newsgroups" / "docs.jsonl.gz").texts())
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    lines = [
        "# Text to counts: Narrows and CountVectorizer",
        "",
        __doc__.split("\n\n")[1].strip(),
        "",
    ]
    lines += [described(), "", f"{len(texts):,} documents, {megabytes:.1f} MB of UTF-8.", ""]
    sides = " | ".join(f"{name}, s | documents/s | MB/s" for name in ("narrows", "CountVectorizer"))
    lines += [f"| stems | what | {sides} | times as fast |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for stemmer in (None, "porter"):
        for what, times in turns(texts, stemmer, arguments.turns).items():
            cells = [stemmer or "none", what]
            for which in (0, 1):
                taken = statistics.median(time[which] for time in times)
                cells += [
                    f"{taken:.2f}",
                    f"{len(texts) / taken:,.0f}",
                    f"{megabytes / taken:.1f}",
                ]
            ratios = [sklearn / narrows for narrows, sklearn in times]
            extremes = f"{min(ratios):.2f} to {max(ratios):.2f}"
            cells.append(f"{statistics.median(ratios):.2f} ({extremes})")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    lines += ["", versions(["numpy", "scipy", "scikit-learn", "PyStemmer"]), ""]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
