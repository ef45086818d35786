"""Labels propagated along the graph of nearest codes, and a classifier that learns from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows import Autoencoder, CodeClassifier, load
from narrows.applications.heads.label_propagation import (
    neighbor_graph,
    propagate_classes,
    propagate_labels,
)
from narrows.errors import InvalidData, PropagationWarning, UsageError


@pytest.fixture(scope="module")
def moons() -> tuple[np.ndarray, np.ndarray]:
    """Two bent clusters in ten dimensions that no line separates, and their classes."""
    from sklearn.datasets import make_moons

    x, y = make_moons(600, noise=0.06, random_state=0)
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0][:2]
    return (x @ turned).astype(np.float32), y


QUICK = {"max_epochs": 10, "batch_size": 32, "random_state": 0}


def labeled(y: np.ndarray, each: int) -> np.ndarray:
    known = np.full(len(y), -1)
    for c in np.unique(y):
        known[np.flatnonzero(y == c)[:each]] = c
    return known


def test_labels_follow_bent_clusters(moons):
    x, y = moons
    known = labeled(y, 3)
    predicted = propagate_classes(torch.from_numpy(x), torch.from_numpy(known), k=10).numpy()
    assert (predicted == y).mean() > 0.97
    assert (predicted[known >= 0] == known[known >= 0]).all()


def test_known_labels_stay_even_against_all_their_neighbors(moons):
    x, y = moons
    known = y.copy()
    known[7] = 1 - y[7]
    predicted = propagate_classes(torch.from_numpy(x), torch.from_numpy(known), k=10)
    assert predicted[7] == known[7]


def test_rows_that_no_label_reaches_stay_unknown():
    islands = torch.cat([torch.randn(30, 2), torch.randn(30, 2) + 1000])
    known = torch.full((60,), -1)
    known[0] = 0
    predicted = propagate_classes(islands, known, k=3)
    assert (predicted[30:] == -1).all()
    assert (predicted[:30] == 0).any()


def test_propagation_solves_its_equation(moons):
    x, y = moons
    known, alpha = labeled(y, 2), 0.8
    graph = neighbor_graph(x, 8)
    reached = propagate_labels(graph, known, alpha=alpha)
    w = graph.toarray()
    scale = np.sqrt(w.sum(axis=1))
    start = np.stack([known == 0, known == 1], axis=1).astype(float)
    exact = np.linalg.solve(np.eye(len(x)) - alpha * w / np.outer(scale, scale), start)
    exact /= exact.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(reached, exact, atol=0.02)


def test_equal_rows_and_fewer_rows_than_neighbors_are_allowed():
    same = torch.ones(5, 3)
    known = torch.tensor([0, -1, -1, -1, -1])
    assert (propagate_classes(same, known, k=10) == 0).all()


@pytest.fixture(scope="module")
def fitted(moons) -> Autoencoder:
    """A net whose code maps the clusters to the plane."""
    settings = {"hidden": (32,), "batch_size": 32, "validation_fraction": 0.0, "random_state": 0}
    return Autoencoder(2, max_epochs=20, linear_start=False, **settings).fit(moons[0])


@pytest.mark.parametrize("training", ["frozen", "fine_tuned", "joint"])
def test_a_classifier_learns_from_propagated_labels(moons, fitted, tmp_path, training):
    x, y = moons
    ae = fitted
    settings = {"training": training, "hidden": (32,), "missing_label": -1, "random_state": 0}
    settings["max_epochs"] = 60
    known = labeled(y, 3)
    without = CodeClassifier(ae, **settings).fit(x, known).score(x, y)
    few = CodeClassifier(ae, **settings, n_neighbors=10).fit(x, known)
    assert few.score(x, y) > max(0.95, without)
    few.save(tmp_path / "few.safetensors")
    again = load(tmp_path / "few.safetensors")
    assert again.n_neighbors == 10
    assert (again.predict(x) == few.predict(x)).all()


def test_labels_may_be_words(moons, fitted):
    x, y = moons
    words = np.array(["one", "two", "?"], dtype=object)[labeled(y, 5)]
    few = CodeClassifier(fitted, **QUICK, missing_label="?", n_neighbors=10).fit(x, words)
    assert set(few.predict(x)) == {"one", "two"}


def test_rows_of_unknown_class_are_ignored_by_the_score(moons, fitted):
    x, y = moons
    known = labeled(y, 20)
    few = CodeClassifier(fitted, **QUICK, missing_label=-1, n_neighbors=10).fit(x, known)
    right = few.predict(x) == y
    assert few.score(x, known) == right[known >= 0].mean()
    assert few.score(x, y) == right.mean()
    weights = np.arange(len(x))
    assert few.score(x, y, weights) == pytest.approx(np.average(right, weights=weights))
    assert np.isnan(few.score(x, np.full(len(x), -1)))


def test_none_among_strings_is_refused_as_mixed_types(moons):
    x, y = moons
    words = np.array(["one", None], dtype=object)[y]
    with pytest.raises(InvalidData, match="several types, such as .* beside"):
        CodeClassifier(Autoencoder(2, max_epochs=1)).fit(x, words)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"n_neighbors": 300}, "n_neighbors: must be less than half of the 600 rows"),
        ({"n_neighbors": 0}, "n_neighbors: .*>= 1, got 0; None propagates no labels"),
        ({"n_neighbors": 2.5}, "n_neighbors: must be"),
        ({"missing_label": None}, "n_neighbors: there are no rows of unknown class"),
        ({"validation_fraction": 0.2}, "validation_fraction: must be 0 with n_neighbors"),
    ],
)
def test_invalid_settings_are_refused(moons, settings, match):
    x, y = moons
    ae = Autoencoder(2, max_epochs=1, random_state=0).fit(x)
    settings = {"missing_label": -1, "n_neighbors": 10, **settings}
    with pytest.raises(UsageError, match=match):
        CodeClassifier(ae, **settings).fit(x, y)


def test_labels_that_neighbors_predict_worse_are_not_propagated():
    """Classes lie along a line, across which neighbors don't know them."""
    rng = np.random.default_rng(0)
    wide = np.column_stack([rng.normal(size=300), 40 * rng.normal(size=(300, 5))])
    y = (wide[:, 0] > 0).astype(int)
    rows = (wide / [1.0, *[40.0] * 5]).astype(np.float32)
    ae = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(rows)
    known = labeled(y, 15)
    plain = CodeClassifier(ae, missing_label=-1, random_state=0).fit(rows, known)
    with pytest.warns(PropagationWarning, match="not clearly better: of 30 labels left out"):
        asked = CodeClassifier(ae, missing_label=-1, n_neighbors=10, random_state=0)
        asked.fit(rows, known)
    np.testing.assert_array_equal(asked.predict_proba(rows), plain.predict_proba(rows))


def test_a_single_label_per_class_is_not_propagated(fitted, moons):
    x, y = moons
    with pytest.warns(PropagationWarning, match="every class has a single label"):
        CodeClassifier(fitted, missing_label=-1, n_neighbors=10).fit(x, labeled(y, 1))
