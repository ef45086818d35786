"""Scores of predictions where labels are unknown, of unseen classes, or texts for numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from narrows.applications.heads.scores import (
    accuracy,
    most_frequent_share,
    number_of,
    r2_of_known,
    same_labels,
    unknown_labels,
    unseen_classes,
)

LARGE = 2**53 + 1  # no float holds it


def test_accuracy_is_that_of_scikit_learn_on_labels_of_one_type(rng):
    labels, predictions = rng.integers(0, 3, (2, 50))
    expected = accuracy_score(labels, predictions)
    assert accuracy(labels, predictions) == pytest.approx(expected)
    assert accuracy(labels.astype(str), predictions) == pytest.approx(expected)


@pytest.mark.parametrize(
    "one, other, same",
    [
        (["0", "1.0", "x"], [0.0, 1.0, 2.0], [True, True, False]),
        ([LARGE, LARGE], np.array([LARGE - 1, LARGE], float), [False, False]),
        ([str(LARGE), "1"], [LARGE, LARGE], [True, False]),
        (["True", "1"], [True, True], [True, True]),
        ([1.0, np.nan], np.nan, [False, True]),
        (["a", "-1"], -1, [False, True]),
        (["1", "01"], "1", [True, False]),
    ],
)
def test_texts_and_numbers_are_the_same_label_if_they_spell_the_same(one, other, same):
    assert same_labels(np.array(one), other).tolist() == same


def test_a_text_is_read_as_the_exact_integer():
    assert number_of(str(LARGE)) == LARGE


def test_unknown_labels_are_empty_or_the_missing_label():
    assert unknown_labels(np.array(["a", "", "?"])).tolist() == [False, True, False]
    assert unknown_labels(np.array(["a", "", "?"]), "?").tolist() == [False, True, True]
    assert unknown_labels(np.array([0, -1, 1]), -1).tolist() == [False, True, False]
    assert not unknown_labels(np.array([[0.0, 1.0]])).any()


def test_unseen_classes_are_counted_and_named():
    labels = np.array(["a", "b", "c", "c", "d"])
    assert unseen_classes(labels, ["a", "b"]) == (3, ["c", "d"])
    assert unseen_classes(labels, [*"abcd"]) == (0, [])


def test_the_most_frequent_share_is_the_accuracy_of_the_most_frequent_label():
    assert most_frequent_share(np.array(["a", "b", "a", "a"])) == 0.75


def test_r2_is_that_of_scikit_learn_on_the_known_values(rng):
    values, predictions = rng.normal(size=(2, 20))
    texts = values.astype(str)
    unknown = np.arange(20) < 4
    texts[unknown] = ""
    expected = r2_score(values[4:], predictions[4:])
    assert r2_of_known(texts, predictions, unknown) == pytest.approx(expected)
    with pytest.raises(ValueError, match="could not convert"):
        r2_of_known(texts, predictions, np.zeros(20, dtype=bool))
