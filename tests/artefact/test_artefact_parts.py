"""A tampered file with a recomputed digest is refused, or gives finite answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tampered_files import joined, tensors_changed, tensors_of, values_changed

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeMatcher,
    CodeRegressor,
    ConvolutionalAutoencoder,
    DocumentAutoencoder,
    Index,
    SemanticHasher,
    VectorQuantizedAutoencoder,
    load,
)
from narrows.errors import ModelFileError

SMALL = {"n_components": 2, "max_epochs": 1, "random_state": 0}
OF_TEXTS = {"hidden": (3,), "validation_fraction": 0.0}
TEXTS = ["a red fox", "the red dog and fox", "a dog", "fox and hen", "the hen", "red hen"] * 4
ROWS = np.random.default_rng(0).normal(size=(40, 4))
Y = np.arange(40) % 2


class Kind(NamedTuple):
    """How to write a file, and how to query the loaded object: arrays of numbers."""

    write: Callable[[Path], None]
    ask: Callable[[Path], list[Any]]


def _net(**more: Any) -> Autoencoder:
    return Autoencoder(**SMALL, hidden=(3,), **more).fit(ROWS)


def of_rows(path: Path) -> list[Any]:
    net = load(path)
    evaluation = net.evaluate(ROWS)
    return [net.transform(ROWS), net.reconstruct(ROWS), net.score_samples(ROWS), net.features(ROWS),
            net.sample(4, random_state=0), net.p_values(ROWS), net.anomaly_contributions(ROWS),
            net.perturb(ROWS[:3], random_state=0), evaluation.squared_error,
            evaluation.baseline_squared_error or 0.0, net.history_,
            bool(evaluation.table())]  # fmt: skip


def of_texts(path: Path) -> list[Any]:
    net = load(path)
    index = net.make_index(TEXTS[:6])
    hits = [hit.distance for hits in net.search(index, TEXTS[:3], 2) for hit in hits]
    return [net.transform(TEXTS), net.score_samples(TEXTS), net.sample(2, random_state=0), hits,
            net.transform(["a word that nobody knows"])]  # fmt: skip


def of_head(path: Path) -> list[Any]:
    head = load(path)
    return [head.predict(ROWS), head.autoencoder_.transform(ROWS)]


def of_classes(path: Path) -> list[Any]:
    return [*of_head(path), load(path).predict_proba(ROWS)]


def of_pairs(path: Path) -> list[Any]:
    head = load(path)
    return [head.transform(ROWS), head.match_proba(ROWS[:9], ROWS[9:18])]


def of_detector(path: Path) -> list[Any]:
    detector = load(path)
    return [detector.score_samples(ROWS), detector.p_values(ROWS), detector.predict(ROWS),
            detector.anomaly_contributions(ROWS[:3]), detector.reconstruct(ROWS)]  # fmt: skip


def of_images(path: Path) -> list[Any]:
    net = load(path)
    return [net.transform(ROWS), net.reconstruct(ROWS), net.sample(2, random_state=0)]


def of_index(path: Path) -> list[Any]:
    index = Index.load(path)
    found = [[hit.distance for hit in index.like(name, 3)] for name in index.names[:4]]
    return [np.concatenate(found) if found else []]


def _head(cls: Any) -> Any:
    settings = {"calibration_folds": 2} if cls is CodeMatcher else {}
    return cls(_net(), max_epochs=1, random_state=0, **settings).fit(ROWS, Y)


def _index(bits: bool) -> Index:
    index = Index.create(n_bits=16, vector_width=3) if bits else Index.create(n_components=3)
    rng = np.random.default_rng(0)
    names = [f"d{i}" for i in range(9)]
    if bits:
        index.add(
            names, rng.integers(0, 256, (9, 2), dtype=np.uint8), None, rng.normal(size=(9, 3))
        )
    else:
        index.add(names, rng.normal(size=(9, 3)).astype(np.float32))
    return index


KINDS = {
    "autoencoder": Kind(lambda p: _net().save(p), of_rows),
    "missing values": Kind(lambda p: _net(corruption="missing", scale="unit").save(p), of_rows),
    "convolutional": Kind(
        lambda p: ConvolutionalAutoencoder(**SMALL, channels=(2,), image_shape=(2, 2)).fit(ROWS)
        .save(p), of_images,
    ),
    "quantized": Kind(
        lambda p: VectorQuantizedAutoencoder(**SMALL, n_groups=2, n_entries=3).fit(ROWS).save(p),
        of_images,
    ),
    "document": Kind(
        lambda p: DocumentAutoencoder(**SMALL, **OF_TEXTS).fit(TEXTS).save(p), of_texts
    ),
    "hasher": Kind(
        lambda p: SemanticHasher(**{**SMALL, "n_components": 8}, **OF_TEXTS).fit(TEXTS).save(p),
        of_texts,
    ),
    "classifier": Kind(lambda p: _head(CodeClassifier).save(p), of_classes),
    "regressor": Kind(lambda p: _head(CodeRegressor).save(p), of_head),
    "matcher": Kind(lambda p: _head(CodeMatcher).save(p), of_pairs),
    "detector": Kind(
        lambda p: AnomalyDetector(_net(), n_folds=2, random_state=0).fit(ROWS).save(p), of_detector
    ),
    "index of bits": Kind(lambda p: _index(True).save(p), of_index),
    "index of numbers": Kind(lambda p: _index(False).save(p), of_index),
}  # fmt: skip


def trials(data: bytes, at_most: int | None = None) -> list[tuple[str, bytes]]:
    """Return tampered files and what was changed in each, evenly over all changes."""
    made = [*tensors_changed(data), *values_changed(data)]
    # an odd step samples all kinds of changes
    return made if at_most is None else made[:: len(made) // at_most | 1]


def outcome(kind: Kind, path: Path, data: bytes) -> str:
    """Return "refused" or "answered", or what went wrong."""
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Index.load(path) if kind.ask is of_index else load(path)
        except ModelFileError:
            return "refused"
        except Exception as error:  # noqa: BLE001 -- the fault that is looked for
            return f"{type(error).__name__} at load: {error}"
        try:
            answers = kind.ask(path)
        except Exception as error:  # noqa: BLE001 -- the fault that is looked for
            return f"{type(error).__name__} later: {error}"
    for i, answer in enumerate(answers):
        array = np.asarray(answer)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"answer {i} is not finite"
    return "answered"


@pytest.mark.parametrize("name", KINDS)
def test_a_tampered_file_is_refused_or_gives_finite_answers(name: str, tmp_path: Path) -> None:
    """A sample of the trials; ``python tests/artefact/test_artefact_parts.py`` runs all of them."""
    kind = KINDS[name]
    kind.write(tmp_path / "sound")
    data = (tmp_path / "sound").read_bytes()
    assert outcome(kind, tmp_path / "f", data) == "answered"
    found = {what: outcome(kind, tmp_path / "f", made) for what, made in trials(data, at_most=40)}
    assert len(found) > 5 and "refused" in found.values()
    wrong = {k: v for k, v in found.items() if v not in ("refused", "answered")}
    assert not wrong, wrong


def test_an_impossible_weight_is_refused_even_if_answers_are_finite(tmp_path):
    _net().save(tmp_path / "sound")
    arrays, body = tensors_of((tmp_path / "sound").read_bytes())
    name = next(name for name in arrays if "encoder" in name)
    arrays[name] = arrays[name].copy()
    arrays[name][0] = 1e16
    (tmp_path / "tampered").write_bytes(joined(arrays, body))
    with pytest.raises(ModelFileError, match="holds 1e.16, larger than any trained weight"):
        load(tmp_path / "tampered")


if __name__ == "__main__":
    import collections
    import sys
    import tempfile

    total: collections.Counter[str] = collections.Counter()
    for name, kind in KINDS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kind.write(place / "sound")
            for what, made in trials((place / "sound").read_bytes()):
                result = outcome(kind, place / "f", made)
                total[result if result in ("refused", "answered") else "WRONG"] += 1
                if result not in ("refused", "answered"):
                    print(f"{name}: {what}: {result[:150]}", flush=True)
    print(dict(total))
