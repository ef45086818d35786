"""Models for other programs: one ONNX file, in input units, with nothing beside it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from narrows._version import __version__
from narrows.artefact.durable import replacing
from narrows.errors import MissingExtra, NarrowsError, UsageError
from narrows.export.graphs import PARTS, ExportedHead, Graph, graph_of
from narrows.export.operators import FORMAT, OPSET, translations
from narrows.model.model import Model

__all__ = ["PARTS", "ExportedHead", "export_onnx"]

_LARGEST = 2**31 - 2**20
"""Bytes of weights: a file of ONNX ends below 2 GiB, and what is not weights needs a little."""

_CHATTY = (
    "torch.onnx._internal.exporter._registration",
    "onnxscript.optimizer._constant_folding",
)
"""Say of exports that torchvision is not there, and what they did not simplify: not needed here."""


def export_onnx(
    model: Model, path: str | Path, *, part: str = "encoder", head: ExportedHead | None = None
) -> None:
    """Write a part of a model as one ONNX file, opset 18, rows in and out in input units.

    =============  ==================================  =========================================
    part           input, float32                      output
    =============  ==================================  =========================================
    "encoder"      ``x`` (batch, n_features)           ``code`` (batch, n_components)
    "decoder"      ``code`` (batch, n_components)      ``x`` (batch, n_features)
    "reconstruct"  ``x``                               ``reconstruction`` (batch, n_features)
    "head"         ``x``                               ``probabilities`` (batch, n_classes), of a
                                                       segmenter (batch, n_pixels, n_classes);
                                                       ``y`` (batch,) or (batch, n_targets),
                                                       float64; or ``vector``
                                                       (batch, width), of a matcher
    =============  ==================================  =========================================

    Scaling, the loss's link and the way back to input units are in the graph. The same model
    gives the same bytes. What the model checks in rows (finite values, counts that are not
    negative) the graph does not.

    Raises
    ------
    MissingExtra
        If onnx or onnxscript is not installed.
    UsageError
        If there is no such part, its weights do not fit in a file of ONNX (2 GiB), or the name
        does not end in .onnx.
    ResourceError
        If the file cannot be written; what stood there is untouched.
    NarrowsError
        If a piece of the net is not written for any number of rows at a time.
    """
    if Path(path).suffix.lower() != ".onnx":
        raise UsageError(f"{path}: exports are written as .onnx.")
    if model.device.type != "cpu":
        model, head = deepcopy((model, head))
        model.to("cpu")
        if head is not None:
            head.head.cpu()
    graph = graph_of(model, part, head).eval()
    data = _serialized(graph, _metadata(model, part, head))
    with replacing(Path(path)) as file:
        file.write(data)


def _metadata(model: Model, part: str, head: ExportedHead | None) -> dict[str, str]:
    schema = model.schema
    names = schema.names if model.vocabulary is None else list(model.vocabulary.terms)
    said: dict[str, Any] = {
        "part": part,
        "variant": model.variant,
        "scaling": model.scaling.kind,
        "n_features": schema.n_features,
        "n_components": model.n_components,
        "fingerprint": model.fingerprint(),
        "narrows_version": __version__,
        "image_shape": schema.image_shape,
        "feature_names": names,
        "classes": head.classes if head is not None and part == "head" else None,
        "target_names": head.target_names if head is not None and part == "head" else None,
        "odds": head.odds if head is not None and part == "head" else None,
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in said.items()
        if value is not None
    }


def _serialized(graph: Graph, metadata: dict[str, str]) -> bytes:
    try:
        import onnx
        import onnxscript  # noqa: F401 -- torch's exporter needs it
    except ImportError as error:
        raise MissingExtra(
            f"export: {error.name} is not installed: pip install 'narrows[onnx]'"
        ) from error
    with _quietly():
        program = torch.onnx.export(
            graph,
            (torch.zeros(2, graph.width, dtype=graph.dtype),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[graph.reads],
            output_names=[graph.gives],
            dynamic_shapes=({0: Dim("batch")},),
            custom_translation_table=dict(translations()),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    weights = program.model.graph.initializers.values()
    size = sum(value.const_value.nbytes for value in weights if value.const_value is not None)
    if size > _LARGEST:
        raise UsageError(
            f"part: {metadata['part']!r} has {size:,} bytes of weights, and a file of ONNX ends "
            "at 2 GiB; export the encoder and the decoder each by itself, or fit a narrower net."
        )
    proto = _bare(program.model_proto)
    for value in (*proto.graph.input, *proto.graph.output):
        # torch's exporter takes a size that was read as a Python int for a constant, silently
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise NarrowsError(
                f"export: {metadata['part']!r} of {metadata['variant']!r} would take one number "
                "of rows only; its pieces must read it as x.shape[0], or leave it open as -1."
            )
    proto.producer_name, proto.producer_version = "narrows", __version__
    proto.ir_version = FORMAT
    proto.graph.name = metadata["part"]
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _bare(proto: Any) -> Any:
    """Take out what tells of the source code that was traced, and of where it lies."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    of_graph = proto.graph
    for item in (*of_graph.node, *of_graph.value_info, *of_graph.input, *of_graph.output,
                 *of_graph.initializer):  # fmt: skip
        del item.metadata_props[:]
        item.doc_string = ""
    return proto


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to itself what the exporter says of its own code, and not of the model."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
