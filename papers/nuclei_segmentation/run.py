"""Segment cell nuclei from few masks, with and without pretraining on unlabeled images.

A convolutional autoencoder is trained on the 532 training images of the Data Science Bowl 2018
without their masks; then the masks of 5%, 20% and 100% of them are revealed. The same net segments
frozen, fine-tuned, and trained from scratch with the same head. Each chooses its learning rate on a
sixth of the training images, before the test images are read. Run as
`narrows reproduce nuclei-segmentation --preset fast|best -o FOLDER`, which also draws masks.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narrows import CodeSegmenter, ConvolutionalAutoencoder, SquaredError
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import columns, main
from narrows.data.datasets import local_folder
from narrows.errors import InvalidData
from narrows.figures.saving import save_figure
from narrows.figures.segmentation import segmentation_figure

_SHOWN = 8


@dataclass(frozen=True)
class Preset:
    """``every``: stride between the pixels kept; ``steps``: training steps of a segmenter."""

    every: int
    epochs: int
    steps: int
    draws: int
    shares: tuple[float, ...]
    channels: tuple[int, ...] = (32, 64, 128)
    rates: tuple[float, ...] = (2e-3, 5e-4)


PRESETS = {
    "smoke": Preset(8, 2, 60, 1, (0.2,), (8, 16)),
    "fast": Preset(2, 20, 400, 1, (0.05, 0.2, 1.0)),
    "best": Preset(1, 25, 800, 2, (0.05, 0.2, 1.0), rates=(2e-3, 5e-4, 4e-3)),
}
_BATCH = 8
NETS = {
    "pretrained, frozen": ("trained", "frozen"),
    "pretrained, fine-tuned": ("trained", "fine_tuned"),
    "from scratch": ("fresh", "fine_tuned"),
}
"""Which autoencoder each starts from, and how it is trained."""


def nuclei(every: int, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and masks of "train" or "test"."""
    folder = local_folder()
    path = None if folder is None else folder / "nuclei_dsb2018" / "nuclei128.npz"
    if path is None or not path.is_file():
        raise InvalidData("nuclei_dsb2018: set NARROWS_DATA to the folder that holds it.")
    with np.load(path, allow_pickle=False) as file:
        rows = file["is_test"].astype(bool) == (half == "test")
        images, masks = (file[n][rows][:, ::every, ::every] for n in ("images", "masks"))
    return images, masks


def net(preset: Preset, images: np.ndarray, seed: int, *, trained: bool) -> Any:
    """Return the autoencoder; if untrained, its weights have moved by 1e-12 at most."""
    flips = {"name": "affine", "flip": 0.5, "until": 1.0}
    flips |= dict.fromkeys(("rotation", "shear", "scale", "shift"), 0.0)
    return ConvolutionalAutoencoder(
        512,
        channels=preset.channels,
        loss=SquaredError(link="logistic"),
        augmentation=flips,
        linear_start=False,
        max_epochs=preset.epochs if trained else 1,
        learning_rate=1e-3 if trained else 1e-12,
        batch_size=_BATCH,
        validation_fraction=0.0,
        random_state=seed,
    ).fit(images)


def segmenter(
    autoencoder: Any, training: str, rate: float, preset: Preset, images: np.ndarray,
    masks: np.ndarray, seed: int,
) -> CodeSegmenter:  # fmt: skip
    return CodeSegmenter(
        autoencoder,
        training=training,
        max_epochs=max(1, round(preset.steps * _BATCH / len(images))),
        batch_size=_BATCH,
        learning_rate=rate,
        random_state=seed,
    ).fit(images, masks)


def labeled_images(n_images: int, share: float, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(n_images)[: max(2, round(share * n_images))]


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    preset = PRESETS[name]
    images, masks = nuclei(preset.every, "train")
    study = Study(lambda: nuclei(preset.every, "test"), choices=NETS)
    fit, validation = validation_split(len(images), seed=seed)
    known, known_masks = images[fit], masks[fit]
    trials = {
        kind: net(preset, known, seed, trained=kind == "trained") for kind in ("trained", "fresh")
    }
    # the draws of the measurement are counted from 0
    drawn = labeled_images(len(known), preset.shares[0], np.random.default_rng([seed, 1000]))
    rates = {}
    for kind, (start, training) in NETS.items():

        def error(rate: float, start: str = start, training: str = training) -> float:
            fitted = segmenter(
                trials[start], training, rate, preset, known[drawn], known_masks[drawn], seed
            )
            return 1 - fitted.evaluate(images[validation], masks[validation]).foreground_dice

        rates[kind] = study.choose(
            kind, {f"rate {rate:g}": rate for rate in preset.rates}, error,
            unit=f"1 - Dice of {len(validation)} training images, {preset.shares[0]:.0%} of masks",
        )  # fmt: skip
    started = time.perf_counter()
    starts = {"trained": net(preset, images, seed, trained=True)}
    seconds = time.perf_counter() - started
    starts["fresh"] = net(preset, images, seed, trained=False)
    test, truth = study.test()
    print(starts["trained"].evaluate(test).table(), file=sys.stderr, flush=True)
    table: dict[str, dict[str, Any]] = {kind: {"net": kind} for kind in NETS}
    for share in preset.shares:
        for kind, (start, training) in NETS.items():
            found = []
            started = time.perf_counter()
            for draw in range(preset.draws):
                labeled = labeled_images(len(images), share, np.random.default_rng([seed, draw]))
                fitted = segmenter(
                    starts[start], training, rates[kind], preset, images[labeled], masks[labeled],
                    draw,
                )  # fmt: skip
                overlap = fitted.evaluate(test, truth)
                found.append((overlap.foreground_dice, overlap.foreground_iou))
                if output is not None and draw == 0 and kind == "pretrained, fine-tuned":
                    _draw(fitted, test, truth, output / f"masks-{share:g}.png")
            dice, iou = np.mean(found, axis=0)
            deviation = float(np.std(found, axis=0)[0])
            table[kind] |= {f"Dice {share:.0%}": float(dice), f"+- {share:.0%}": deviation,
                           f"IoU {share:.0%}": float(iou)}  # fmt: skip
            each = (time.perf_counter() - started) / preset.draws
            print(kind, share, dice, iou, f"{each:.0f} s", file=sys.stderr, flush=True)
    return {
        "preset": name,
        "seed": seed,
        "unit": f"means over {len(test)} test images, and over {preset.draws} draws of the masks, "
        "with their standard deviation",
        "pretraining_seconds": round(seconds, 1),
        "rows": list(table.values()),
        "choices": study.record,
    }


def _draw(segmenter: CodeSegmenter, test: np.ndarray, truth: np.ndarray, path: Path) -> None:
    at = np.linspace(0, len(test) - 1, _SHOWN).astype(int)
    figure = segmentation_figure(
        test[at].reshape(len(at), -1),
        segmenter.predict(test[at]),
        image_shape=test.shape[1:],
        classes=[0, 1],
        truth=truth[at].reshape(len(at), -1),
    )
    save_figure(figure, path)


def show(table: dict[str, Any]) -> str:
    return f"{columns(table['rows'], digits=3)}\n{table['unit']}; seed {table['seed']}"


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
