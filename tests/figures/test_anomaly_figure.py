"""The anomaly figure: bars, images, and the histogram of p-values."""

from __future__ import annotations

import numpy as np
import pytest

from narrows.applications.anomalies.flagging import FlaggedRows, flag_rows
from narrows.errors import InvalidData
from narrows.figures.anomalies import anomaly_figure

NAMES = ["length", "width", "height", "weight"]


def found_with(p_values: np.ndarray, n_calibration: int) -> FlaggedRows:
    """The anomalies found among rows with these p-values at the level 0.05."""
    flagged = p_values <= 0.05
    return FlaggedRows(-p_values, p_values, flagged, "p <= 0.05", 0.05, None, n_calibration)


def test_bars_are_the_largest_contributions_and_the_histogram_holds_every_row():
    shares = np.array([[0.1, 0.7, 0.2, 0.0]])
    figure = anomaly_figure(
        np.ones((1, 4)), np.ones((1, 4)), shares, titles=["row 0"],
        found=found_with(np.linspace(0.01, 1, 40), 99), names=NAMES,
    )  # fmt: skip
    bars, histogram = (axis for part in figure.subfigs for axis in part.axes)
    assert [label.get_text() for label in bars.get_yticklabels()] == [
        "width", "height", "length", "weight",
    ]  # fmt: skip
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([70, 20, 10, 0])
    *columns, level = histogram.patches
    assert sum(bar.get_height() for bar in columns) == 40
    assert level.get_data().values.tolist() == [10] * 4  # if all were normal
    assert histogram.get_title() == "2 of 40 rows are flagged: p <= 0.05"


@pytest.mark.parametrize(
    ("n_rows", "n_values"),
    [(40, 301), (400, 41), (20, 20), (5000, 20001), (600, 31), (600, 58), (600, 151)],
)
def test_every_bin_of_the_histogram_has_enough_rows_and_p_values(n_rows, n_values):
    possible = np.arange(1, n_values + 1) / n_values
    p_values = np.resize(possible, n_rows)
    figure = anomaly_figure(
        np.ones((1, 2)), np.ones((1, 2)), np.full((1, 2), 0.5), titles=["row 0"],
        found=found_with(p_values, n_values - 1), names=["a", "b"],
    )  # fmt: skip
    level = figure.subfigs[1].axes[0].patches[-1].get_data()
    held = np.histogram(possible, level.edges)[0]
    assert len(held) > 1 and min(held) >= 10 and min(level.values) >= 9.5
    assert level.values == pytest.approx(held * n_rows / n_values) and sum(held) == n_values
    assert np.ptp(held) <= 1 and (np.diff(held) <= 0).all()  # no zigzag


@pytest.mark.parametrize(
    ("n_rows", "n_values", "few"), [(19, 101, "19 rows"), (400, 19, "18 rows held out")]
)
@pytest.mark.parametrize("image_shape", [None, (1, 2)])
def test_a_histogram_of_one_bar_is_left_out_with_the_reason(n_rows, n_values, few, image_shape):
    figure = anomaly_figure(
        np.ones((1, 2)), np.ones((1, 2)), np.full((1, 2), 0.5), titles=["row 0"],
        found=found_with(np.full(n_rows, 0.5), n_values - 1), names=["a", "b"],
        image_shape=image_shape,
    )  # fmt: skip
    assert len(figure.subfigs) == 1
    assert f"no histogram of p-values: too few, {few}" in figure.get_suptitle()
    assert f"0 of {n_rows} rows are flagged: p <= 0.05" in figure.get_suptitle()


def test_bars_share_one_scale_and_feature_names_are_not_cut_off():
    shares = np.array([[0.5, 0.3, 0.2], [0.25, 0.35, 0.4]])
    figure = anomaly_figure(
        shares, shares, shares, titles=["row 0", "row 1"], found=found_with(np.ones(2), 9),
        names=["od280_od315_of_wines", "cost_in_$", "x"],
    )  # fmt: skip
    one, other = figure.subfigs[0].axes
    assert one.get_xlim() == other.get_xlim() == pytest.approx((0, 54))
    named = [label.get_text() for label in one.get_yticklabels()]
    assert named == ["od280_od315_of_wines", r"cost_in_\$", "x"]


def test_images_are_drawn_above_their_reconstruction_and_contributions(rng):
    rows = rng.random((3, 48))
    figure = anomaly_figure(
        rows, rows / 2, np.full((3, 48), 1 / 48), titles=["a", "b", "c"],
        found=found_with(rng.random(9), 99), names=[""] * 48, image_shape=(4, 4, 3),
    )  # fmt: skip
    images = [axis.images[0].get_array() for axis in figure.subfigs[0].axes]
    assert [image.shape for image in images] == [(4, 4, 3)] * 6 + [(4, 4)] * 3


def test_an_image_shape_that_does_not_fit_is_refused(rng):
    rows = rng.random((3, 48))
    with pytest.raises(InvalidData, match=r"image shape \(5, 5\): does not hold 48 features"):
        anomaly_figure(
            rows, rows, rows, titles=["a"] * 3, found=found_with(rng.random(3), 9),
            names=[""] * 48, image_shape=(5, 5),
        )  # fmt: skip


@pytest.mark.parametrize("n_rows", [1, 2, 40])
def test_rows_without_p_values_are_drawn_with_the_reason(n_rows):
    found = flag_rows(np.arange(float(n_rows)), None)
    figure = anomaly_figure(
        np.ones((1, 2)), np.ones((1, 2)), np.full((1, 2), 0.5), titles=["row 0"], found=found,
        names=["a", "b"],
    )  # fmt: skip
    assert "no rows were held out" in figure.get_suptitle() and len(figure.subfigs) == 1
    assert "10% of the rows" in figure.get_suptitle()
