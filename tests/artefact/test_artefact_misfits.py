"""Models with inconsistent parts are refused, although their digest is valid."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from artefact_files import put_together, take_apart

from narrows import load
from narrows.artefact.file import _parse, write_artefact
from narrows.errors import ModelFileError


def with_spec(data: bytes, change: Any) -> bytes:
    """Return the sealed file after ``change(spec)``."""
    header, body, payload = take_apart(data)
    body = deepcopy(body)
    change(body["spec"])
    return put_together(header, body, payload)


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
def test_invalid_widths_are_refused(model_bytes: bytes, path: Path, name: str, width: Any) -> None:
    keys = ("schema", name) if name == "n_features" else ("parameters", name)
    value = [width] if name == "hidden" else width
    path.write_bytes(with_spec(model_bytes, set_in(*keys, to=value)))
    with pytest.raises(ModelFileError, match="the model cannot be rebuilt: hidden"):
        load(path)


def test_a_hundred_thousand_layers_are_refused(model_bytes: bytes, path: Path) -> None:
    path.write_bytes(with_spec(model_bytes, set_in("parameters", "hidden", to=[1] * 100_000)))
    with pytest.raises(ModelFileError, match="hidden: 100000 layers, at most 998 are built"):
        load(path)


def test_widths_that_do_not_match_the_weights_are_refused(model_bytes: bytes, path: Path) -> None:
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
        (("schema", "image_shape"), "ab"),
        (("schema", "image_shape"), [7, 1]),
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
def test_a_malformed_spec_is_refused(
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


def test_a_tensor_that_no_model_has_is_refused(model_bytes: bytes, path: Path) -> None:
    artefact = _parse(model_bytes, "model")
    artefact.tensors["nope.x"] = artefact.tensors["net.encoder.weights.0"].clone()
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="'nope.x' is not a tensor of a model"):
        load(path)


def test_weights_of_another_dtype_are_refused(model_bytes: bytes, path: Path) -> None:
    artefact = _parse(model_bytes, "model")
    artefact.tensors["net.encoder.weights.0"] = artefact.tensors["net.encoder.weights.0"].double()
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="the weights are not those of the variant"):
        load(path)
