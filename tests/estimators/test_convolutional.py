"""Convolutional nets: layers, image shapes, files and arguments."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Generator
from torch.nn import functional as F

from narrows import ConvolutionalAutoencoder, load
from narrows.cli import run as cli
from narrows.core.convolution import Doubling, Halving, ResidualBlock, as_maps, as_rows, sides
from narrows.errors import ImageShapeWarning, InvalidData, ModelFileError, UsageError
from narrows.variants.building import build_objective

SMALL = {"channels": (4, 6), "max_epochs": 2, "random_state": 0}


def images(n: int = 40, shape: tuple[int, ...] = (9, 7, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 9, 1), (7, 1, 3), (2, 2, 1), (5, 8, 3), (17, 9, 2)]
)
@pytest.mark.parametrize("channels", [[3], [3, 4, 5, 6]])
@pytest.mark.parametrize("blocks", [0, 1])
def test_images_of_any_size_keep_their_size(shape, channels, blocks):
    n = int(np.prod(shape))
    parameters = {"n_components": 2, "image_shape": shape, "channels": channels, "blocks": blocks}
    objective = build_objective("convolutional", parameters, n)
    x = torch.rand(3, n)
    assert objective.reconstruct(x).shape == x.shape
    encoder = objective.encoder
    assert [layer.shape[1] for layer in encoder.layers(x)] == encoder.widths


def test_flat_rows_store_channels_last():
    x = torch.arange(24.0).view(1, 24)
    maps = as_maps(x, (2, 4, 3))
    assert maps[0, 1, 1, 2] == x[0, (1 * 4 + 2) * 3 + 1]
    assert torch.equal(as_rows(maps), x)


def test_halving_matches_the_definition_of_a_strided_convolution(generator: Generator):
    """Compare with a loop over 4 x 4 windows, two pixels apart, on the zero-padded image."""
    stage = Halving(2, 3, (5, 6), generator=generator)
    x = torch.rand(1, 2, 5, 6, generator=generator)
    framed = F.pad(x, (1, 1, 1, 2))
    out = stage(x)
    assert out.shape == (1, 3, 3, 3)
    for i in range(3):
        for j in range(3):
            window = framed[0, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            expected = (stage.weight * window).sum(dim=(1, 2, 3)) + stage.bias
            torch.testing.assert_close(out[0, :, i, j], expected)


def test_doubling_is_halving_transposed(generator: Generator):
    """<halve x, y> = <x, double y> if both use the same windows."""
    down, up = (
        Halving(2, 3, (5, 6), generator=generator),
        Doubling(3, 2, (5, 6), generator=generator),
    )
    with torch.no_grad():
        up.weight.copy_(down.weight)
    x, y = torch.rand(1, 2, 5, 6, generator=generator), torch.rand(1, 3, 3, 3, generator=generator)
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())


def test_a_residual_block_starts_as_the_identity(generator: Generator):
    x = torch.rand(2, 3, 4, 4, generator=generator)
    assert torch.equal(ResidualBlock(3, activate=torch.relu, generator=generator)(x), x)


def test_halved_sides_are_rounded_up():
    assert sides(5, 8, 3) == [(5, 8), (3, 4), (2, 2), (1, 1)]


def test_image_arrays_flat_rows_and_files_give_the_same_codes(tmp_path):
    from narrows import read

    x = images()
    np.save(tmp_path / "x.npy", x)
    as_array = ConvolutionalAutoencoder(2, **SMALL).fit(x)
    as_file = ConvolutionalAutoencoder(2, **SMALL).fit(read(tmp_path / "x.npy"))
    rows = ConvolutionalAutoencoder(2, **SMALL, image_shape=(9, 7, 3)).fit(x.reshape(40, -1))
    for other in (as_file, rows):
        np.testing.assert_array_equal(other.transform(x), as_array.transform(x))
    assert rows.image_shape_ == (9, 7, 3)
    assert rows.model_.schema.image_shape == (9, 7, 3)


@pytest.mark.parametrize(("n", "shape"), [(49, (7, 7, 1)), (75, (5, 5, 3))])
def test_the_shape_of_rows_is_guessed(n, shape):
    x = np.random.default_rng(0).random((20, n))
    assert ConvolutionalAutoencoder(2, **SMALL).fit(x).image_shape_ == shape


def test_non_square_rows_are_read_as_a_signal_with_a_warning():
    x = np.random.default_rng(0).random((20, 13))
    rule = (
        r"13 features do not make a square image .* \(--image-shape 1,13\) .* \(--variant plain\)"
    )
    with pytest.warns(ImageShapeWarning, match=rule):
        guessed = ConvolutionalAutoencoder(2, **SMALL).fit(x)
    named = ConvolutionalAutoencoder(2, **SMALL, image_shape=(1, 13)).fit(x)
    assert guessed.image_shape_ == named.image_shape_ == (1, 13, 1)
    np.testing.assert_array_equal(guessed.transform(x), named.transform(x))


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_before_the_pixels_are_refused(channels):
    x = np.random.default_rng(0).random((20, channels, 8, 6))
    rule = f"height {channels} with 6 channels; if the colors come first, .*"
    with pytest.raises(UsageError, match=rule):
        ConvolutionalAutoencoder(2, **SMALL).fit(x)
    for rows in (x, x.reshape(20, -1)):
        fitted = ConvolutionalAutoencoder(2, **SMALL, image_shape=(channels, 8, 6)).fit(rows)
        assert fitted.image_shape_ == (channels, 8, 6)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    assert ConvolutionalAutoencoder(2, **SMALL).fit(last).image_shape_ == (8, 6, channels)


def test_one_channel_before_the_pixels_causes_a_warning():
    x = np.random.default_rng(0).random((20, 1, 8, 6))
    with pytest.warns(ImageShapeWarning, match=r"one channel, give image_shape=\(8, 6\)"):
        ConvolutionalAutoencoder(2, **SMALL).fit(x)
    fitted = ConvolutionalAutoencoder(2, **SMALL, image_shape=(8, 6)).fit(x)
    flat = ConvolutionalAutoencoder(2, **SMALL, image_shape=(8, 6)).fit(x.reshape(20, -1))
    np.testing.assert_array_equal(fitted.transform(x), flat.transform(x))


def test_a_shape_in_another_order_than_that_of_the_images_is_refused():
    x = np.random.default_rng(0).random((20, 3, 8, 6))
    with pytest.raises(UsageError, match=r"image_shape: is \(8, 6, 3\), but X holds .*\(3, 8, 6\)"):
        ConvolutionalAutoencoder(2, **SMALL, image_shape=(8, 6, 3)).fit(x)
    fitted = ConvolutionalAutoencoder(2, **SMALL, image_shape=(8, 6, 3)).fit(x.reshape(20, -1))
    with pytest.raises(UsageError, match="image_shape: is"):
        fitted.transform(x)


@pytest.mark.parametrize(
    ("sides", "image_shape"),
    [
        ((6, 8), (8, 6)),
        ((1, 6, 8), (8, 6)),
        ((6, 8), (8, 6, 1)),
        ((3, 8, 6), (8, 6, 3)),
        ((6, 8, 3), (8, 6, 3)),
    ],
)
def test_the_advised_transpose_gives_the_requested_shape(sides, image_shape):
    x = np.random.default_rng(0).random((20, *sides))
    with pytest.raises(UsageError, match="leave image_shape out") as error:
        ConvolutionalAutoencoder(2, **SMALL, image_shape=image_shape).fit(x)
    found = re.search(r"X\.transpose\(([\d, ]+)\)", str(error.value))
    assert found
    axes = [int(axis) for axis in found[1].split(",")]
    turned = ConvolutionalAutoencoder(2, **SMALL, image_shape=image_shape).fit(x.transpose(axes))
    assert turned.image_shape_ == (*image_shape, 1)[:3]


def test_beta_makes_the_code_variational():
    x = images() > 127
    ae = ConvolutionalAutoencoder(2, **SMALL, beta=1.0).fit(x.astype(float))
    assert ae.model_.objective.encoder.stochastic
    assert ae.loss_unit_.startswith("nats")
    assert ae.sample(3, density="prior", random_state=0).shape == (3, 9, 7, 3)


def test_a_loaded_model_gives_the_same_reconstructions(tmp_path):
    x = images()
    ae = ConvolutionalAutoencoder(3, **SMALL, blocks=1, hidden=(5,)).fit(x)
    ae.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.reconstruct(x), ae.reconstruct(x))
    assert again.image_shape_ == (9, 7, 3)


@pytest.mark.parametrize(
    "change",
    [{"channels": [4]}, {"channels": [4, 10**9]}, {"channels": [4] * 2000}, {"blocks": 10**9},
     {"blocks": -1}, {"image_shape": [9, 7]}, {"image_shape": [9, 7, 3, 1]}, {"channels": []},
     {"image_shape": [-9, -7, 3]}],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_a_file_with_another_nets_weights_is_refused(change, tmp_path):
    from narrows.artefact import read_artefact, write_artefact

    ConvolutionalAutoencoder(3, **SMALL).fit(images()).save(tmp_path / "m.safetensors")
    artefact = read_artefact(tmp_path / "m.safetensors", kind="model")
    artefact.spec["parameters"] |= change
    write_artefact(tmp_path / "n.safetensors", artefact)
    with pytest.raises(ModelFileError):
        load(tmp_path / "n.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ()}, "channels: must have at least one stage"),
        ({"channels": (0,)}, "channels: must be"),
        ({"channels": "32"}, "channels: must be a sequence"),
        ({"blocks": -1}, "blocks: must be"),
        ({"image_shape": (9, 7)}, r"image_shape: must be .* with a product of 189"),
        ({"beta": -1.0}, "beta: must be"),
        ({"beta": 1.0, "code_activation": "sigmoid"}, "code_activation: a variational code"),
    ],
)
def test_invalid_arguments_are_named(change, message):
    with pytest.raises(UsageError, match=message):
        ConvolutionalAutoencoder(2, **{**SMALL, **change}).fit(images())


def test_images_of_another_size_are_refused():
    ae = ConvolutionalAutoencoder(2, **SMALL).fit(images())
    with pytest.raises(InvalidData, match="9 x 8 x 3, the model was fitted to 9 x 7 x 3"):
        ae.transform(images(shape=(9, 8, 3)))


def test_the_command_line_fits_convolutional_nets(tmp_path):
    np.save(tmp_path / "x.npy", images())
    for variant, beta in (("plain", None), ("denoising", None), ("variational", "auto")):
        command = ["fit", tmp_path / "x.npy", "--net", "conv", "--variant", variant, "--channels",
                   "4,6", "--code", 2, "--epochs", 1, "-q", "-o", tmp_path / "m"]  # fmt: skip
        assert cli([str(part) for part in command]) == 0
        ae = load(tmp_path / "m")
        assert ae.model_.variant == "convolutional" and ae.beta == beta
        (tmp_path / "m").unlink()


def test_the_command_line_refuses_variants_without_a_convolutional_net(tmp_path, capsys):
    np.save(tmp_path / "x.npy", images())
    command = [
        "fit",
        tmp_path / "x.npy",
        "--net",
        "conv",
        "--variant",
        "linear",
        "-o",
        tmp_path / "m",
    ]
    assert cli([str(part) for part in command]) == 2
    message = "--net conv: works with --variant convolutional, denoising, plain, variational"
    assert message in capsys.readouterr().err
