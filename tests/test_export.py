"""ONNX files: the same answers as the model's own, in one file, which says what it holds."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from test_contract import N_FEATURES, NEEDS
from torch import Generator

from narrows import (
    Autoencoder,
    CodeClassifier,
    CodeRegressor,
    DocumentAutoencoder,
    SemanticHasher,
    load,
)
from narrows.applications import coding, export
from narrows.applications.export import PARTS, export_onnx
from narrows.applications.onnx_operators import OPSET
from narrows.cli import _run
from narrows.cli.export import _PARTS
from narrows.data.scaling import SCALES, Scaling
from narrows.data.source import DenseSource
from narrows.errors import MissingExtra, NarrowsError, ResourceError, UsageError
from narrows.model import Model, Schema, build_objective
from narrows.variants import VARIANTS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")

WIDTH = 4


def answers(path: Path, rows: np.ndarray) -> np.ndarray:
    """What another program gets: no narrows, no torch."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (answer,) = session.run(None, {given.name: np.asarray(rows, dtype=np.float32)})
    return answer


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-5 of the largest number."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * max(1e-3, abs(expected).max()))


def scaling(kind: str) -> Scaling:
    draw = Generator().manual_seed(7)
    shift = torch.randn(N_FEATURES, generator=draw)
    scale = 0.1 + torch.rand(N_FEATURES, generator=draw)
    return {
        "none": Scaling("none"),
        "unit": Scaling("unit", scale=torch.tensor(255.0)),
        "center": Scaling("center", shift),
        "standard": Scaling("standard", shift, scale),
        "proportions": Scaling("proportions"),
        "tfidf": Scaling("tfidf", scale=scale),
    }[kind]


def model(variant: str, scale: str = "standard", loss: str = "squared_error", **more) -> Model:
    """A net of which no weight and no bias is 0, as after training."""
    parameters = {"n_components": WIDTH, "loss": loss, **NEEDS.get(variant, {}), **more}
    if variant not in ("linear", "dictionary"):
        parameters |= {"hidden": [8, 5]}
    objective = build_objective(variant, parameters, N_FEATURES).eval()
    draw = Generator().manual_seed(3)
    with torch.no_grad():
        for weight in objective.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=draw)
    return Model(variant, parameters, objective, scaling(scale), Schema(N_FEATURES))


def counts(n_rows: int, seed: int = 0) -> np.ndarray:
    """Whole numbers >= 0, in input units of every scaling; the first row is of zeros."""
    rows = np.random.default_rng(seed).poisson(2.0, (n_rows, N_FEATURES)).astype(np.float32)
    rows[0] = 0
    return rows


def own_answers(fitted: Model, part: str, rows: np.ndarray) -> np.ndarray:
    if part == "decoder":
        return np.concatenate(list(coding.decoded(fitted, rows)))
    of_rows = {"encoder": coding.codes, "reconstruct": coding.reconstructions}[part]
    return np.concatenate(list(of_rows(fitted, DenseSource(torch.from_numpy(rows)))))


@dataclass
class Exported:
    fitted: Model
    encoder: Path
    decoder: Path


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request, tmp_path_factory) -> Exported:
    """Both halves of a variant, each in a folder of its own."""
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
def test_the_encoder_answers_as_transform_does(exported, n_rows):
    rows = counts(n_rows + 1)[1:]
    assert_same(answers(exported.encoder, rows), own_answers(exported.fitted, "encoder", rows))


def test_the_encoder_answers_rows_of_zeros_as_transform_does(exported):
    rows = np.zeros((3, N_FEATURES), np.float32)
    assert_same(answers(exported.encoder, rows), own_answers(exported.fitted, "encoder", rows))


@pytest.mark.parametrize("n_rows", [1, 1000])
def test_the_decoder_answers_as_inverse_transform_does(exported, n_rows):
    h = np.random.default_rng(1).normal(size=(n_rows, WIDTH)).astype(np.float32)
    assert_same(answers(exported.decoder, h), own_answers(exported.fitted, "decoder", h))


def test_the_decoder_answers_a_code_of_zeros_as_inverse_transform_does(exported):
    h = np.zeros((2, WIDTH), np.float32)
    assert_same(answers(exported.decoder, h), own_answers(exported.fitted, "decoder", h))


def test_codes_of_the_encoders_file_are_for_the_decoders(exported):
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


def test_a_file_stands_alone_and_is_of_standard_operators(exported):
    for path in (exported.encoder, exported.decoder):
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        proto = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(proto, full_check=True)
        assert not any(value.external_data for value in proto.graph.initializer)
        assert [(o.domain, o.version) for o in proto.opset_import] == [("", OPSET)]
        assert not proto.functions


def test_a_file_says_whose_it_is(exported):
    said = {p.key: p.value for p in onnx.load(exported.encoder).metadata_props}
    fitted = exported.fitted
    assert said["variant"] == fitted.variant and said["part"] == "encoder"
    assert said["fingerprint"] == fitted.fingerprint()
    assert (int(said["n_features"]), int(said["n_components"])) == (N_FEATURES, WIDTH)
    assert said["narrows_version"]


def test_a_file_tells_nothing_of_the_machine(exported):
    data = exported.encoder.read_bytes()
    assert b".py" not in data and str(Path.home()).encode() not in data


@pytest.mark.parametrize("scale", SCALES)
def test_every_scaling_is_done_and_undone_in_the_graph(tmp_path, scale):
    fitted = model("plain", scale, "multinomial" if scale in ("proportions", "tfidf") else
                   "squared_error")  # fmt: skip
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    rows = counts(50)
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "reconstruct", rows))


@pytest.mark.parametrize("loss", ["bernoulli", "multinomial"])
def test_the_losss_link_is_in_the_decoder(tmp_path, loss):
    fitted = model("plain", "none", loss)
    export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    h = 5 * np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    said = answers(tmp_path / "m.onnx", h)
    assert_same(said, own_answers(fitted, "decoder", h))
    assert said.min() >= 0 and said.max() <= 1


def test_counts_far_below_1_keep_their_shares(tmp_path):
    """log(1 + x) of a small x is x, and not what 1 + x has rounded off."""
    fitted = model("document", "tfidf", "multinomial")
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = 1e-8 * (1 + counts(50))
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "encoder", rows))


def test_large_rows_have_shares_too(tmp_path):
    fitted = model("document", "proportions", "multinomial")
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = 3e38 * np.random.default_rng(0).random((20, N_FEATURES)).astype(np.float32)
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "encoder", rows))


def test_missing_values_are_read_where_the_model_admits_them(tmp_path):
    fitted = model("plain", corruption="missing")
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    rows = counts(50)
    rows[::3, 2] = np.nan
    assert_same(answers(tmp_path / "m.onnx", rows), own_answers(fitted, "reconstruct", rows))


def test_a_choice_out_of_many_vectors_is_the_models(tmp_path):
    """More entries and rows than torch compares one by one."""
    fitted = model("vector_quantised", n_groups=2, n_entries=40)
    export_onnx(fitted, tmp_path / "m.onnx")
    rows = counts(300)
    said = answers(tmp_path / "m.onnx", rows)
    assert_same(said, own_answers(fitted, "encoder", rows))
    assert len(np.unique(said, axis=0)) > 3


def test_thresholds_of_bits_are_in_the_graph(tmp_path):
    fitted = model("hashing")
    fitted.objective.encoder.thresholds.copy_(torch.tensor([1e3, -1e3, 0.2, -0.2]))
    export_onnx(fitted, tmp_path / "m.onnx")
    bits = answers(tmp_path / "m.onnx", counts(50))
    assert set(bits[:, 0]) == {-1} and set(bits[:, 1]) == {1}
    assert_same(bits, own_answers(fitted, "encoder", counts(50)))


def test_tied_weights_are_in_a_file_once(tmp_path):
    fitted = model("tied")
    export_onnx(fitted, tmp_path / "m.onnx", part="reconstruct")
    sizes = [np.prod(v.dims) for v in onnx.load(tmp_path / "m.onnx").graph.initializer]
    assert sizes.count(N_FEATURES * 8) == sizes.count(8 * 5) == 1


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in "ab":
        export_onnx(model("plain"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_export_leaves_the_model_as_it_was(tmp_path):
    fitted = model("variational")
    before = fitted.fingerprint(), own_answers(fitted, "encoder", counts(5))
    export_onnx(fitted, tmp_path / "m.onnx")
    assert fitted.fingerprint() == before[0]
    assert all(weight.requires_grad for weight in fitted.objective.parameters())
    np.testing.assert_array_equal(own_answers(fitted, "encoder", counts(5)), before[1])


def test_a_loaded_autoencoder_exports_what_it_transforms(digits, tmp_path):
    Autoencoder(5, hidden=(16,), max_epochs=2, random_state=0).fit(digits).save(tmp_path / "m")
    ae = load(tmp_path / "m")
    ae.export(tmp_path / "f.onnx")
    ae.export(tmp_path / "g.onnx", part="decoder")
    h = answers(tmp_path / "f.onnx", digits)
    assert_same(h, ae.transform(digits))
    assert_same(answers(tmp_path / "g.onnx", h), ae.inverse_transform(h))


def test_bytes_are_given_as_they_are(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8)
    ae = Autoencoder(3, hidden=(8,), max_epochs=2, random_state=0).fit(X)
    assert ae.model_.scaling.kind == "unit"
    ae.export(tmp_path / "m.onnx", part="reconstruct")
    said = answers(tmp_path / "m.onnx", X)
    assert_same(said, ae.reconstruct(X))
    assert said.max() > 1


TEXTS = ["strait water ship", "ship sails water", "bridge road car", "car road wheel"] * 5


@pytest.mark.parametrize("kind", [DocumentAutoencoder, SemanticHasher])
def test_texts_go_in_as_counts_of_the_words_that_the_file_names(tmp_path, kind):
    fitted = kind(3, hidden=(8,), max_epochs=3, random_state=0).fit(TEXTS)
    fitted.export(tmp_path / "m.onnx")
    said = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    words = json.loads(said["feature_names"])
    analyzer = fitted.vocabulary_.analyzer
    rows = np.array([[list(analyzer(text)).count(word) for word in words] for text in TEXTS])
    assert_same(answers(tmp_path / "m.onnx", rows), fitted.transform(TEXTS))


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_a_classifiers_file_gives_probabilities_of_its_classes(
    autoencoder, rows, classes, tmp_path, training
):
    head = CodeClassifier(autoencoder, training=training, max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx")
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))
    said = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(said["classes"]) == ["a", "b", "c"]


def test_a_head_on_an_inner_layer_reads_that_one(autoencoder, rows, classes, tmp_path):
    head = CodeClassifier(autoencoder, layer=0, hidden=(6,), max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx")
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))


def test_a_regressors_file_gives_y_in_its_own_units(autoencoder, rows, values, tmp_path):
    y = 1e7 + values  # in float32, such a y has no decimals
    head = CodeRegressor(autoencoder, max_epochs=5, random_state=0).fit(rows, y)
    head.export(tmp_path / "m.onnx")
    said = answers(tmp_path / "m.onnx", rows)
    assert said.dtype == np.float64 and said.shape == y.shape
    np.testing.assert_allclose(said, head.predict(rows), rtol=0, atol=1e-5 * y.std())


def test_a_heads_autoencoder_is_exported_by_part(autoencoder, rows, classes, tmp_path):
    head = CodeClassifier(autoencoder, training="fine_tuned", max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx", part="encoder")
    assert_same(answers(tmp_path / "m.onnx", rows), head.autoencoder_.transform(rows))
    assert "classes" not in {p.key for p in onnx.load(tmp_path / "m.onnx").metadata_props}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("encode", "part: unknown name 'encode'.*Did you mean 'encoder'"),
        ("head", "'head' is of a classifier or regressor on a code, and this is an autoencoder"),
    ],
)
def test_a_part_that_is_not_there_is_refused(fitted_model, tmp_path, part, message):
    with pytest.raises(UsageError, match=message):
        fitted_model.export(tmp_path / "m.onnx", part=part)
    assert not list(tmp_path.iterdir())


def test_weights_that_fit_in_no_file_of_onnx_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_LARGEST", 100)
    with pytest.raises(UsageError, match=r"'encoder' has [\d,]+ bytes of weights.*ends at 2 GiB"):
        export_onnx(model("plain"), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


class OneBatchOnly(torch.nn.Module):
    """Python's int of a batch is a constant in what is traced."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h.reshape(len(h), 2, 2).flatten(1).repeat(1, 3)


class ConvolutionalDecoder(torch.nn.Module):
    """A feature map that is doubled, channels last outside: 4 numbers to 2 x 2 pixels of 3."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 3, 4, 4, generator=Generator()))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        pixels = torch.conv_transpose2d(h[:, :, None, None], self.weight, stride=2, padding=1)
        return pixels.permute(0, 2, 3, 1).flatten(1)


def test_images_come_out_channels_last_as_rows(tmp_path):
    fitted = model("plain", "unit")
    fitted.objective.decoder = ConvolutionalDecoder()
    export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    h = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    assert_same(answers(tmp_path / "m.onnx", h), own_answers(fitted, "decoder", h))


def test_a_net_for_one_number_of_rows_is_not_written(tmp_path):
    fitted = model("plain")
    fitted.objective.decoder = OneBatchOnly()
    with pytest.raises(NarrowsError, match="'decoder' of 'plain' would take one number of rows"):
        export_onnx(fitted, tmp_path / "m.onnx", part="decoder")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_answered_with_the_line_that_installs_it(
    fitted_model, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package} is not .*pip install 'narrows\[onnx\]'"):
        fitted_model.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_stood_there_is_whole_when_export_fails(fitted_model, tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")

    def fail(*arguments, **more):
        raise onnx.checker.ValidationError("broken")

    monkeypatch.setattr(onnx.checker, "check_model", fail)
    with pytest.raises(onnx.checker.ValidationError):
        fitted_model.export(path)
    assert path.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_folder_that_is_not_there_is_named(fitted_model, tmp_path):
    with pytest.raises(ResourceError, match="no_such.*cannot be written"):
        fitted_model.export(tmp_path / "no_such" / "m.onnx")


def test_the_command_writes_the_part_that_is_asked_for(fitted_model, model_rows, tmp_path, capsys):
    fitted_model.save(tmp_path / "m")
    arguments = ["export", str(tmp_path / "m"), "-o", str(tmp_path / "g.onnx")]
    assert _run([*arguments, "--part", "decoder", "--json"]) == 0
    out, err = capsys.readouterr()
    size = (tmp_path / "g.onnx").stat().st_size
    assert json.loads(out) == {
        "output": str(tmp_path / "g.onnx"), "part": "decoder", "bytes": size,
    }  # fmt: skip
    assert err == ""
    h = fitted_model.transform(model_rows)
    assert_same(answers(tmp_path / "g.onnx", h), fitted_model.inverse_transform(h))


def test_the_command_takes_the_head_where_there_is_one(
    autoencoder, rows, classes, tmp_path, capsys
):
    head = CodeClassifier(autoencoder, max_epochs=5, random_state=0).fit(rows, classes)
    head.save(tmp_path / "m")
    assert _run(["export", str(tmp_path / "m"), "-o", str(tmp_path / "m.onnx")]) == 0
    assert "m.onnx: head, " in capsys.readouterr().out
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))


def test_the_command_does_not_overwrite_the_model(fitted_model, tmp_path, capsys):
    fitted_model.save(tmp_path / "m")
    assert _run(["export", str(tmp_path / "m"), "-o", str(tmp_path / "m")]) == 2
    assert "is the input" in capsys.readouterr().err
    load(tmp_path / "m")


def test_the_commands_parts_are_those_that_there_are():
    assert set(_PARTS) == {*PARTS, "head"}
