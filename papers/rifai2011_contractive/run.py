"""Rifai et al. (2011): contractive features of one layer.

MNIST through 1,000 or more sigmoid units, plain, denoising and contractive: logistic regression on
the frozen features, and the same layer fine-tuned as a classifier, beside a layer fine-tuned from
its random start. Every kind of layer chooses its settings on a sixth of the training images. Run as
`narrows reproduce rifai2011-contractive --preset fast|best`, or on its own.
"""

from __future__ import annotations

import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from narrows import Autoencoder, CodeClassifier, Contractive, Masking
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data.datasets import load_half

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]


@dataclass(frozen=True)
class Preset:
    """Numbers of images, units, and epochs for features, frozen heads and fine-tuning.

    ``fine`` names the layers to fine-tune. Every choice is among the first ``n_candidates``;
    candidates for fine-tuning are compared after ``trial_epochs`` epochs.
    """

    n_train: int
    width: int
    epochs: int
    head_epochs: int
    fine_epochs: int = 0
    trial_epochs: int = 0
    fine: tuple[str, ...] = ()
    n_candidates: int = 2


PRESETS = {
    "smoke": Preset(2_000, 100, 4, 15, 15, 5, fine=("contractive", "random start")),
    "fast": Preset(10_000, 500, 20, 30),
    "best": Preset(
        60_000, 2000, 20, 20, 60, 10, fine=("contractive", "random start"), n_candidates=5
    ),
}

RANDOM = "random start"

# What prevents the layer from copying: a corruption of x, or a penalty on the code. The last two
# candidates of every kind change what all kinds share.
_SHARED: dict[str, dict[str, Any]] = {
    "rate 0.0003": {"learning_rate": 3e-4},
    "rate 0.0001": {"learning_rate": 1e-4},
}
LAYERS: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {
        "no penalty": {},
        "weight decay 0.1": {"weight_decay": 0.1},
        "a quarter of the units": {"units": 0.25},
        **_SHARED,
    },
    "denoising": {
        "masking 0.25": {"corruption": Masking(0.25)},
        "masking 0.4": {"corruption": Masking(0.4)},
        "masking 0.1": {"corruption": Masking(0.1)},
        **{name: {"corruption": Masking(0.25), **more} for name, more in _SHARED.items()},
    },
    "contractive": {
        "weight 0.1": {"penalties": [Contractive(0.1)]},
        "weight 0.3": {"penalties": [Contractive(0.3)]},
        "weight 0.03": {"penalties": [Contractive(0.03)]},
        **{name: {"penalties": [Contractive(0.1)], **more} for name, more in _SHARED.items()},
    },
}

# The radius of the virtual adversarial step is in pixel units.
FINE: dict[str, dict[str, Any]] = {
    "radius 1.5, half dropped": {"adversarial_radius": 1.5, "dropout": 0.5},
    "radius 0.5, a tenth dropped": {"adversarial_radius": 0.5, "dropout": 0.1},
    "radius 2": {"adversarial_radius": 2.0},
    "radius 2, half dropped": {"adversarial_radius": 2.0, "dropout": 0.5},
    "a quarter masked, half dropped": {"corruption": Masking(0.25), "dropout": 0.5},
}


def layer(settings: dict[str, Any], x: np.ndarray, preset: Preset, seed: int) -> Autoencoder:
    """Return a tied layer of sigmoid units, trained by Bernoulli cross-entropy as in the paper."""
    settings = {"max_epochs": preset.epochs, "learning_rate": 1e-3, **settings}
    return Autoencoder(
        round(preset.width * settings.pop("units", 1)),
        hidden=(),
        code_activation="sigmoid",
        tied=True,
        loss="bernoulli",
        linear_start=False,
        batch_size=128,
        validation_fraction=0.0,
        random_state=seed,
        **settings,
    ).fit(x)


def random_layer(x: np.ndarray, preset: Preset, seed: int) -> Autoencoder:
    """Return the layer at its random start: its weights have moved by 1e-12 at most."""
    return layer({"max_epochs": 1, "learning_rate": 1e-12}, x[:1000], preset, seed)


def frozen(features: Autoencoder, x: np.ndarray, y: np.ndarray, preset: Preset, seed: int) -> Any:
    """Return logistic regression on the frozen features."""
    return CodeClassifier(
        FrozenEstimator(features),
        max_epochs=preset.head_epochs,
        learning_rate=5e-3,
        batch_size=128,
        random_state=seed,
    ).fit(x, y)


def fine_tuned(
    features: Autoencoder, x: np.ndarray, y: np.ndarray, settings: dict[str, Any], epochs: int,
    seed: int,
) -> Any:  # fmt: skip
    """Return logistic regression trained together with the features."""
    return CodeClassifier(
        FrozenEstimator(features),
        training="fine_tuned",
        max_epochs=epochs,
        learning_rate=1e-3,
        batch_size=128,
        random_state=seed,
        **settings,
    ).fit(x, y)


def first(candidates: dict[str, Any], n: int) -> dict[str, Any]:
    return dict(list(candidates.items())[:n])


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Choose and train the layers and the classifiers on them, then measure all of them."""
    preset = PRESETS[name]
    x, y = (part[: preset.n_train] for part in load_half("mnist", "train"))
    choices = [*LAYERS, *(f"fine-tuning, {kind}" for kind in preset.fine)]
    study = Study(lambda: load_half("mnist", "test"), choices=choices)
    fit, validation = validation_split(len(x), seed=seed, y=y)
    known, held = (x[fit], y[fit]), (x[validation], y[validation])
    unit = f"error in percent of {len(validation)} training images"

    def error(fitted: Any) -> float:
        return 100 * (1 - fitted.score(*held))

    fitted: dict[tuple[str, str], Any] = {}
    seconds: dict[str, int] = {}
    for kind in (*LAYERS, *(kind for kind in preset.fine if kind not in LAYERS)):
        settings: dict[str, Any] = {}
        if kind in LAYERS:
            settings = study.choose(
                kind, first(LAYERS[kind], preset.n_candidates),
                lambda settings: error(
                    frozen(layer(settings, known[0], preset, seed), *known, preset, seed)
                ),
                unit=f"{unit}, frozen",
            )  # fmt: skip

        def features(
            rows: np.ndarray, kind: str = kind, settings: dict[str, Any] = settings
        ) -> Autoencoder:
            if kind == RANDOM:
                return random_layer(rows, preset, seed)
            return layer(settings, rows, preset, seed)

        tuning: dict[str, Any] = {}
        if kind in preset.fine:
            trial = features(known[0])
            tuning = study.choose(
                f"fine-tuning, {kind}", first(FINE, preset.n_candidates),
                lambda tuning, trial=trial: error(
                    fine_tuned(trial, *known, tuning, preset.trial_epochs, seed)
                ),
                unit=f"{unit}, {preset.trial_epochs} epochs",
            )  # fmt: skip
        started = time.perf_counter()
        of = features(x)
        if kind in LAYERS:
            fitted[kind, "frozen"] = frozen(of, x, y, preset, seed)
        if kind in preset.fine:
            fitted[kind, "fine-tuned"] = fine_tuned(of, x, y, tuning, preset.fine_epochs, seed)
        seconds[kind] = round(time.perf_counter() - started)
    test, test_y = study.test()
    rows = []
    for kind, taken in seconds.items():
        result: dict[str, Any] = {"features": kind}
        for training in ("frozen", "fine-tuned"):
            classifier = fitted.get((kind, training))
            result[training] = None
            if classifier is not None:
                result[training] = 100 * (1 - classifier.score(test, test_y))
            result[f"published {training}"] = PUBLISHED[training.replace("-", "_")].get(kind)
        result["seconds"] = taken
        print(result, file=sys.stderr, flush=True)
        rows.append(result)
    return {
        "preset": name,
        "seed": seed,
        "unit": "error on the 10,000 test images in percent",
        "rows": rows,
        "choices": study.record,
    }


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'])}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
