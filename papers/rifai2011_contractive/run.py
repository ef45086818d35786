"""Rifai et al. (2011): contractive features of one layer.

MNIST through 1,000 or more sigmoid units, plain, denoising and contractive: logistic regression on
the frozen features, and the same layer fine-tuned as a classifier. Run as
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
from narrows.cli.paper import columns, main
from narrows.data.datasets import load_images

HERE = Path(__file__).parent
PUBLISHED = tomllib.loads((HERE / "expected.toml").read_text())["published"]


@dataclass(frozen=True)
class Preset:
    """Numbers of images, units, and epochs for features, frozen heads and fine-tuning.

    ``fine`` names the layers to fine-tune.
    """

    n_train: int
    width: int
    epochs: int
    head_epochs: int
    fine_epochs: int = 0
    fine: tuple[str, ...] = ()
    dropout: float = 0.5
    radius: float = 1.5  # of the virtual adversarial step, in pixel units


PRESETS = {
    "smoke": Preset(2_000, 100, 4, 15, 15, fine=("contractive",), dropout=0.1, radius=0.5),
    "fast": Preset(10_000, 500, 20, 30),
    "best": Preset(60_000, 2000, 20, 20, 60, fine=("contractive",)),
}

# What prevents the layer from copying: a corruption of x, or a penalty on the code.
LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "denoising": {"corruption": Masking(0.25)},
    "contractive": {"penalties": [Contractive(0.1)]},
}


def layer(kind: str, x: np.ndarray, preset: Preset, seed: int) -> Autoencoder:
    """Return a tied layer of sigmoid units, trained by Bernoulli cross-entropy as in the paper."""
    return Autoencoder(
        preset.width,
        hidden=(),
        code_activation="sigmoid",
        tied=True,
        loss="bernoulli",
        linear_start=False,
        max_epochs=preset.epochs,
        batch_size=128,
        learning_rate=1e-3,
        validation_fraction=0.0,
        random_state=seed,
        **LAYERS[kind],
    ).fit(x)


def head(features: Autoencoder, x: Any, y: Any, preset: Preset, seed: int, *, fine: bool) -> Any:
    """Return logistic regression on the frozen features, or fine-tuned together with them."""
    changes: dict[str, Any] = {"max_epochs": preset.head_epochs, "learning_rate": 5e-3}
    if fine:
        changes = {
            "training": "fine_tuned",
            "dropout": preset.dropout,
            "adversarial_radius": preset.radius,
            "max_epochs": preset.fine_epochs,
            "learning_rate": 1e-3,
        }
    frozen = FrozenEstimator(features)
    return CodeClassifier(frozen, batch_size=128, random_state=seed, **changes).fit(x, y)


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train the three layers and the classifiers on them."""
    preset = PRESETS[name]
    train, labels, test, test_labels = load_images("mnist")
    x, y = train[: preset.n_train], labels[: preset.n_train]
    rows = []
    for kind in LAYERS:
        started = time.perf_counter()
        features = layer(kind, x, preset, seed)
        result: dict[str, Any] = {"features": kind}
        for training, fine in (("frozen", False), ("fine-tuned", True)):
            result[training] = None
            if not fine or kind in preset.fine:
                fitted = head(features, x, y, preset, seed, fine=fine)
                result[training] = 100 * (1 - fitted.score(test, test_labels))
            result[f"published {training}"] = PUBLISHED[training.replace("-", "_")].get(kind)
        result["seconds"] = round(time.perf_counter() - started)
        print(result, file=sys.stderr, flush=True)
        rows.append(result)
    unit = "error on the 10,000 test images in percent"
    return {"preset": name, "seed": seed, "unit": unit, "rows": rows}


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'])}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
