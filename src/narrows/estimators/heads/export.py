"""Fitted estimators to ONNX."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from narrows.objectives.code_task import Head

__all__ = ["ExportsHead"]


class ExportsHead:
    """Mixed into heads on a code."""

    autoencoder_: Any
    head_: Head
    layer_: int

    _answer: ClassVar[str]
    """What the head answers, by its name among the answers of ``ExportedHead``."""

    def _odds(self) -> dict[str, float] | None:
        """Return what turns distances of a matcher's vectors into probabilities."""
        return None

    @abstractmethod
    def _target_spec(self) -> dict[str, Any]: ...

    def export(self, path: str | Path, *, part: str = "head") -> None:
        """Write a part as one ONNX file, for programs without Narrows or torch.

        Parameters
        ----------
        path : path
            What stood there is replaced when all is written.
        part : {"head", "encoder", "decoder", "reconstruct"}, default="head"
            "head" is the whole way from rows in input units, ``x``, to ``probabilities``
            (batch, n_classes) of the classes in the file's metadata (of a segmenter (batch,
            n_pixels, n_classes)), to ``y`` (batch,), or (batch, n_targets) of
            several, float64, or, of a matcher, to its ``vector``. The others are those of
            ``autoencoder_``.

        Raises
        ------
        MissingExtra
            If onnx or onnxscript is not installed.
        UsageError (a ValueError)
            If there is no such part, or it has 2 GiB of weights or more.
        ResourceError
            If the file cannot be written.
        """
        from narrows.export.onnx import ExportedHead, export_onnx

        check_is_fitted(self, "head_")
        spec: Mapping[str, Any] = self._target_spec()
        head = ExportedHead(
            self.head_,
            self.layer_,
            prediction=self._answer,
            odds=self._odds(),
            classes=spec.get("classes"),
            mean=spec.get("y_mean", 0.0),
            deviation=spec.get("y_deviation", 1.0),
            target_names=spec.get("target_names"),
        )
        export_onnx(self.autoencoder_.model_, path, part=part, head=head)
