"""ONNX files: the same results as the model, in one file with metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import N_FEATURES, WIDTH, answers, assert_same, counts, model, own_answers
from torch import Generator

from narrows.catalog import VARIANTS
from narrows.data.scaling import SCALES
from narrows.errors import NarrowsError, UsageError
from narrows.export.onnx import FORMAT, OPSET, export_onnx
from narrows.model.model import Model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("operators_listed_once")


@dataclass
class Exported:
    fitted: Model
    encoder: Path
    decoder: Path


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request, tmp_path_factory) -> Exported:
    """Encoder and decoder of a variant, each in its own folder."""
    variant, counted = request.param, request.param in ("document", "hashing")
    fitted = model(
        variant, *(("tfidf", "multinomial") if counted else ()),
        **({"bag_of_words": True} if variant == "hashing" else {}),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp(variant)
    made = Exported(fitted, folder / "f" / "encoder.onnx", folder / "g" / "decoder.onnx")
    for path, part in ((made.encoder, "encoder"), (made.decoder, "decoder")):
        path.parent.mkdir()
        export_onnx(fitted, path, part=part)
    return made


@pytest.mark.parametrize("n_rows", [1, 1000])
def test_the_encoder_matches_transform(exported, n_rows):
    rows = counts(n_rows + 1)[1:]
    assert_same(answers(exported.encoder, rows), own_answers(exported.fitted, "encoder", rows))


def test_the_encoder_matches_transform_for_rows_of_zeros(exported):
    rows = np.zeros((3, N_FEATURES), np.float32)
    assert_same(answers(exported.encoder, rows), own_answers(exported.fitted, "encoder", rows))


@pytest.mark.parametrize("n_rows", [1, 1000])
def test_the_decoder_matches_inverse_transform(exported, n_rows):
    h = np.random.default_rng(1).normal(size=(n_rows, WIDTH)).astype(np.float32)
    assert_same(answers(exported.decoder, h), own_answers(exported.fitted, "decoder", h))


def test_the_decoder_matches_inverse_transform_for_a_code_of_zeros(exported):
    h = np.zeros((2, WIDTH), np.float32)
    assert_same(answers(exported.decoder, h), own_answers(exported.fitted, "decoder", h))


def test_codes_of_the_exported_encoder_fit_the_exported_decoder(exported):
    rows = counts(20)
    h = answers(exported.encoder, rows)
    assert_same(answers(exported.decoder, h), own_answers(exported.fitted, "decoder", h))


def test_inputs_and_outputs_have_names_and_any_number_of_rows(exported):
    for path, given, gives in (
        (exported.encoder, ("x", N_FEATURES), ("code", WIDTH)),
        (exported.decoder, ("code", WIDTH), ("x", N_FEATURES)),
    ):
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for (name, width), (value,) in ((given, session.get_inputs()),
                                        (gives, session.get_outputs())):  # fmt: skip
            assert (value.name, value.shape, value.type) == (
                name, ["batch", width], "tensor(float)",
            )  # fmt: skip


def test_a_file_is_self_contained_with_standard_operators(exported):
    for path in (exported.encoder, exported.decoder):
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        proto = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(proto, full_check=True)
        assert not any(value.external_data for value in proto.graph.initializer)
        assert [(o.domain, o.version) for o in proto.opset_import] == [("", OPSET)]
        assert proto.ir_version == FORMAT
        assert not proto.functions


def test_a_file_has_the_metadata_of_its_model(exported):
    metadata = {p.key: p.value for p in onnx.load(exported.encoder).metadata_props}
    fitted = exported.fitted
    assert metadata["variant"] == fitted.variant and metadata["part"] == "encoder"
    assert metadata["fingerprint"] == fitted.fingerprint()
    assert (int(metadata["n_features"]), int(metadata["n_components"])) == (N_FEATURES, WIDTH)
    assert metadata["narrows_version"]


def test_a_file_does_not_name_the_machine(exported):
    data = exported.encoder.read_bytes()
    assert b".py" not in data and str(Path.home()).encode() not in data


@pytest.mark.parametrize("scale", SCALES)
def test_every_scaling_and_its_inverse_are_in_the_graph(tmp_path, scale):
    fitted = model("plain", scale, "multinomial" if scale in ("proportions", "tfidf") else
                   "squared_error")  # fmt: skip
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    rows = counts(50)
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "reconstruct", rows))


@pytest.mark.parametrize("loss", ["bernoulli", "multinomial"])
def test_the_link_of_the_loss_is_in_the_decoder(tmp_path, loss):
    fitted = model("plain", "none", loss)
    export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    h = 5 * np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    outputs = answers(tmp_path / "m.onnx", h)
    assert_same(outputs, own_answers(fitted, "decoder", h))
    assert outputs.min() >= 0 and outputs.max() <= 1


def test_counts_far_below_1_keep_their_proportions(tmp_path):
    """log(1 + x) of a small x is x, and not what 1 + x has rounded off."""
    fitted = model("document", "tfidf", "multinomial")
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = 1e-8 * (1 + counts(50))
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "encoder", rows))


def test_large_rows_have_finite_proportions(tmp_path):
    fitted = model("document", "proportions", "multinomial")
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = 3e38 * np.random.default_rng(0).random((20, N_FEATURES)).astype(np.float32)
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "encoder", rows))


def test_missing_values_are_allowed_if_the_model_admits_them(tmp_path):
    fitted = model("plain", corruption="missing")
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    rows = counts(50)
    rows[::3, 2] = np.nan
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "reconstruct", rows))


def test_the_nearest_of_many_vectors_matches_the_models(tmp_path):
    """More entries and rows than torch compares directly."""
    fitted = model("vector_quantized", n_groups=2, n_entries=40)
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = counts(300)
    outputs = answers(tmp_path / "m.onnx", rows)
    assert_same(outputs, own_answers(fitted, "encoder", rows))
    assert len(np.unique(outputs, axis=0)) > 3


def test_thresholds_of_bits_are_in_the_graph(tmp_path):
    fitted = model("hashing")
    fitted.objective.encoder.thresholds.copy_(torch.tensor([1e3, -1e3, 0.2, -0.2]))
    export_onnx(fitted, tmp_path / "m.onnx")
    bits = answers(tmp_path / "m.onnx", counts(50))
    assert set(bits[:, 0]) == {-1} and set(bits[:, 1]) == {1}
    assert_same(bits, own_answers(fitted, "encoder", counts(50)))


def test_tied_weights_are_stored_once(tmp_path):
    fitted = model("tied")
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    sizes = [np.prod(v.dims) for v in onnx.load(tmp_path / "m.onnx").graph.initializer]
    assert sizes.count(N_FEATURES * 8) == sizes.count(8 * 5) == 1


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        export_onnx(model("plain"), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"m\.pt: exports are written as \.onnx"):
        export_onnx(model("plain"), tmp_path / "m.pt")


def test_an_export_does_not_change_the_model(tmp_path):
    fitted = model("variational")
    before = fitted.fingerprint(), own_answers(fitted, "encoder", counts(5))
    export_onnx(fitted, tmp_path / "m.onnx")
    assert fitted.fingerprint() == before[0]
    assert all(weight.requires_grad for weight in fitted.objective.parameters())
    np.testing.assert_array_equal(own_answers(fitted, "encoder", counts(5)), before[1])


class OneBatchOnly(torch.nn.Module):
    """Tracing turns a Python int of the batch size into a constant."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h.reshape(len(h), 2, 2).flatten(1).repeat(1, 3)


class ConvolutionalDecoder(torch.nn.Module):
    """A decoder from 4 numbers to 2 x 2 pixels of 3 channels, with channels last in its output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 3, 4, 4, generator=Generator()))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        pixels = torch.conv_transpose2d(h[:, :, None, None], self.weight, stride=2, padding=1)
        return pixels.permute(0, 2, 3, 1).flatten(1)


def test_image_outputs_are_rows_with_channels_last(tmp_path):
    fitted = model("plain", "unit")
    fitted.objective.decoder = ConvolutionalDecoder()
    export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    h = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    assert_same(answers(tmp_path / "m.onnx", h), own_answers(fitted, "decoder", h))


def test_a_net_for_a_fixed_number_of_rows_is_refused(tmp_path):
    fitted = model("plain")
    fitted.objective.decoder = OneBatchOnly()
    with pytest.raises(NarrowsError, match="'decoder' of 'plain' would take one number of rows"):
        export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    assert not list(tmp_path.iterdir())
