"""Hidden rectangles: position, size, and weights in the loss."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from narrows import Autoencoder, Missing, Patches
from narrows.core.pieces import piece_from_spec
from narrows.core.sparse import SparseRows
from narrows.corruptions import CORRUPTIONS
from narrows.corruptions.patches import with_image_shape
from narrows.errors import UsageError


@pytest.fixture
def x(generator):
    return torch.rand(500, 12 * 8 * 3, generator=generator) + 1


def hidden_of(patches, x, generator):
    return (patches(x, generator=generator).rows == patches.fill).view(-1, 12, 8, 3)


def test_one_whole_rectangle_of_every_image_is_hidden(x, generator):
    hidden = hidden_of(Patches(0.25, 0.5, image_shape=(12, 8, 3)), x, generator)
    assert torch.equal(hidden[..., 0], hidden[..., 2])
    down, across = hidden[..., 0].any(dim=2), hidden[..., 0].any(dim=1)
    assert torch.equal(hidden[..., 0], down[:, :, None] & across[:, None, :])
    for line in (down, across):  # in one piece: it begins once and ends once
        assert (line.float().diff(dim=1).clamp_min(0).sum(dim=1) + line[:, 0].float() == 1).all()


def test_the_sides_are_fractions_of_the_images(x, generator):
    hidden = hidden_of(Patches(0.25, 0.5, image_shape=(12, 8, 3)), x, generator)[..., 0]
    heights, widths = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert set(heights.tolist()) == {3, 4, 5, 6} and set(widths.tolist()) == {2, 3, 4}


def test_every_pixel_is_hidden_in_some_image(x, generator):
    hidden = hidden_of(Patches(0.25, 0.5, image_shape=(12, 8, 3)), x, generator)
    assert hidden.any(dim=0).all() and not hidden.all(dim=0).any()


def test_more_rectangles_hide_more(x):
    one, four = (
        hidden_of(Patches(0.3, 0.3, count=n, image_shape=(12, 8, 3)), x, Generator().manual_seed(0))
        for n in (1, 4)
    )
    assert float(four.float().mean()) > 2 * float(one.float().mean())


@pytest.mark.parametrize("kind", [Patches(fill=-2.0, image_shape=(12, 8, 3)), Missing(0.4, -2.0)])
def test_hidden_values_are_set_to_the_fill(kind, x, generator):
    rows = kind(x, generator=generator).rows
    assert torch.equal(rows[rows != -2], x[rows != -2]) and (rows == -2).any()


def test_emphasis_weights_hidden_values(x, generator):
    corrupted = Patches(alpha=1.0, beta=0.1, image_shape=(12, 8, 3))(x, generator=generator)
    assert torch.equal(corrupted.weights, torch.where(corrupted.rows == 0, 1.0, 0.1))


def test_nan_is_encoded_as_the_fill(rows):
    holed = rows[:60].copy()
    holed[:, 3] = float("nan")
    ae = Autoencoder(2, hidden=(8,), corruption=Missing(0.2, 5.0), max_epochs=2, random_state=0)
    ae.fit(rows)
    scaled = ae.model_.scaling.forward(torch.from_numpy(holed))
    marked = torch.where(scaled.isnan(), 5.0, scaled)
    found = ae.model_.objective.encoder(marked).h.detach().numpy()
    torch.testing.assert_close(torch.from_numpy(ae.transform(holed)), torch.from_numpy(found))


def test_the_shape_of_the_source_completes_the_spec():
    spec = with_image_shape({"name": "patches", "low": 0.1}, (4, 5))
    assert spec["image_shape"] == [4, 5]
    assert piece_from_spec(CORRUPTIONS, spec, slot="corruption").image_shape == (4, 5)
    assert with_image_shape(Patches(image_shape=(2, 3)), (4, 5)).image_shape == (2, 3)
    assert with_image_shape({"name": "masking"}, (4, 5)) == {"name": "masking"}


def test_the_short_form_gives_the_fields_in_order():
    found = piece_from_spec(CORRUPTIONS, "patches:0.2,0.4,2", slot="corruption")
    assert found == Patches(0.2, 0.4, 2)


def test_rows_that_are_not_images_are_refused_with_the_way_out(X):
    with pytest.raises(UsageError, match=r"image_shape: needed .* Patches\(image_shape=\(28, 28\)"):
        Autoencoder(3, corruption=Patches(), max_epochs=1).fit(X)


def test_an_image_shape_of_another_size_is_refused(X):
    with pytest.raises(UsageError, match=r"image_shape \(3, 3\) does not hold 10 features"):
        Autoencoder(3, corruption=Patches(image_shape=(3, 3)), max_epochs=1).fit(X)


def test_sparse_rows_are_refused(generator):
    sparse = SparseRows(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), 4)
    with pytest.raises(UsageError, match="Patches: needs dense images, got sparse rows"):
        Patches(image_shape=(2, 2))(sparse, generator=generator)
    with pytest.raises(UsageError, match="Missing: fill: sparse rows need 0, got -1.0"):
        Missing(0.5, -1.0)(sparse, generator=generator)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Patches(0.6, 0.5), "Patches: low: must be a number > 0 and <= 0.5, got 0.6"),
        (lambda: Patches(0.5, 1.5), "Patches: high: must be a number > 0 and <= 1, got 1.5"),
        (lambda: Patches(count=0), "Patches: count: must be a number >= 1, got 0"),
        (lambda: Patches(image_shape=(28,)), r"image_shape: must be \(height, width\)"),
        (lambda: Patches(image_shape=(28, 0)), "image_shape: must be an integer >= 1, got 0"),
        (lambda: Missing(0.5, float("inf")), "Missing: fill: must be a number that is finite"),
    ],
)
def test_a_value_out_of_range_is_refused(build, message):
    with pytest.raises(UsageError, match=message):
        build()
