"""Figures of small and unusual data: missing values, single rows, long labels, rare letters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.text import Text

from narrows import Autoencoder
from narrows.applications.anomalies.flagging import flag_rows
from narrows.applications.generation.memorization import Memorization
from narrows.errors import MissingFontWarning
from narrows.figures.anomalies import anomaly_figure
from narrows.figures.drawing import Strip, draw_heat, draw_images, draw_profiles
from narrows.figures.generation import sheet_figure, walk_figure
from narrows.figures.inpainting import inpainting_figure
from narrows.figures.matching import matching_figure
from narrows.figures.mosaic import MISSING, pictures
from narrows.figures.rows import denoising_figure
from narrows.figures.saving import save_figure
from narrows.figures.text_layout import fitting

UNIT = "standard deviations from the mean"


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def cut(figure) -> list[str]:
    """Return texts that extend beyond the figure, and tick labels beyond the axis."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    wide, tall = figure.get_size_inches() * figure.dpi
    found = []
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent(canvas.get_renderer())
            if box.x0 < -1 or box.y0 < -1 or box.x1 > wide + 1 or box.y1 > tall + 1:
                found.append(text.get_text())
    return found


@pytest.fixture(scope="module")
def of_images() -> Autoencoder:
    rows = np.random.default_rng(0).random((40, 16))
    rows[rows < 0.1] = np.nan
    return Autoencoder(
        2, hidden=(4,), corruption="missing:0.2", max_epochs=1, random_state=0
    ).fit(rows)  # fmt: skip


@pytest.mark.parametrize("n_panels", [1, 2, 6])
@pytest.mark.parametrize("n_lines", [1, 2])
def test_the_label_of_a_color_bar_is_not_cut_off(n_panels, n_lines):
    panels = np.random.default_rng(0).normal(size=(n_panels, n_lines, 3))
    figure = draw_heat(
        panels, titles=["row"] * n_panels, lines=["a"] * n_lines, unit=UNIT, names=["a", "b", "c"]
    )
    assert UNIT in texts(figure) and UNIT not in cut(figure)


@pytest.mark.parametrize("n", [1, 2])
def test_the_unit_of_few_profiles_is_not_cut_off(n):
    strips = [Strip("data", "data", np.random.default_rng(0).normal(size=(n, 4)))]
    figure = draw_profiles(strips, lines=["row 0", "row 1"], unit=UNIT)
    assert UNIT in texts(figure) and UNIT not in cut(figure)


@pytest.mark.parametrize("shift", [0.0, 9.0])  # both signs, and one
def test_a_missing_value_among_colors_is_hatched(shift):
    panels = np.random.default_rng(0).normal(size=(1, 2, 3)) + shift
    panels[0, 0, 1] = np.nan
    figure = draw_heat(panels, titles=["row"], lines=["a", "b"], unit=UNIT)
    axis = figure.axes[0]
    assert axis.patch.get_hatch() and "hatched: missing" in figure.get_suptitle()
    image = axis.images[0]
    assert image.to_rgba(image.get_array())[..., 3].tolist() == [[1, 0, 1], [1, 1, 1]]
    whole = draw_heat(np.ones((1, 1, 2)), titles=["row"], lines=["a"], unit=UNIT, title="walk")
    assert whole.get_suptitle() == "walk"
    nothing = np.full((1, 1, 2), np.nan)
    draw_heat(nothing, titles=["row"], lines=["a"], unit=UNIT)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (2, 2, 4)])
def test_a_missing_pixel_is_not_gray(shape):
    rows = np.linspace(0, 1, 16)[None].repeat(2, axis=0)
    rows[0, 5] = np.nan
    images = pictures(rows, shape, (0.0, 1.0)).reshape(2, -1, 3)
    pink = (images == MISSING).all(axis=2)
    assert pink.sum() == 1 and not pink[1].any()
    assert np.ptp(images[~pink], axis=1).max() == 0


def test_figures_of_images_explain_the_color_of_missing_pixels(of_images):
    model, rows = of_images.model_, torch.rand(3, 16)
    rows[1, 5] = torch.nan
    shape = (4, 4)
    found = flag_rows(np.arange(3.0), None)
    drawn = [
        denoising_figure(model, rows, image_shape=shape),
        inpainting_figure(model, rows, np.arange(16)[None] < 4, image_shape=shape),
        walk_figure(model, rows.numpy()[None], image_shape=shape, title="walk"),
        draw_images([Strip("data", "data", rows.numpy())], shape, (0.0, 1.0)),
        matching_figure(model, rows.numpy(), rows.numpy(), np.ones(3), image_shape=shape),
        anomaly_figure(
            rows.numpy(), rows.numpy(), np.full((3, 16), 1 / 16), titles=["a", "b", "c"],
            found=found, names=["x"] * 16, image_shape=shape,
        ),
    ]  # fmt: skip
    for figure in drawn:
        assert any("pink: no value" in text for text in texts(figure))
        images = [image.get_array() for image in figure.findobj(AxesImage)]
        assert any(np.isclose(image[..., :3], MISSING).all(axis=-1).any() for image in images
                   if image.ndim == 3)  # fmt: skip
    rows = rows.nan_to_num()
    assert "pink" not in " ".join(texts(denoising_figure(model, rows, image_shape=shape)))


def test_profiles_explain_that_gaps_are_missing_values():
    rows = np.ones((2, 4))
    rows[1, 2] = np.nan
    figure = draw_profiles([Strip("data", "data", rows)], lines=["a", "b"], unit=UNIT)
    assert "data (gaps: missing values)" in texts(figure)
    whole = draw_profiles([Strip("data", "data", rows[:1])], lines=["a"], unit=UNIT)
    assert "data" in texts(whole)


@pytest.mark.parametrize(
    ("probability", "headings"),
    [
        ([0.95, 0.96, 0.97], ["highest:\n0.970", "nearest to 0.5:\n0.950", "lowest:\n0.960"]),
        ([0.01, 0.02, 0.9], ["highest:\n0.900", "nearest to 0.5:\n0.020", "lowest:\n0.010"]),
        ([0.7], ["highest:\n0.700"]),
    ],
)
def test_the_headings_of_pairs_hold_the_range_of_their_probabilities(
    probability, headings, of_images
):
    rows = np.random.default_rng(0).random((len(probability), 16))
    figure = matching_figure(
        of_images.model_, rows, rows, np.array(probability), image_shape=(4, 4)
    )
    found = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert [heading.split(":")[0] for heading in found] == [h.split(":")[0] for h in headings]
    shown = [axis.get_xlabel() for axis in figure.axes if axis.get_xlabel()]
    assert [heading.split("\n")[1] for heading in found] == shown  # one pair of each kind


def test_color_and_gray_pairs_are_drawn(of_images):
    rows = np.random.default_rng(0).random((4, 16))
    for shape in ((4, 4), (4, 4, 1), (2, 2, 4)):
        matching_figure(of_images.model_, rows, rows, np.linspace(0, 1, 4), image_shape=shape)


def test_a_frame_around_a_sample_is_explained(of_images):
    rows = np.random.default_rng(0).random((3, 16))
    for distances, framed in (([0.1, 5, 5], True), ([5, 5, 5], False)):
        measured = Memorization(
            np.array(distances, float), np.zeros(3, int), np.ones(9), np.ones(9), 40, "rows", "x"
        )
        figure = sheet_figure(of_images.model_, rows, rows, measured, image_shape=(4, 4))
        assert any("framed: closer" in text for text in texts(figure)) == framed
        assert cut(figure) == []


def test_letters_that_no_font_has_give_one_warning(tmp_path):
    assert fitting("\U00012000" * 40, 8, 1.0)  # measured without warnings
    figure = draw_heat(np.ones((1, 1, 2)), titles=["\U00012000"], lines=["a"], unit=UNIT)
    with pytest.warns() as caught:
        save_figure(figure, tmp_path / "f.png")
    assert [warning.category for warning in caught] == [MissingFontWarning]
    assert "no font on this machine has the letters" in str(caught[0].message)


def test_letters_are_drawn_in_a_font_that_has_them(tmp_path, monkeypatch):
    """A font of matplotlib's stands in for a system font."""
    monkeypatch.setattr("narrows.figures.saving._WIDE", ("STIXGeneral",))
    letter = "\u20e5"  # DejaVu Sans lacks it
    figure = draw_heat(np.ones((1, 1, 2)), titles=[f"a {letter}"], lines=["a"], unit=UNIT)
    save_figure(figure, tmp_path / "f.png")
    text = next(text for text in figure.findobj(Text) if letter in text.get_text())
    assert text.get_fontfamily() == ["DejaVu Sans", "STIXGeneral"]
