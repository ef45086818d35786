"""Maps: nearest-neighbor accuracy against a loop, and the content of the figure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from matplotlib.backends.backend_agg import FigureCanvasAgg

from narrows.applications.retrieval.metrics import plane_accuracy
from narrows.errors import InvalidData, UsageError
from narrows.figures.maps import N_NAMED, map_figure


@pytest.fixture
def xy(rng) -> np.ndarray:
    return rng.normal(size=(120, 2))


def by_hand(xy, sets, k) -> float:
    shares = []
    for i, point in enumerate(xy):
        order = np.argsort(((xy - point) ** 2).sum(axis=1))
        near = [j for j in order if j != i][:k]
        shares.append(np.mean([bool(sets[i] & sets[j]) for j in near]))
    return np.mean(shares)


@pytest.mark.parametrize("k", [1, 7])
def test_accuracy_matches_a_loop_over_points(xy, rng, k):
    labels = rng.integers(0, 3, 120)
    expected = by_hand(xy, [{label} for label in labels], k)
    assert plane_accuracy(xy, labels, n_neighbors=k) == pytest.approx(expected)


def test_one_shared_label_of_several_is_enough(xy, rng):
    labels = sp.csr_array(rng.random((120, 9)) < 0.2)
    sets = [set(np.flatnonzero(row)) for row in labels.toarray()]
    assert plane_accuracy(xy, labels) == pytest.approx(by_hand(xy, sets, 1))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_a_map_does_not_matter(xy, rng, scale):
    labels = rng.integers(0, 3, 120)
    assert plane_accuracy(scale * xy + 5 * scale, labels) == plane_accuracy(xy, labels)


def test_a_collapsed_map_is_at_chance_even_if_rows_are_sorted_by_class():
    labels = np.repeat(np.arange(4), 250)
    assert plane_accuracy(np.zeros((1000, 2)), labels) == pytest.approx(0.25, abs=0.06)


def test_two_points_at_the_same_place_are_neighbors():
    xy = np.array([[0, 0], [0, 0], [1, 1], [1, 1], [5, 0]])
    assert plane_accuracy(xy, ["a", "a", "b", "b", "c"]) == 0.8


@pytest.fixture
def labels() -> np.ndarray:
    return np.array(["a", "b", "c", "d"])[np.arange(120) % 4]


def test_every_map_has_its_name_and_its_accuracy(xy, labels):
    figure = map_figure({"model": xy, "PCA": xy[::-1] ** 3}, labels)
    assert [axis.get_title() for axis in figure.axes] == ["model", "PCA"]
    for axis, points in zip(figure.axes, (xy, xy[::-1] ** 3), strict=True):
        assert axis.get_xlabel().endswith(f"{plane_accuracy(points, labels):.1%}")


def test_points_have_the_colors_of_their_classes_on_every_map(xy, labels):
    for axis in map_figure({"model": xy, "LSA": 2 * xy}, labels, n_named=2).axes:
        points = axis.collections[0]
        places = points.get_offsets().data / (2 if axis.get_title() == "LSA" else 1)
        order = [int(np.abs(xy - place).sum(axis=1).argmin()) for place in places]
        drawn = [tuple(color) for color in points.get_facecolors()]
        by_class = {label: {drawn[i] for i, row in enumerate(order) if labels[row] == label}
                    for label in "abcd"}  # fmt: skip
        assert all(len(colors) == 1 for colors in by_class.values())
        assert by_class["c"] == by_class["d"] != by_class["a"] != by_class["b"]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_most_frequent_classes_are_named_and_the_rest_is_other(xy):
    many = np.array([f"class {i % 25 if i < 100 else 14}" for i in range(120)])
    names = legend(map_figure({"model": xy}, many))
    assert names[0] == "class 14" and len(names) == N_NAMED + 1
    assert names[-1] == "other: 5 classes, 20 rows"
    assert legend(map_figure({"model": xy}, many, n_named=24))[-1] == "other: 1 class, 4 rows"


@pytest.mark.parametrize("n", [1, 2, 12, 20])
def test_up_to_twenty_classes_have_their_own_colors(n, rng):
    xy = rng.normal(size=(10 * n, 2))
    figure = map_figure({"model": xy}, np.arange(10 * n) % n)
    keys = figure.legends[0].legend_handles
    colors = {tuple(key.get_facecolor()[0][:3]) for key in keys}
    assert len(colors) == n == len(legend(figure))
    points = figure.axes[0].collections[0]
    drawn = {(tuple(color[:3]), path.vertices.tobytes()) for color, path
             in zip(points.get_facecolors(), points.get_paths(), strict=True)}  # fmt: skip
    assert {color for color, _ in drawn} == colors and len(drawn) == n
    assert len({path for _, path in drawn}) == min(n, 7)  # markers distinguish similar colors


@pytest.mark.parametrize("n", [2, 3, 10])
def test_few_points_are_all_drawn(n, rng):
    axis = map_figure({"model": rng.normal(size=(n, 2))}, np.zeros(n)).axes[0]
    assert len(axis.collections[0].get_offsets()) == n


def test_long_names_of_classes_stay_different(xy):
    long = np.array([f"a very long name of the class with the number {i % 3}" for i in range(120)])
    assert len(set(legend(map_figure({"model": xy}, long)))) == 3


def test_without_other_classes_the_legend_has_no_other(xy, labels):
    assert legend(map_figure({"model": xy}, labels)) == ["a", "b", "c", "d"]


def test_the_most_frequent_of_several_labels_gives_the_color(xy):
    labels = sp.lil_array((120, 3), dtype=int)
    labels[:100, 1] = labels[50:119, 0] = 1  # the last row has none
    names = legend(map_figure({"model": xy}, labels.tocsr(), label_names=["x", "y", "z"]))
    assert names == ["y", "x", "none"]


def test_given_classes_determine_the_colors(xy, labels):
    figure = map_figure({"model": xy}, labels, classes=["u"] * 120)
    assert legend(figure) == ["u"]
    assert figure.axes[0].get_xlabel().endswith(f"{plane_accuracy(xy, labels):.1%}")


def test_an_outlier_does_not_compress_the_map(rng):
    xy = rng.normal(size=(1000, 2))
    xy[0] = 1e6
    axis = map_figure({"model": xy}, np.zeros(1000)).axes[0]
    assert axis.get_xlim()[1] < 5 and axis.get_ylim()[1] < 5


def test_dots_are_never_cut_off(rng):
    figure = map_figure({"model": rng.normal(size=(3000, 2))}, np.zeros(3000))
    FigureCanvasAgg(figure).draw()
    (axis,) = figure.axes
    points = axis.collections[0]
    at = axis.transData.transform(points.get_offsets())
    radius = np.sqrt(points.get_sizes()[0] / np.pi) * figure.dpi / 72
    assert (at - radius > axis.bbox.min).all() and (at + radius < axis.bbox.max).all()


def test_a_collapsed_map_is_drawn(tmp_path, labels):
    map_figure({"model": np.zeros((120, 2))}, labels).savefig(tmp_path / "map.png")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"xy": np.full((3, 2), np.nan)}, "all finite"),
        ({"xy": np.zeros((1, 2)), "labels": [0]}, "two or more points"),
        ({"labels": [1, 2]}, "3 points, but labels of 2 rows"),
    ],
)
def test_invalid_points_are_refused(given, message):
    with pytest.raises(InvalidData, match=message):
        plane_accuracy(**{"xy": np.zeros((3, 2)), "labels": [1, 2, 3], **given})


def test_more_neighbors_than_points_are_refused():
    with pytest.raises(UsageError, match="n_neighbors: must be an integer >= 1 and <= 2, got 3"):
        plane_accuracy(np.zeros((3, 2)), [1, 2, 3], n_neighbors=3)


def test_a_figure_without_maps_is_refused(xy, labels):
    with pytest.raises(InvalidData, match="maps: none given"):
        map_figure({}, labels)
    with pytest.raises(InvalidData, match="classes: expected one for each of the 120 rows, got 1"):
        map_figure({"model": xy}, labels, classes=["u"])
