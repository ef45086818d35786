"""A fitted model: the net, its scaling, its baseline, its schema and its training record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from narrows.artefact import Artefact
from narrows.core.custom_specs import json_pieces
from narrows.core.objective import Objective
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.data.value_range import ValueRange, read_value_range
from narrows.errors import ModelFileError, UsageError
from narrows.model.baseline import Baseline
from narrows.model.density import Density
from narrows.model.net_weights import load_weights
from narrows.model.older_files import fingerprinted
from narrows.model.parts import (
    check_magnitudes,
    checked_record,
    density_names,
    read_baseline,
    read_calibration,
    read_scaling,
)
from narrows.model.schema import Schema, read_schema
from narrows.text import Vocabulary
from narrows.variants.building import build_objective

__all__ = ["Model"]

_PARTS = ("net", "scaling", "baseline", "density", "vocabulary", "head", "calibration")


@dataclass
class Model:
    """Everything that the applications need, without the training data."""

    variant: str
    parameters: dict[str, Any]
    objective: Objective
    scaling: Scaling
    schema: Schema
    baseline: Baseline | None = None
    record: dict[str, Any] = field(default_factory=dict)
    densities: dict[str, Density] = field(default_factory=dict)
    vocabulary: Vocabulary | None = None
    calibration: Tensor | None = None  # errors of rows held out, ascending
    value_range: ValueRange | None = None

    @property
    def n_components(self) -> int:
        return int(self.parameters["n_components"])

    @property
    def device(self) -> torch.device:
        return next(self.objective.parameters()).device

    @property
    def feature_names(self) -> list[str] | None:
        """The names of the columns, or the words; None if features have no names."""
        if self.schema.names is None and self.vocabulary is not None:
            return list(self.vocabulary.terms)
        return self.schema.names

    @property
    def error_unit(self) -> str:
        """The unit of the model's own error."""
        unit = self.objective.loss.unit
        if unit.startswith("nats"):
            return unit
        return f"{unit}, in {self.scaling.unit}"

    def check_units(self, source: Source) -> None:
        """Warn if rows are far larger or smaller than those of the fit (proportions have no unit).

        Warns
        -----
        RangeWarning
        """
        if source.units_checked:
            return
        if self.value_range is not None and self.scaling.kind != "proportions":
            self.value_range.check_units(source)

    def to(self, device: str | torch.device) -> Model:
        self.objective.to(device)
        self.scaling = self.scaling.to(device)
        return self

    def fingerprint(self) -> str:
        """Return the SHA-256 of what determines the codes; an index names its model by it."""
        net = {f"net.{k}": v for k, v in self.objective.state_dict().items()}
        net |= {f"scaling.{k}": v for k, v in self.scaling.tensors().items()}
        parameters = json_pieces(self.parameters, strict=False, qualified=False)
        spec: list[Any] = [*fingerprinted(self.variant, parameters), self.scaling.kind]
        if self.vocabulary is not None:
            spec.append(self.vocabulary.to_artefact_parts()[0])
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode())
        for name in sorted(net):
            digest.update(name.encode())
            digest.update(net[name].detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def probe_rows(self) -> Tensor:
        """Return a scaled row of zeros and one of ones, (2, n_features); every loss allows them."""
        zeros = torch.zeros(1, self.schema.n_features, device=self.device)
        return torch.cat([zeros, zeros + 1])

    @torch.no_grad()
    def check_answers(self) -> None:
        """Raise ValueError unless the results for simple rows are finite.

        The scaled rows are zeros, ones, and 1 and -1 in turn; the results are their codes,
        reconstructions and errors, and rows decoded from drawn codes. Cost: one pass of the net.
        """
        device, plain = self.device, self.probe_rows().cpu()
        alternating = -torch.ones(1, self.schema.n_features)
        alternating[:, ::2] = 1
        x = torch.cat([plain, alternating])
        h = [self.objective.encode(x.to(device)).h]
        for density in self.densities.values():
            drawn = density.draw(2, generator=torch.Generator().manual_seed(0))
            h.append(self.objective.encoder.project(drawn.to(device)))
        rows = self.scaling.inverse(self.objective.decode(torch.cat(h)))
        answers = {"codes": torch.cat(h), "rows": rows}
        answers["errors"] = self.objective.error(plain.to(device))
        if self.baseline is not None:
            answers["rows of the baseline"] = self.baseline.reconstruct(x)
            answers["errors of the baseline"] = self.baseline.error(x)
        for name, values in answers.items():
            if not bool(torch.isfinite(values).all()):
                raise ValueError(f"its {name} are not finite: a weight or a scale is too large")

    def to_artefact(self, extra: Mapping[str, Any]) -> Artefact:
        """Return the content of a model file; ``extra`` is what the estimator adds to the spec."""
        tensors = {f"net.{k}": v for k, v in self.objective.state_dict().items()}
        tensors |= {f"scaling.{k}": v for k, v in self.scaling.tensors().items()}
        spec: dict[str, Any] = {
            "variant": self.variant,
            "parameters": json_pieces(self.parameters),
            "scaling": self.scaling.kind,
            "schema": asdict(self.schema),
            "record": self.record,
            "baseline": None,
            "densities": list(self.densities),
            **extra,
        }
        frozen = [n for n, p in self.objective.named_parameters() if not p.requires_grad]
        if frozen:
            spec["frozen"] = frozen
        if self.value_range is not None:
            spec["range"] = asdict(self.value_range)
        if self.vocabulary is not None:
            spec["vocabulary"], arrays = self.vocabulary.to_artefact_parts()
            tensors |= {f"vocabulary.{k}": torch.from_numpy(v) for k, v in arrays.items()}
        if self.baseline is not None:
            spec["baseline"] = self.baseline.name
            tensors |= {f"baseline.{k}": v for k, v in self.baseline.tensors().items()}
        for name, density in self.densities.items():
            tensors |= {f"density.{name}.{k}": v for k, v in density.tensors().items()}
        spec["calibration"] = 0 if self.calibration is None else len(self.calibration)
        if self.calibration is not None:
            tensors["calibration.errors"] = self.calibration
        return Artefact("model", spec, tensors)

    @classmethod
    def from_artefact(cls, artefact: Artefact) -> Model:
        """Rebuild a model from JSON values and tensors.

        Raises
        ------
        ModelFileError
            If the variant is unknown, or parameters and tensors do not fit each other.
        """
        spec, tensors = artefact.spec, artefact.tensors
        try:
            schema = read_schema(spec["schema"])
            unknown = [name for name in tensors if name.split(".")[0] not in _PARTS]
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not a tensor of a model")
            net = _part(tensors, "net.")
            with torch.device("meta"):
                # nothing is allocated before the shapes are compared with those of the file
                objective = build_objective(spec["variant"], spec["parameters"], schema.n_features)
            load_weights(objective, net, spec.get("frozen", []))  # absent in older files
            baseline = None
            if spec["baseline"] is not None:
                parts = _part(tensors, "baseline.")
                baseline = read_baseline(spec["baseline"], parts, schema.n_features)
            # absent in older files
            fitted = read_value_range(spec["range"]) if "range" in spec else None
            model = cls(
                spec["variant"],
                spec["parameters"],
                objective.eval(),
                read_scaling(
                    spec["scaling"], _part(tensors, "scaling."), schema.n_features, fitted
                ),
                schema,
                baseline,
                checked_record(spec["record"]),
            )
            check_magnitudes(net)
            for name in density_names(spec.get("densities", [])):  # absent in older files
                density = Density(**_part(tensors, f"density.{name}."))
                density.check(model.n_components)
                check_magnitudes(density.tensors())
                model.densities[name] = density
            held_out = _part(tensors, "calibration.")
            if held_out or spec.get("calibration"):  # absent in older files
                model.calibration = read_calibration(spec.get("calibration"), held_out)
            model.value_range = fitted
            if "vocabulary" in spec:
                arrays = _part(tensors, "vocabulary.")
                model.vocabulary = _read_vocabulary(spec["vocabulary"], arrays, schema.n_features)
            _check_spare_parts(model, spec, tensors)
            model.check_answers()
            return model
        except ModelFileError:
            raise
        except (UsageError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ModelFileError(f"the model cannot be rebuilt: {error}.") from None


def _read_vocabulary(spec: Any, arrays: Mapping[str, Any], n_features: int) -> Vocabulary:
    vocabulary = Vocabulary.from_artefact_parts(spec, arrays)
    if len(vocabulary) != n_features:
        raise ValueError(f"{len(vocabulary)} words, {n_features} features")
    return vocabulary


def _check_spare_parts(
    model: Model, spec: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Raise ValueError if the file holds tensors of a part that is not in the spec."""
    held = {"baseline": model.baseline, "vocabulary": model.vocabulary, "head": spec.get("head")}
    held |= {f"density.{name}": density for name, density in model.densities.items()}
    for name in tensors:
        part = name.rpartition(".")[0] if name.startswith("density.") else name.split(".")[0]
        if (
            part.startswith(("baseline", "vocabulary", "density", "head"))
            and held.get(part) is None
        ):
            raise ValueError(f"{name!r} belongs to no part of the model")


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
