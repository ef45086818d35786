"""Write a part of a model as one self-contained ONNX file, with rows in input units."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
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
from narrows.model.model import Model

__all__ = ["FORMAT", "OPSET", "PARTS", "ExportedHead", "export_onnx"]

OPSET = 18
"""Version of the ONNX operators: the oldest that torch's exporter writes without converting."""

FORMAT = 8
"""Version of the file format that came with these operators: onnxruntime reads both from 1.14 on.
Later ones add nothing that is used here."""

_LARGEST = 2**31 - 2**20
"""Largest size of the weights in bytes: an ONNX file is limited to 2 GiB, with a little for the
rest."""

_CHATTY = (
    "torch.onnx._internal.exporter._registration",
    "onnxscript.optimizer._constant_folding",
)
"""Loggers that report a missing torchvision and failed simplifications, which do not matter."""


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

    The graph includes the scaling, the link of the loss and the conversion back to input units.
    The same model gives the same bytes. The graph does not check rows, as the model does (finite
    values, counts that are not negative).

    Raises
    ------
    MissingExtra
        If onnx or onnxscript is not installed.
    UsageError
        If the part does not exist, its weights do not fit in an ONNX file (2 GiB), or the name
        does not end in .onnx.
    ResourceError
        If the file cannot be written; an older file stays intact.
    NarrowsError
        If a piece of the net works with a fixed number of rows only.
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
    values: dict[str, Any] = {
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
        for key, value in values.items()
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
            custom_translation_table=dict(_translations()),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    weights = program.model.graph.initializers.values()
    size = sum(value.const_value.nbytes for value in weights if value.const_value is not None)
    if size > _LARGEST:
        raise UsageError(
            f"part: {metadata['part']!r} has {size:,} bytes of weights, and an ONNX file is "
            "limited to 2 GiB; export encoder and decoder separately, or fit a narrower net."
        )
    proto = _bare(program.model_proto)
    for value in (*proto.graph.input, *proto.graph.output):
        # torch's exporter silently makes a size that was read as a Python int a constant
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
    """Remove the traces of the source code and its location."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    graph = proto.graph
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    return proto


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the messages of the exporter about its own code."""
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


def _translations() -> Mapping[Any, Callable[..., Any]]:
    """Return ONNX translations of operators that torch's exporter lacks or writes less exactly."""
    from onnxscript import opset18

    op: Any = opset18  # Any: its annotations admit no constants

    def log1p(self: Any) -> Any:
        # ln(1 + x) loses a small x; the quotient corrects for the rounding of 1 + x
        # (Goldberg 1991, "What every computer scientist should know about floating-point
        # arithmetic", ACM Computing Surveys 23)
        one = op.CastLike(op.Constant(value_float=1.0), self)
        sum_ = op.Add(self, one)
        exact = op.Div(op.Mul(op.Log(sum_), self), op.Sub(sum_, one))
        return op.Where(op.Equal(sum_, one), self, exact)

    def cdist(a: Any, b: Any, p: float, compute_mode: Any = None) -> Any:
        # |a|^2 - 2 a b + |b|^2, as torch does for many rows: no array (rows, entries, width)
        axes, two = op.Constant(value_ints=[-1]), op.Constant(value_float=2.0)
        of_a = op.ReduceSumSquare(a, axes, keepdims=1)
        of_b = op.Transpose(op.ReduceSumSquare(b, axes, keepdims=1), perm=[0, 2, 1])
        inner = op.MatMul(a, op.Transpose(b, perm=[0, 2, 1]))
        squares = op.Sub(op.Add(of_a, of_b), op.Mul(two, inner))
        return op.Sqrt(op.Relu(squares))

    return {
        torch.ops.aten.log1p.default: log1p,
        torch.ops.aten._cdist_forward.default: cdist,
    }
