"""The auxiliary penalty: a task on y shapes the code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Auxiliary, load
from narrows.core.slots import Code, Forward
from narrows.errors import InvalidData, UsageError

NET = {"n_components": 2, "hidden": (16,), "max_epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def labeled():
    """Rows whose class depends on a direction of little variance, (400, 8), and string classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 8)) * np.array([5, 4, 3, 2, 1, 1, 1, 1])
    return X, np.where(X[:, 7] > 0, "high", "low")


def test_the_penalty_matches_its_definition(generator):
    h = torch.randn(6, 3, generator=generator)
    y = torch.tensor([0, 1, 2, 1, -1, 0])
    task = Auxiliary(0.5, n_outputs=3).bind(3, generator=generator)
    logits = (h @ task.weight + task.bias).detach().double()
    known = [i for i in range(6) if y[i] >= 0]
    each = [-(logits[i] - logits[i].logsumexp(0))[y[i]] for i in known]
    step = Forward(h, h, Code(h), h, None, None, y)
    assert task(step).item() == pytest.approx(0.5 * float(sum(each)) / 6, rel=1e-5)


def test_regression_counts_known_values_only(generator):
    h = torch.randn(4, 3, generator=generator)
    y = torch.tensor([0.5, float("nan"), -1.0, 2.0])
    task = Auxiliary(2.0, task="regression").bind(3, generator=generator)
    predictions = (h @ task.weight + task.bias)[:, 0].detach()
    expected = 2 * sum((float(predictions[i]) - float(y[i])) ** 2 for i in (0, 2, 3)) / 4
    assert task(Forward(h, h, Code(h), h, None, None, y)).item() == pytest.approx(expected)


def test_the_penalty_makes_the_code_predict_the_class(labeled):
    from sklearn.linear_model import LogisticRegression

    X, y = labeled
    accuracy = []
    for penalties in ((), (Auxiliary(20.0),)):
        Z = Autoencoder(**NET, penalties=penalties).fit(X, y).transform(X)
        accuracy.append(LogisticRegression().fit(Z, y).score(Z, y))
    assert accuracy[0] < 0.8 < 0.93 < accuracy[1]


def test_the_penalty_makes_the_code_predict_a_number(labeled):
    X, _ = labeled
    Z = [
        Autoencoder(**NET, penalties=p).fit(X, X[:, 7] * 100 + 7).transform(X)
        for p in ((), (Auxiliary(20.0, task="regression"),))
    ]
    fits = [np.linalg.lstsq(np.c_[z, np.ones(400)], X[:, 7], rcond=None)[0] for z in Z]
    errors = [np.var(X[:, 7] - np.c_[z, np.ones(400)] @ f) for z, f in zip(Z, fits, strict=True)]
    assert errors[1] < 0.3 * errors[0]


def test_labels_stay_with_their_rows(labeled):
    """Holding out rows selects rows; labels that shifted would teach nothing."""
    X, y = labeled
    rng = np.random.default_rng(1)
    from sklearn.linear_model import LogisticRegression

    right = Autoencoder(**NET, penalties=[Auxiliary(20.0)], validation_fraction=0.3).fit(X, y)
    wrong = Autoencoder(**NET, penalties=[Auxiliary(20.0)]).fit(X, rng.permutation(y))
    scores = [LogisticRegression().fit(Z, y).score(Z, y) for Z in map(
        lambda ae: ae.transform(X), (right, wrong))]  # fmt: skip
    assert scores[1] < 0.85 < 0.93 < scores[0]


def test_the_file_keeps_the_task_and_its_classes(labeled, tmp_path):
    X, y = labeled
    ae = Autoencoder(**{**NET, "max_epochs": 2}, penalties=[Auxiliary()]).fit(X, y)
    assert ae.classes_.tolist() == ["high", "low"]
    ae.save(tmp_path / "m")
    other = load(tmp_path / "m")
    np.testing.assert_array_equal(other.transform(X), ae.transform(X))
    assert torch.equal(other.model_.objective.tasks[0].weight, ae.model_.objective.tasks[0].weight)


def test_rows_without_a_label_are_accepted(labeled):
    X, y = labeled
    some = np.where(np.arange(400) % 2, (y == "high").astype(int), -1)
    ae = Autoencoder(**{**NET, "max_epochs": 2}, penalties=["auxiliary"]).fit(X, some)
    assert ae.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, UsageError, r"y: is missing, but a penalty needs it; call fit\(X, y\)"),
        (np.zeros(3), InvalidData, "y: 3 values for 400 rows of X"),
        (np.zeros(400), InvalidData, "y: classification needs at least two classes, got 1"),
    ],
)
def test_an_invalid_y_is_refused(labeled, y, error, message):
    with pytest.raises(error, match=message):
        Autoencoder(**NET, penalties=["auxiliary"]).fit(labeled[0], y)


def test_y_is_ignored_without_a_task(labeled):
    X, _ = labeled
    small = {**NET, "max_epochs": 2}
    np.testing.assert_array_equal(
        Autoencoder(**small).fit(X, ["nonsense"] * len(X)).transform(X),
        Autoencoder(**small).fit(X).transform(X),
    )


def test_other_labels_are_refused_on_resuming(labeled, tmp_path):
    X, y = labeled
    small = {**NET, "max_epochs": 2, "penalties": ["auxiliary"]}
    Autoencoder(**small).fit(X, y, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="resume: y is"):
        Autoencoder(**small).fit(X, y[::-1], checkpoint=tmp_path, resume=True)
