"""The model file: nothing is lost, nothing tampered with is read, nothing in it runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch

from narrows import Autoencoder, LinearAutoencoder, load
from narrows.artefact import Artefact, _parse, _to_bytes, read_artefact, write_artefact
from narrows.errors import ModelFileError, ResourceError

KILLS = int(os.environ.get("NARROWS_KILLS", "20"))
BLANK = "0" * 64

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def small(**changes: Any) -> Autoencoder:
    arguments = {"n_components": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}
    return Autoencoder(**{**arguments, **changes})


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 5))


@pytest.fixture(scope="module")
def fitted(x: np.ndarray) -> Autoencoder:
    return small().fit(x)


@pytest.fixture(scope="module")
def model_bytes(fitted: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    fitted.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def plain_artefact(value: float = 1.0, size: int = 2) -> Artefact:
    return Artefact("model", {"value": value}, {"w": torch.full((size,), value)})


def take_apart(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the header without its metadata, the metadata, and the tensors' bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    return header, json.loads(header.pop("__metadata__")["narrows"]), data[end:]


def seal(header: bytes, payload: bytes) -> bytes:
    """Return a file of this header with the digest that fits it: tampering that knows how."""
    data = len(header).to_bytes(8, "little") + header + payload
    return data.replace(BLANK.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def put_together(header: dict[str, Any], body: dict[str, Any] | str, payload: bytes) -> bytes:
    if not isinstance(body, str):
        body = json.dumps({**body, "sha256": BLANK})
    return seal(json.dumps({"__metadata__": {"narrows": body}, **header}).encode(), payload)


def minimal(header: dict[str, Any], payload: bytes, **changes: Any) -> bytes:
    """Return a sealed file of any header, around a spec that is sound."""
    return put_together(
        header, {"kind": "model", "format_version": 1, "spec": {}, **changes}, payload
    )


def with_spec(data: bytes, change: Any) -> bytes:
    """Return the sealed file after ``change(spec)``."""
    header, body, payload = take_apart(data)
    body = deepcopy(body)
    change(body["spec"])
    return put_together(header, body, payload)


def refused(data: bytes) -> bool:
    """Whether the bytes are refused by the error that says so; any other error is a failure."""
    try:
        _parse(data, "model")
    except ModelFileError:
        return True
    return False


# There and back


@pytest.mark.parametrize("tied", [False, True])
def test_a_loaded_model_encodes_to_the_bit(x: np.ndarray, path: Path, tied: bool) -> None:
    model = small(tied=tied).fit(x)
    model.save(path)
    np.testing.assert_array_equal(load(path).transform(x), model.transform(x))


def test_a_loaded_model_decodes_to_the_bit(fitted: Autoencoder, x: np.ndarray, path: Path) -> None:
    fitted.save(path)
    np.testing.assert_array_equal(load(path).reconstruct(x), fitted.reconstruct(x))


def test_a_loaded_model_keeps_its_arguments(fitted: Autoencoder, path: Path) -> None:
    fitted.save(path)
    assert load(path).get_params() == {**fitted.get_params(), "penalties": []}


def test_a_loaded_model_keeps_its_history(fitted: Autoencoder, path: Path) -> None:
    fitted.save(path)
    assert load(path).history_ == fitted.history_


def test_a_loaded_linear_model_keeps_its_certificate(x: np.ndarray, path: Path) -> None:
    model = LinearAutoencoder(n_components=2, max_epochs=5, random_state=0).fit(x)
    model.save(path)
    np.testing.assert_array_equal(load(path).components_, model.components_)


def test_a_loaded_model_can_be_saved_again_to_the_same_bytes(
    model_bytes: bytes, path: Path
) -> None:
    path.write_bytes(model_bytes)
    load(path).save(path)
    assert path.read_bytes() == model_bytes


def test_saving_twice_gives_the_same_bytes(
    fitted: Autoencoder, model_bytes: bytes, path: Path
) -> None:
    fitted.save(path)
    assert path.read_bytes() == model_bytes


@pytest.mark.parametrize("name", ["[{}, 10)", '"{}', "\\{}", "]{}", "\U0001f600{}", '"sha256": {}'])
def test_any_column_names_survive(path: Path, name: str) -> None:
    table = np.random.default_rng(0).normal(size=(20, 40))
    frame = pd.DataFrame(table, columns=[name.format(i) for i in range(40)])
    small().fit(frame).save(path)
    assert list(load(path).feature_names_in_) == list(frame.columns)


def test_every_dtype_that_is_written_is_read() -> None:
    kinds = [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    tensors = {str(kind): torch.tensor([[0, 1], [1, 0]]).to(kind) for kind in kinds}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 5)}
    back = _parse(_to_bytes(Artefact("model", {}, tensors)), "model").tensors
    assert all(
        torch.equal(back[k], v) and back[k].dtype == v.dtype and back[k].shape == v.shape
        for k, v in tensors.items()
    )


def test_the_resealing_helper_makes_files_that_are_read(model_bytes: bytes) -> None:
    """Without this, the refusals below could be due to a wrong digest."""
    _parse(put_together(*take_apart(model_bytes)), "model")


# What a file holds


def test_tied_weights_are_stored_once(x: np.ndarray, path: Path) -> None:
    small(tied=True).fit(x).save(path)
    names = [name for name in take_apart(path.read_bytes())[0] if name.startswith("net.")]
    assert sorted(name for name in names if "weights" in name) == [
        "net.encoder.weights.0",
        "net.encoder.weights.1",
    ]


def test_training_data_are_not_inside(x: np.ndarray, model_bytes: bytes) -> None:
    pairs = [row[i : i + 2].astype(kind) for row in x for i in (0, 2) for kind in ("f4", "f8")]
    assert not any(pair.tobytes() in model_bytes for pair in pairs)


def test_the_size_does_not_grow_with_the_rows(x: np.ndarray, path: Path) -> None:
    sizes = []
    for rows in (x, np.concatenate([x] * 20)):
        small().fit(rows).save(path)
        sizes.append(len(take_apart(path.read_bytes())[2]))
    assert sizes[0] == sizes[1]


# Damage


def test_any_of_300_random_bit_flips_is_refused(model_bytes: bytes) -> None:
    rng = np.random.default_rng(1)
    for at, bit in zip(rng.integers(len(model_bytes), size=300), rng.integers(8, size=300)):  # noqa: B905 -- equal lengths
        data = bytearray(model_bytes)
        data[at] ^= 1 << bit
        assert refused(bytes(data)), (at, bit)


def test_any_of_300_random_other_bytes_is_refused(model_bytes: bytes) -> None:
    rng = np.random.default_rng(2)
    for at in rng.integers(len(model_bytes), size=300):
        data = bytearray(model_bytes)
        data[at] = (data[at] + rng.integers(1, 256)) % 256
        assert refused(bytes(data)), at


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_flip_in_the_header_is_refused(bit: int) -> None:
    sound = _to_bytes(Artefact("model", {"names": ["\U0001f600", "[é"]}, {"w": torch.ones(2)}))
    for at in range(len(sound)):
        data = bytearray(sound)
        data[at] ^= 1 << bit
        assert refused(bytes(data)), at


def test_truncation_anywhere_is_refused(model_bytes: bytes) -> None:
    size = len(model_bytes)
    cuts = {*range(0, size, 37), *range(12), *range(size - 12, size)}
    assert all(refused(model_bytes[:cut]) for cut in cuts)


@pytest.mark.parametrize("more", [b"\0", b"\n", b"more", b"\0" * 4096])
def test_appended_bytes_are_refused(model_bytes: bytes, more: bytes) -> None:
    with pytest.raises(ModelFileError, match="truncated or appended to"):
        _parse(model_bytes + more, "model")


def test_a_flipped_weight_names_the_digest(model_bytes: bytes) -> None:
    data = bytearray(model_bytes)
    data[-1] ^= 1
    with pytest.raises(ModelFileError, match="does not match its SHA-256; restore a copy"):
        _parse(bytes(data), "model")


def test_the_error_names_the_file(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(model_bytes[:-1])
    with pytest.raises(ModelFileError, match=r"m\.safetensors: .* bytes of tensors"):
        load(path)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
def test_a_stub_is_refused(size: int) -> None:
    with pytest.raises(ModelFileError, match="too short to be a model file"):
        _parse(b"\0" * size, "model")


# Tampering, with a digest that fits


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 1 << 26])
def test_a_huge_header_is_refused(model_bytes: bytes, length: int) -> None:
    with pytest.raises(ModelFileError, match=f"claims a header of {length} bytes"):
        _parse(length.to_bytes(8, "little") + model_bytes[8:], "model")


def test_a_foreign_safetensors_file_is_refused(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(ModelFileError, match="not a Narrows model: the metadata lack the key"):
        load(path)


@pytest.mark.parametrize("version", [2, 10**9])
def test_a_future_format_is_refused(version: int) -> None:
    with pytest.raises(ModelFileError, match=f"written in format {version}, this Narrows reads up"):
        _parse(minimal({"w": F32}, bytes(8), format_version=version), "model")


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None, [1]])
def test_a_format_that_is_none_is_refused(version: Any) -> None:
    with pytest.raises(ModelFileError, match="format_version .* is none"):
        _parse(minimal({"w": F32}, bytes(8), format_version=version), "model")


def test_a_checkpoint_is_no_model(path: Path) -> None:
    write_artefact(path, Artefact("checkpoint", {}, {}))
    with pytest.raises(ModelFileError, match="holds a 'checkpoint', not a 'model'"):
        load(path)


@pytest.mark.parametrize("kind", [None, 1, ["model"], "Model"])
def test_another_kind_is_refused(kind: Any) -> None:
    with pytest.raises(ModelFileError, match="holds a .*, not a 'model'"):
        _parse(minimal({}, b"", kind=kind), "model")


@pytest.mark.parametrize("spec", [None, 1, [], "spec"])
def test_a_spec_that_is_no_object_is_refused(spec: Any) -> None:
    with pytest.raises(ModelFileError, match="the spec is missing"):
        _parse(minimal({}, b"", spec=spec), "model")


@pytest.mark.parametrize("digest", ["", "f" * 64, "\ud800" * 64, BLANK + BLANK, None, 5, [BLANK]])
def test_a_digest_that_is_none_is_refused(digest: Any) -> None:
    body = json.dumps({"kind": "model", "format_version": 1, "sha256": digest, "spec": {}})
    header = json.dumps({"__metadata__": {"narrows": body}}).encode()
    with pytest.raises(ModelFileError, match="the digest is missing|does not match"):
        _parse(len(header).to_bytes(8, "little") + header, "model")


def test_two_places_for_a_digest_are_refused() -> None:
    body = f'{{"spec": {{"sha256": "{"f" * 64}"}}, "format_version": 1, "sha256": "{"f" * 64}"}}'
    with pytest.raises(ModelFileError, match="the digest is missing"):
        _parse(put_together({}, body, b""), "model")


@pytest.mark.parametrize("opening", ["[", '{"a":', '["]", ['])
def test_deep_nesting_of_the_metadata_is_refused(opening: str) -> None:
    body = json.dumps({"kind": "model", "format_version": 1, "sha256": BLANK, "spec": {}})
    with pytest.raises(ModelFileError, match="the metadata is nested too deep"):
        _parse(put_together({}, body[:-2] + f'"deep": {opening * 100_000}', b""), "model")


def test_deep_nesting_of_the_header_is_refused() -> None:
    with pytest.raises(ModelFileError, match="the header is nested too deep"):
        _parse(seal(b'{"a":' * 100_000, b""), "model")


def test_closing_brackets_in_names_do_not_hide_deep_nesting() -> None:
    text = '{"x": "' + "]" * 1000 + '", "y": ' + "[" * 500 + "]" * 500 + "}"
    with pytest.raises(ModelFileError, match="the metadata is nested too deep"):
        _parse(put_together({}, text, b""), "model")


def test_an_unclosed_string_is_refused_in_linear_time() -> None:
    with pytest.raises(ModelFileError, match="the header is no valid JSON"):
        _parse(seal(b'{"a": "' + b'\\"[' * 1_000_000, b""), "model")


def test_duplicate_keys_of_the_header_are_refused() -> None:
    entry = json.dumps(F32)
    header = f'{{"w": {entry}, "w": {entry}}}'.encode()
    with pytest.raises(ModelFileError, match="the header is no valid JSON: a key stands twice"):
        _parse(seal(header, bytes(8)), "model")


def test_duplicate_keys_of_the_metadata_are_refused() -> None:
    body = f'{{"kind": "model", "kind": "model", "sha256": "{BLANK}", "format_version": 1}}'
    with pytest.raises(ModelFileError, match="the metadata is no valid JSON: a key stands twice"):
        _parse(put_together({}, body, b""), "model")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1" * 5000, "01", "'a'"])
def test_values_that_are_no_json_are_refused(value: str) -> None:
    body = f'{{"sha256": "{BLANK}", "format_version": 1, "spec": {{"a": {value}}}}}'
    with pytest.raises(ModelFileError, match="the metadata is no valid JSON"):
        _parse(put_together({}, body, b""), "model")


def test_a_lone_surrogate_in_the_metadata_is_refused() -> None:
    header = b'{"__metadata__": {"narrows": "\\ud800"}}'
    with pytest.raises(ModelFileError, match="the metadata is no valid JSON"):
        _parse(seal(header, b""), "model")


@pytest.mark.parametrize("metadata", [None, [], {}, {"narrows": {}}, {"narrows": None}])
def test_other_metadata_are_refused(metadata: Any) -> None:
    with pytest.raises(ModelFileError, match="the metadata lack the key 'narrows'"):
        _parse(seal(json.dumps({"__metadata__": metadata}).encode(), b""), "model")


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [3]},
        {"shape": [-2]},
        {"shape": [-1, -2]},
        {"shape": [2**62]},
        {"shape": [2.0]},
        {"shape": [True, 2]},
        {"shape": ["2"]},
        {"shape": "2"},
        {"shape": 2},
        {"shape": None},
        {"shape": [1] * 9 + [2]},
        {"shape": [10**4000] * 100},
        {"dtype": "F16"},
        {"dtype": "F64"},
        {"dtype": ["F32"]},
        {"dtype": None},
        {"data_offsets": [0, 4]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [0, 8, 8]},
        {"data_offsets": [0]},
        {"data_offsets": [0, 2**63]},
        {"data_offsets": [0.0, 8.0]},
    ],
    ids=lambda change: str(change)[:40],
)
def test_an_impossible_tensor_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="impossible shape, dtype or place"):
        _parse(minimal({"w": {**F32, **change}}, bytes(8)), "model")


@pytest.mark.parametrize("entry", [None, 1, [], "w", {}])
def test_an_entry_that_is_no_tensor_is_refused(entry: Any) -> None:
    with pytest.raises(ModelFileError, match="impossible shape, dtype or place"):
        _parse(minimal({"w": entry}, b""), "model")


@pytest.mark.parametrize("shape", [[0, 2**62], [0, 2**62, 2**62], [2**70, 0], [0] * 10_000])
def test_an_empty_tensor_of_a_huge_shape_is_refused(shape: list[int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    with pytest.raises(ModelFileError, match="impossible shape, dtype or place"):
        _parse(minimal({"w": entry}, b""), "model")


@pytest.mark.parametrize("spans", [[(0, 8), (4, 12)], [(0, 8), (0, 8)], [(0, 8), (12, 20)]])
def test_overlaps_and_holes_are_refused(spans: list[tuple[int, int]]) -> None:
    header = {str(i): {**F32, "data_offsets": span} for i, span in enumerate(spans)}
    with pytest.raises(ModelFileError, match="overlap or leave holes"):
        _parse(minimal(header, bytes(20)), "model")


def test_a_hole_at_the_end_is_refused() -> None:
    with pytest.raises(ModelFileError, match="12 bytes of tensors, 8 expected"):
        _parse(minimal({"w": F32}, bytes(12)), "model")


def test_a_hundred_thousand_tensors_are_refused() -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    with pytest.raises(ModelFileError, match="100000 tensors, at most 10000 are read"):
        _parse(minimal({str(i): entry for i in range(100_000)}, b""), "model")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_not_read(value: float) -> None:
    payload = np.array([0, value], dtype=np.float32).tobytes()
    with pytest.raises(ModelFileError, match="tensor 'w' is not finite"):
        _parse(minimal({"w": F32}, payload), "model")


# Models whose parts do not fit, with a digest that fits


def set_in(*keys: str, to: Any) -> Any:
    def change(spec: dict[str, Any]) -> None:
        for key in keys[:-1]:
            spec = spec[key]
        spec[keys[-1]] = to

    return change


def test_an_unknown_estimator_is_refused(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(with_spec(model_bytes, set_in("estimator", to="Nope")))
    with pytest.raises(ModelFileError, match="unknown estimator 'Nope'"):
        load(path)


def test_an_unknown_variant_is_refused(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(with_spec(model_bytes, set_in("variant", to="nope")))
    with pytest.raises(ModelFileError, match="variant: unknown name 'nope'; choose from"):
        load(path)


@pytest.mark.parametrize("width", [-1, 0, 2**40, 2**63, 10**30, 2.0, "2", True, None, [2], 1e300])
@pytest.mark.parametrize("name", ["n_components", "n_features", "hidden"])
def test_impossible_widths_are_refused(
    model_bytes: bytes, path: Path, name: str, width: Any
) -> None:
    keys = ("schema", name) if name == "n_features" else ("parameters", name)
    value = [width] if name == "hidden" else width
    path.write_bytes(with_spec(model_bytes, set_in(*keys, to=value)))
    with pytest.raises(ModelFileError, match="the model cannot be rebuilt: hidden"):
        load(path)


def test_a_hundred_thousand_layers_are_refused(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(with_spec(model_bytes, set_in("parameters", "hidden", to=[1] * 100_000)))
    with pytest.raises(ModelFileError, match="hidden: 100000 layers, at most 998 are built"):
        load(path)


def test_widths_that_are_not_those_of_the_weights_are_refused(
    model_bytes: bytes, path: Path
) -> None:
    path.write_bytes(with_spec(model_bytes, set_in("parameters", "n_components", to=3)))
    with pytest.raises(ModelFileError, match="the weights are not those of the variant"):
        load(path)


@pytest.mark.parametrize(
    "keys, value",
    [
        (("estimator",), ["Autoencoder"]),
        (("variant",), ["plain"]),
        (("parameters",), "plain"),
        (("parameters",), None),
        (("parameters", "loss"), 5),
        (("parameters", "loss"), {"name": "nope"}),
        (("parameters", "loss"), {"name": "squared_error", "link": "nope"}),
        (("parameters", "corruption"), {"name": "masking", "rate": 2}),
        (("parameters", "penalties"), 5),
        (("parameters", "activation"), "__import__"),
        (("parameters", "generator"), 0),
        (("parameters", "nope"), 0),
        (("schema",), None),
        (("schema", "nope"), 1),
        (("schema", "names"), ["a", "b"]),
        (("schema", "image_shape"), 5),
        (("scaling",), "nope"),
        (("scaling",), {}),
        (("baseline",), None),
        (("record",), None),
        (("record", "epochs"), [{}]),
        (("record", "epochs"), 5),
        (("arguments",), None),
        (("arguments",), {"nope": 1}),
        (("arguments", "hidden"), 5),
        (("named",), {}),
    ],
    ids=str,
)
def test_a_spec_of_the_wrong_form_gives_no_other_error(
    model_bytes: bytes, path: Path, keys: tuple[str, ...], value: Any
) -> None:
    path.write_bytes(with_spec(model_bytes, set_in(*keys, to=value)))
    try:
        load(path)
    except ModelFileError:
        return
    assert keys in [("baseline",), ("named",)]  # what a model can be without


@pytest.mark.parametrize(
    "key",
    ["estimator", "variant", "parameters", "schema", "scaling", "baseline", "record", "arguments"],
)
def test_a_spec_without_one_of_its_keys_is_refused(
    model_bytes: bytes, path: Path, key: str
) -> None:
    path.write_bytes(with_spec(model_bytes, lambda spec: spec.pop(key)))
    with pytest.raises(ModelFileError, match="unknown estimator None|cannot be rebuilt"):
        load(path)


@pytest.mark.parametrize("prefix", ["net.", "scaling.", "baseline."])
def test_a_tensor_of_another_name_is_refused(model_bytes: bytes, path: Path, prefix: str) -> None:
    header, body, payload = take_apart(model_bytes)
    name = next(name for name in header if name.startswith(prefix))
    header[prefix + "nope"] = header.pop(name)
    path.write_bytes(put_together(header, body, payload))
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(path)


def test_weights_of_another_dtype_are_refused(model_bytes: bytes, path: Path) -> None:
    artefact = _parse(model_bytes, "model")
    artefact.tensors["net.encoder.weights.0"] = artefact.tensors["net.encoder.weights.0"].double()
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="the weights are not those of the variant"):
        load(path)


# Other people's files under our name


class Trap:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    "dump",
    [
        lambda trap, path: path.write_bytes(pickle.dumps(trap)),
        lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=0)),
        lambda trap, path: torch.save(trap, path),
        lambda trap, path: torch.save({"w": trap}, path, _use_new_zipfile_serialization=False),
        lambda trap, path: joblib.dump(trap, path),
        lambda trap, path: np.save(path.open("wb"), np.array([trap], dtype=object)),
        lambda trap, path: path.write_bytes(minimal({}, b"")[:8] + pickle.dumps(trap) * 20),
    ],
    ids=["pickle", "pickle0", "torch", "torch-old", "joblib", "numpy", "behind-a-length"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_pickle_under_our_name_is_refused_and_does_not_run(
    tmp_path: Path, path: Path, dump: Any
) -> None:
    mark = tmp_path / "ran"
    dump(Trap(mark), path)
    with pytest.raises(ModelFileError):
        load(path)
    assert not mark.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"m\.safetensors"):
        load(path)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        load(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ModelFileError, match="not a regular file"):
        load(path)


def test_a_huge_foreign_file_is_not_read(path: Path) -> None:
    path.write_bytes(b"PAR1PAR1")
    os.truncate(path, 1 << 42)  # a hole: it takes no room, and would take all memory
    with pytest.raises(ModelFileError, match="not a model file: it claims a header of"):
        load(path)


# Writing


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_written(path: Path, value: float) -> None:
    with pytest.raises(ModelFileError, match="tensor 'w' is not finite; nothing was written"):
        write_artefact(path, plain_artefact(value))
    assert not path.exists()


def test_a_dtype_that_is_not_read_is_not_written(path: Path) -> None:
    artefact = Artefact("model", {}, {"w": torch.ones(2, dtype=torch.float16)})
    with pytest.raises(ModelFileError, match="tensor 'w' is torch.float16, which is not stored"):
        write_artefact(path, artefact)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), b"bytes"])
def test_a_spec_that_is_no_json_is_not_written(path: Path, value: Any) -> None:
    with pytest.raises(ModelFileError, match="the model's parameters are no JSON values"):
        write_artefact(path, Artefact("model", {"value": value}))
    assert not path.exists()


def test_a_new_file_replaces_the_old_one(path: Path) -> None:
    for value in (1.0, 2.0):
        write_artefact(path, plain_artefact(value))
    assert read_artefact(path, kind="model").spec == {"value": 2.0}


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    write_artefact(path, plain_artefact())
    assert os.listdir(path.parent) == [path.name]


def test_the_file_and_then_the_folder_are_made_durable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("folder" if is_folder else "file")
        fsync(descriptor)

    def noted_replace(source: Any, target: Any) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_artefact(path, plain_artefact())
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_artefact(path, plain_artefact(1.0))
    before = path.read_bytes()

    def fail(*arguments: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(ResourceError, match="cannot be written: Input/output error"):
            write_artefact(path, plain_artefact(2.0))
    assert (os.listdir(path.parent), path.read_bytes()) == ([path.name], before)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_artefact(path, plain_artefact(1.0))
    before = path.read_bytes()

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_artefact(path, plain_artefact(2.0))
    assert (os.listdir(path.parent), path.read_bytes()) == ([path.name], before)


def test_a_link_stays_a_link_and_its_target_is_updated(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "m.safetensors", tmp_path / "link.safetensors"
    write_artefact(target, plain_artefact(1.0))
    link.symlink_to(target)
    write_artefact(link, plain_artefact(2.0))
    assert link.is_symlink() and not target.is_symlink()
    assert read_artefact(target, kind="model").spec == {"value": 2.0}


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_artefact(tmp_path / "link", plain_artefact())
    assert read_artefact(tmp_path / "target", kind="model").spec == {"value": 1.0}


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ResourceError, match="a: is a link that leads back to itself"):
        write_artefact(tmp_path / "a", plain_artefact())


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is a folder; name a file"):
        write_artefact(tmp_path, plain_artefact())


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"nope/m: cannot be written: No such file"):
        write_artefact(tmp_path / "nope" / "m", plain_artefact())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match=r"file/m: cannot be written: Not a directory"):
        write_artefact(tmp_path / "file" / "m", plain_artefact())


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, " ", "-o", "a\nb", "*?[", "\udcff", "~"])
def test_long_and_strange_names_are_written(tmp_path: Path, name: str) -> None:
    write_artefact(tmp_path / name, plain_artefact())
    assert read_artefact(tmp_path / name, kind="model").spec == {"value": 1.0}


@pytest.mark.parametrize("name", ["x" * 256, "x" * 5000, f"{'y' * 300}/m"])
def test_names_that_are_too_long_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResourceError, match="cannot be written: File name too long"):
        write_artefact(tmp_path / name, plain_artefact())


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResourceError, match="no file can have this name"):
        write_artefact(tmp_path / name, plain_artefact())
    assert os.listdir(tmp_path) == []


def test_the_temporary_file_of_a_live_writer_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    nested = iter([True])

    def write_another(descriptor: int) -> None:
        if next(nested, False):  # a second writer comes and goes while the first is busy
            write_artefact(path, plain_artefact(2.0))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", write_another)
    write_artefact(path, plain_artefact(1.0))
    assert read_artefact(path, kind="model").spec == {"value": 1.0}


# Full disk, read-only folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    path = small_disk / "m"
    write_artefact(path, plain_artefact(1.0, size=1 << 19))
    before = path.read_bytes()
    with pytest.raises(ResourceError, match="cannot be written: No space left on device"):
        write_artefact(path, plain_artefact(2.0, size=5 << 18))
    assert (os.listdir(small_disk), path.read_bytes() == before) == (["m"], True)


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    path = small_disk / "m"
    write_artefact(path, plain_artefact(1.0))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ResourceError, match="cannot be written: Read-only file system"):
        write_artefact(path, plain_artefact(2.0))
    assert read_artefact(path, kind="model").spec == {"value": 1.0}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ResourceError, match="cannot be written: Permission denied"):
        write_artefact(tmp_path / "m", plain_artefact())


# kill -9

_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from narrows.artefact import Artefact, read_artefact, write_artefact

path, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(0)
torch.set_num_threads(1)  # a pool of threads does not survive a fork
versions = [Artefact("model", {"value": v}, {"w": torch.full((50_000,), float(v))}) for v in (1, 2)]
in_the_middle = most = 0
for _ in range(kills):
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        while True:
            for version in versions:
                write_artefact(path, version)
                os.write(tell, b"." if tell else b"")
    os.read(ready, 1)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready), os.close(tell)
    held = read_artefact(path, kind="model")
    assert bool((held.tensors["w"] == held.spec["value"]).all())
    left = len(os.listdir(path.parent)) - 1
    in_the_middle += left
    most = max(most, left)
write_artefact(path, versions[0])
print(in_the_middle, most, len(os.listdir(path.parent)))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """How many kills left a temporary file, the most at a time, and files at the end."""
    path = tmp_path_factory.mktemp("killed") / "m.safetensors"
    command = [sys.executable, "-c", _KILLER, str(path), str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + KILLS)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_a_kill_at_any_moment_of_a_save_leaves_a_whole_file(killed: list[int]) -> None:
    assert killed[0] > 0, "no kill fell into a save: the test shows nothing"


def test_killed_saves_leave_one_temporary_file_at_most(killed: list[int]) -> None:
    assert killed[1] <= 1


def test_the_next_save_removes_what_a_killed_one_left(killed: list[int]) -> None:
    assert killed[2] == 1
