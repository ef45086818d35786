"""Tampered model files are refused, although their digest is valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from artefact_files import BLANK, minimal, put_together, seal, take_apart

from narrows import load
from narrows.artefact.file import Artefact, _parse, write_artefact
from narrows.errors import ModelFileError

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def test_the_resealing_helper_makes_valid_files(model_bytes: bytes) -> None:
    """Without this, the refusals below could be due to a wrong digest."""
    _parse(put_together(*take_apart(model_bytes)), "model")


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
def test_an_invalid_format_version_is_refused(version: Any) -> None:
    with pytest.raises(ModelFileError, match="format_version: must be a whole number >= 1"):
        _parse(minimal({"w": F32}, bytes(8), format_version=version), "model")


def test_a_checkpoint_without_a_model_is_refused(path: Path) -> None:
    write_artefact(path, Artefact("checkpoint", {}, {}))
    with pytest.raises(ModelFileError, match="is a checkpoint of a part of a training"):
        load(path)


@pytest.mark.parametrize("kind", [None, 1, ["model"], "Model"])
def test_another_kind_is_refused(kind: Any) -> None:
    with pytest.raises(ModelFileError, match="holds a .*, not a 'model'"):
        _parse(minimal({}, b"", kind=kind), "model")


@pytest.mark.parametrize("spec", [None, 1, [], "spec"])
def test_a_spec_that_is_not_an_object_is_refused(spec: Any) -> None:
    with pytest.raises(ModelFileError, match="the spec is missing"):
        _parse(minimal({}, b"", spec=spec), "model")


@pytest.mark.parametrize("digest", ["", "f" * 64, "\ud800" * 64, BLANK + BLANK, None, 5, [BLANK]])
def test_an_invalid_digest_is_refused(digest: Any) -> None:
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
    with pytest.raises(ModelFileError, match="the metadata is nested too deeply"):
        _parse(put_together({}, body[:-2] + f'"deep": {opening * 100_000}', b""), "model")


def test_deep_nesting_of_the_header_is_refused() -> None:
    with pytest.raises(ModelFileError, match="the header is nested too deeply"):
        _parse(seal(b'{"a":' * 100_000, b""), "model")


def test_closing_brackets_in_names_do_not_hide_deep_nesting() -> None:
    text = '{"x": "' + "]" * 1000 + '", "y": ' + "[" * 500 + "]" * 500 + "}"
    with pytest.raises(ModelFileError, match="the metadata is nested too deeply"):
        _parse(put_together({}, text, b""), "model")


def test_an_unclosed_string_is_refused_in_linear_time() -> None:
    with pytest.raises(ModelFileError, match="the header is not valid JSON"):
        _parse(seal(b'{"a": "' + b'\\"[' * 1_000_000, b""), "model")


def test_duplicate_keys_of_the_header_are_refused() -> None:
    entry = json.dumps(F32)
    header = f'{{"w": {entry}, "w": {entry}}}'.encode()
    with pytest.raises(ModelFileError, match="the header is not valid JSON: a key is repeated"):
        _parse(seal(header, bytes(8)), "model")


def test_duplicate_keys_of_the_metadata_are_refused() -> None:
    body = f'{{"kind": "model", "kind": "model", "sha256": "{BLANK}", "format_version": 1}}'
    with pytest.raises(ModelFileError, match="the metadata is not valid JSON: a key is repeated"):
        _parse(put_together({}, body, b""), "model")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1" * 5000, "01", "'a'"])
def test_values_that_are_not_json_are_refused(value: str) -> None:
    body = f'{{"sha256": "{BLANK}", "format_version": 1, "spec": {{"a": {value}}}}}'
    with pytest.raises(ModelFileError, match="the metadata is not valid JSON"):
        _parse(put_together({}, body, b""), "model")


def test_a_lone_surrogate_in_the_metadata_is_refused() -> None:
    header = b'{"__metadata__": {"narrows": "\\ud800"}}'
    with pytest.raises(ModelFileError, match="the metadata is not valid JSON"):
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
def test_an_invalid_tensor_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="invalid shape, dtype or offset"):
        _parse(minimal({"w": {**F32, **change}}, bytes(8)), "model")


@pytest.mark.parametrize("entry", [None, 1, [], "w", {}])
def test_an_entry_that_is_not_a_tensor_is_refused(entry: Any) -> None:
    with pytest.raises(ModelFileError, match="invalid shape, dtype or offset"):
        _parse(minimal({"w": entry}, b""), "model")


@pytest.mark.parametrize("shape", [[0, 2**62], [0, 2**62, 2**62], [2**70, 0], [0] * 10_000])
def test_an_empty_tensor_of_a_huge_shape_is_refused(shape: list[int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    with pytest.raises(ModelFileError, match="invalid shape, dtype or offset"):
        _parse(minimal({"w": entry}, b""), "model")


@pytest.mark.parametrize("spans", [[(0, 8), (4, 12)], [(0, 8), (0, 8)], [(0, 8), (12, 20)]])
def test_overlaps_and_gaps_are_refused(spans: list[tuple[int, int]]) -> None:
    header = {str(i): {**F32, "data_offsets": span} for i, span in enumerate(spans)}
    with pytest.raises(ModelFileError, match="overlap or leave gaps"):
        _parse(minimal(header, bytes(20)), "model")


def test_a_gap_at_the_end_is_refused() -> None:
    with pytest.raises(ModelFileError, match="12 bytes of tensors, expected 8"):
        _parse(minimal({"w": F32}, bytes(12)), "model")


def test_a_hundred_thousand_tensors_are_refused() -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    with pytest.raises(ModelFileError, match="100000 tensors, but at most 10000 are read"):
        _parse(minimal({str(i): entry for i in range(100_000)}, b""), "model")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_not_read(value: float) -> None:
    payload = np.array([0, value], dtype=np.float32).tobytes()
    with pytest.raises(ModelFileError, match="tensor 'w' is not finite"):
        _parse(minimal({"w": F32}, payload), "model")
