"""Figures of rows: their content, units and names, and whether names fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from narrows import Autoencoder, DocumentAutoencoder, Missing
from narrows.applications.filling.baseline_fills import fit_baselines, gaussian_fill
from narrows.data.array_sources import array_source
from narrows.data.source import evenly_spaced_rows
from narrows.estimators.inputs import query_rows
from narrows.figures.drawing import Strip, draw_profiles, draw_words
from narrows.figures.generation import sample_figure, sheet_figure, walk_figure
from narrows.figures.inpainting import inpainting_figure
from narrows.figures.mosaic import draw_mosaic
from narrows.figures.palette import class_colors
from narrows.figures.rows import denoising_figure, reconstruction_figure, scaled_rows
from narrows.figures.segmentation import segmentation_figure
from narrows.figures.text_layout import fitting, text_width

NAMES = [f"proanthocyanins_{i}" for i in range(13)]
LINES = [f"row {10 * i}" for i in range(5)]
WORDS = ("sea ship sail", "farm field cow", "sun star moon")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(80, 13)) * 9 + np.arange(13)).astype(np.float32)


@pytest.fixture(scope="module")
def of_table(table):
    missing = Missing(0.2)
    ae = Autoencoder(3, hidden=(8,), corruption=missing, max_epochs=2, random_state=0).fit(table)
    return replace(ae.model_, schema=replace(ae.model_.schema, names=NAMES))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return (20 * rng.random((60, 16)) + 100 * (np.arange(16) % 2)).astype(np.float32)


@pytest.fixture(scope="module")
def of_images(images):
    return Autoencoder(3, hidden=(8,), scale="standard", max_epochs=2, random_state=0).fit(
        images
    ).model_  # fmt: skip


@pytest.fixture(scope="module")
def of_texts():
    texts = [WORDS[i % 3] + " " + WORDS[i % 3][:3] for i in range(60)]
    settings = {"max_epochs": 2, "validation_fraction": 0.0, "random_state": 0}
    return DocumentAutoencoder(2, hidden=(8,), **settings).fit(texts), texts


def extents(figure, artists):
    renderer = FigureCanvasAgg(figure).get_renderer()
    FigureCanvasAgg(figure).draw()
    return [artist.get_window_extent(renderer) for artist in artists]


def inside(figure, artists) -> bool:
    wide, tall = figure.get_size_inches() * figure.dpi
    return all(0 <= b.x0 and b.x1 <= wide and 0 <= b.y0 and b.y1 <= tall
               for b in extents(figure, artists))  # fmt: skip


def drawn(figure, panel=0):
    return {line.get_label(): line.get_ydata() for line in figure.axes[panel].lines}


def test_the_longest_names_fit_into_the_legend(table):
    strips = [Strip(f"{role} of 100 numbers, squared error of these 0.123456789", role, table)
              for role in ("data", "corrupted", "model", "baseline", "nearest")]  # fmt: skip
    figure = draw_profiles(strips, lines=["row"] * 6, unit="deviations", names=NAMES)
    assert inside(figure, [figure.legends[0]])
    assert len(figure.legends[0].get_texts()) == 5


def test_profiles_and_errors_belong_to_the_named_rows(of_table, table):
    names = [f"row {i}" for i in range(0, 80, 8)]
    rows = torch.from_numpy(table[::8])
    figure = reconstruction_figure(of_table, rows, lines=names)
    assert [axis.get_ylabel() for axis in figure.axes] == [f"row {8 * i}" for i in range(6)]
    x = of_table.scaling.forward(rows[:6])
    with torch.no_grad():
        error = float((of_table.objective.reconstruct(x) - x).square().sum(dim=1).mean())
    assert f"3 numbers, autoencoder, squared error of these {error:.3g}" in drawn(figure)
    assert figure.get_supylabel() == "standard deviations from the mean"
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == NAMES


def test_a_missing_value_is_not_drawn(of_table, table):
    holes = table[:3].copy()
    holes[0, 4] = np.nan
    lines = drawn(denoising_figure(of_table, torch.from_numpy(holes)))
    assert np.isnan(lines["data (gaps: missing values)"]).tolist() == [i == 4 for i in range(13)]
    assert np.isfinite(lines["3 numbers, autoencoder"]).all()


def test_known_values_are_drawn_unchanged(of_table, table):
    holes = torch.from_numpy(table[:3].copy())
    holes[0, 4] = holes[0, 9] = torch.nan
    x = of_table.scaling.forward(holes)
    with torch.no_grad():
        fill = of_table.objective.reconstruct(x)
    lines = drawn(denoising_figure(of_table, holes))
    kept = torch.where(x.isnan(), fill, x)[0].numpy()
    assert lines["3 numbers, autoencoder"] == pytest.approx(kept)
    by_pca = lines["3 numbers, PCA"]
    assert (by_pca == x[0].numpy()).tolist() == [i not in (4, 9) for i in range(13)]


def test_a_long_name_is_cut_in_its_middle():
    assert fitting("row 17", 7, 1) == "row 17"
    assert fitting("a\n$b$", 7, 1) == "a\n\\$b\\$"
    for name in ("patient 0001, scan 17", "m" * 300, "$x$" * 30, "/data/scans/2024/00017"):
        short = fitting(name, 7, 0.65)
        start, end = short.replace("\\$", "$").split("…")
        assert name.startswith(start) and name.endswith(end) and len(start) - len(end) <= 2
        assert 0.4 < text_width(short, 7) <= 0.65


def test_names_of_images_do_not_touch(rng):
    names = [f"patient 0001, scan {i:03}" for i in range(6)]
    figure = draw_mosaic(rng.random((6, 4, 4, 3)), 6, columns=names, cell=0.7)
    boxes = extents(figure, figure.axes[0].texts)
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_corrupted_values_are_marks_and_not_a_line(of_table, table):
    clean = torch.from_numpy(table[:3])
    figure = denoising_figure(of_table, clean, corrupted=of_table.scaling.forward(clean + 1))
    corrupted, by_model = figure.axes[0].lines[1:3]
    assert corrupted.get_label().startswith("corrupted") and corrupted.get_linestyle() == "None"
    again = reconstruction_figure(of_table, clean).axes[0].lines[1]
    assert again.get_color() == by_model.get_color() and by_model.get_linestyle() == "-"


def test_images_are_drawn_in_input_units(of_images, images):
    rows = torch.from_numpy(images[:5])
    figure = reconstruction_figure(of_images, rows, image_shape=(4, 4), lines=LINES)
    first = np.stack([np.asarray(image.get_array())[..., 0] for image in figure.axes[0].images[:5]])
    low, high = images[:5].min(), images[:5].max()
    assert first.reshape(5, 16) == pytest.approx((images[:5] - low) / (high - low), abs=1e-4)
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels[-5:] == LINES
    assert figure.texts[0].get_text() == "squared error per row, in standard deviations"


def test_an_extreme_image_leaves_the_others_their_contrast(of_images, images):
    wild = images.copy()
    wild[0, 0] = 1e6
    figure = sample_figure(of_images, wild, image_shape=(4, 4))
    other = figure.axes[0].images[1].get_array()
    assert other.max() - other.min() > 0.8


def test_every_new_image_is_drawn(of_images, images):
    figure = sample_figure(of_images, images[:15], image_shape=(4, 4))
    assert len(figure.axes[0].images) == 15


def test_names_are_beside_the_images_and_within_the_figure():
    lines = ["row 1198, amount 0.5", "two\nlines of a name that is long", "i"]
    title = "a title that is much wider than two small images are, by far"
    figure = draw_mosaic(
        np.zeros((6, 4, 3, 3)), 2, lines=lines, columns=["data", "0.5"], given=[0], title=title
    )
    (axis,) = figure.axes
    assert inside(figure, [*axis.texts, *figure.texts])
    boxes = extents(figure, [*axis.texts, *figure.texts, *axis.images])
    names, pictures = boxes[:6], boxes[6:]
    assert not any(name.overlaps(image) for name in names for image in pictures)
    assert not any(a.overlaps(b) for i, a in enumerate(names) for b in names[:i])


def test_a_text_is_drawn_as_words_with_their_shares(of_texts):
    estimator, texts = of_texts
    model = estimator.model_
    _, source = query_rows(estimator, texts)
    figure = reconstruction_figure(model, evenly_spaced_rows(source, 4))
    shares = model.scaling.forward(evenly_spaced_rows(source, 4)).to_dense().numpy()
    for i, axis in enumerate(figure.axes[:4]):
        words = [label.get_text() for label in axis.get_yticklabels()]
        at = [model.vocabulary.terms.index(word) for word in words]
        data = next(line for line in axis.lines if line.get_label() == "data")
        assert data.get_xdata() == pytest.approx(100 * shares[i, at])
        assert set(model.vocabulary.terms[j] for j in shares[i].nonzero()[0]) <= set(words)
    assert figure.get_supxlabel().startswith("share of a text's")
    assert not any(axis.axison for axis in figure.axes[4:])


def test_new_texts_are_drawn_as_their_words(of_texts):
    model = of_texts[0].model_
    rows = of_texts[0].sample(9, random_state=0)
    figure = sample_figure(model, np.asarray(rows.todense() if hasattr(rows, "todense") else rows))
    assert [axis.get_title() for axis in figure.axes] == [f"new text {i}" for i in range(6)]


def test_of_many_words_the_ten_largest_contributions_are_drawn(table):
    shares = abs(table) / abs(table).sum(axis=1, keepdims=True)
    figure = draw_words([Strip("data", "data", shares)], NAMES, lines=["a"] * 6, unit="%")
    named = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert named == [NAMES[i] for i in np.argsort(-shares[1], kind="stable")[:10]]
    largest = 100 * shares[:6].max()
    assert all(axis.get_xlim()[0] <= 0 and axis.get_xlim()[1] > largest for axis in figure.axes)


def test_a_walk_of_a_table_is_drawn_as_a_heat_map_with_a_name_per_line(of_table, table):
    grid = table[:24].reshape(8, 3, 13)
    figure = walk_figure(
        of_table, grid, lines=[f"row {i}" for i in range(8)], columns=["data", "0", "1"], given=[0]
    )
    *panels, bar = figure.axes
    assert [axis.get_title(loc="left") for axis in panels] == [f"row {i}" for i in range(6)]
    for axis, line in zip(panels, grid, strict=False):
        (image,) = axis.images
        assert np.asarray(image.get_array()) == pytest.approx(scaled_rows(of_table, line))
        low, high = image.get_clim()
        assert low == -high == panels[0].images[0].get_clim()[0]  # white is 0, on every panel
        assert [label.get_text() for label in axis.get_yticklabels()] == ["data", "0", "1"]
    assert bar.get_ylabel() == "standard deviations from the mean"
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == NAMES


def test_new_rows_of_a_table_are_all_drawn(of_table, table):
    assert sample_figure(of_table, table[:30]).axes[0].images[0].get_array().shape == (30, 13)


def test_a_copy_of_a_row_of_a_table_is_labeled_as_a_copy(of_table, table):
    class Measured:
        distances, copies = np.array([0.0, 2.5]), np.array([True, False])

    figure = sheet_figure(of_table, table[:2], table[:2], Measured())
    assert [axis.get_ylabel() for axis in figure.axes] == ["0 away, a copy", "2.5 away"]


@pytest.fixture(scope="module")
def baselines(of_table, table):
    return fit_baselines(of_table.scaling, array_source(table))


def test_a_pca_of_all_columns_is_a_gaussian_and_has_no_least_squares(baselines, table, of_table):
    x = of_table.scaling.forward(torch.from_numpy(table[:8]))
    hidden = torch.from_numpy(np.random.default_rng(0).random((8, 13)) < 0.3)
    fills = dict(baselines.fills(x, hidden))
    assert [*fills] == ["mean", "Gaussian, conditional mean", "nearest row"]
    expected = gaussian_fill(x, hidden, baselines.rows, ridge=1e-6)
    assert torch.allclose(fills["Gaussian, conditional mean"], expected, atol=1e-3)
    narrow = fit_baselines(of_table.scaling, array_source(table), width=12)
    assert [*dict(narrow.fills(x, hidden))][1:3] == [
        "PCA-12, least squares", "PCA-12, conditional mean"
    ]  # fmt: skip


def test_the_conditional_mean_of_pca_is_drawn_at_hidden_values_only(of_table, table, baselines):
    hidden = np.random.default_rng(0).random((8, 13)) < 0.3
    rows = torch.from_numpy(table[:8])
    figure = inpainting_figure(of_table, rows, hidden, baselines=baselines)
    assert len(figure.axes) == 6
    lines = drawn(figure, 2)
    assert [name.split(", squared")[0] for name in lines] == [
        "original", "autoencoder", "Gaussian, conditional mean", "nearest row",
    ]  # fmt: skip
    for name, values in lines.items():
        there = np.ones(13, bool) if name == "original" else hidden[2]
        assert (np.isfinite(values) == there).all()


def test_deviations_are_drawn_in_gray(rng):
    rows = rng.integers(0, 256, size=(40, 48), dtype=np.uint8)
    model = Autoencoder(4, hidden=(8,), max_epochs=1, random_state=0).fit(rows).model_
    hidden = np.arange(48)[None] < 24
    shown = torch.from_numpy(rows[:3].astype(np.float32))
    figure = inpainting_figure(model, shown, hidden, image_shape=(4, 4, 3))
    deviation = figure.axes[0].images[-1].get_array()
    assert np.ptp(deviation, axis=2).max() < 1e-6 < deviation.max()


def test_every_class_of_a_mask_is_in_the_legend_and_every_image_has_its_number(rng):
    masks = rng.integers(0, 3, size=(2, 16))
    figure = segmentation_figure(
        rng.random((2, 48)), masks, image_shape=(4, 4, 3), classes=[0, 1, 2], names=LINES[:2]
    )
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["class 0", "class 1", "class 2"]
    assert [axis.get_title() for axis in figure.axes[:2]] == ["row 0", "row 10"]
    assert inside(figure, [figure.legends[0]])


@pytest.mark.parametrize("n", [2, 3, 12, 25, 32])
def test_every_class_of_a_mask_has_its_own_color(n):
    masks = np.arange(2 * 64).reshape(2, 64) % n
    figure = segmentation_figure(
        np.zeros((2, 64)), masks, image_shape=(8, 8, 1), classes=list(range(n)), truth=masks
    )
    painted = figure.axes[2].images[0].get_array().reshape(64, 3)
    by_class = [{tuple(pixel) for pixel in painted[masks[0] == value]} for value in range(n)]
    assert all(len(colors) == 1 for colors in by_class)
    assert len(set.union(*by_class)) == n
    keys = figure.legends[0].legend_handles
    assert len({key.get_facecolor() for key in keys}) == len(keys) == n
    assert inside(figure, [figure.legends[0]])


def test_unlabeled_pixels_are_white_and_in_the_legend():
    masks = np.array([[0, 1, 2, 255]])
    figure = segmentation_figure(
        np.zeros((1, 4)), np.array([[0, 1, 2, 2]]), image_shape=(2, 2, 1), classes=[0, 1, 2, 7],
        truth=masks, unknown=255, class_names=["sky", "road $5", "car", "tree"],
    )  # fmt: skip
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["sky", r"road \$5", "car", "not labeled"]
    assert (figure.axes[2].images[0].get_array()[1, 1] == 1).all()


def test_colors_are_far_from_each_other():
    colors = class_colors(25)
    apart = np.abs(colors[:, None] - colors[None]).sum(axis=2) + 9 * np.eye(25)
    assert apart.min() > 0.2 and (colors[:7] == class_colors(7)).all()
    assert len(class_colors(0)) == 0 and len(class_colors(300)) == 300
