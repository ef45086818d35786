"""Ghosh et al. (2020): a density fitted to the codes turns any autoencoder into a generator.

Plain, regularized and variational nets on MNIST, each sampled from densities fitted to its codes,
and the likelihood of a variational net on binarized MNIST. The presets that begin with "fashion"
sample nets trained on Fashion-MNIST and skip the likelihood.
Run as `narrows reproduce ghosh2020-generation --preset fast|best`, or on its own.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from features import accuracy, features_of, frechet_distance, train_features
from torch import Generator, Tensor

from narrows import L2, Autoencoder, VariationalAutoencoder, WeightDecay
from narrows.applications.coding.likelihood import measure_likelihood
from narrows.cli.paper import main
from narrows.data import DenseSource
from narrows.data.datasets import load_images
from narrows.figures.generation import sample_figure
from narrows.figures.saving import save_figure

HERE = Path(__file__).parent
SHAPE = (28, 28)

PRESETS: dict[str, dict[str, int]] = {
    "smoke": {"train": 600, "test": 300, "epochs": 10, "bound_epochs": 10, "codes": 20,
              "feature_epochs": 5},
    "fast": {"train": 60_000, "test": 10_000, "epochs": 4, "bound_epochs": 8, "codes": 50,
             "feature_epochs": 2},
    "best": {"train": 60_000, "test": 10_000, "epochs": 20, "bound_epochs": 50, "codes": 500,
             "feature_epochs": 4},
}  # fmt: skip
PRESETS |= {f"fashion-{name}": dict(preset) for name, preset in PRESETS.items()}
PRESETS["fashion-smoke"] |= {"train": 300, "test": 150, "epochs": 4}


def nets(preset: dict[str, int], seed: int) -> dict[str, Autoencoder | VariationalAutoencoder]:
    """Return three nets 784-512-256-16 with mirrored decoders and the same loss.

    They differ only in how the code is regularized.
    """
    shared: dict[str, Any] = {
        "n_components": 16,
        "hidden": (512, 256),
        "loss": "bernoulli",
        "linear_start": False,
        "max_epochs": preset["epochs"],
        "learning_rate": 2e-3,
        "validation_fraction": 0.0,
        "random_state": seed,
    }
    return {
        "autoencoder": Autoencoder(**shared),
        "regularized (RAE-L2)": Autoencoder(**shared, penalties=[L2(0.1), WeightDecay(1e-4)]),
        "variational": VariationalAutoencoder(**shared),
    }


def binarized(images: np.ndarray, seed: int) -> np.ndarray:
    """Return bits drawn once, each 1 with its pixel's gray value as probability."""
    rng = np.random.default_rng(seed)
    return (rng.random(images.shape) * 255 < images).astype(np.uint8)


def bound_net(preset: dict[str, int], seed: int) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        n_components=40,
        hidden=(500, 500),
        loss="bernoulli",
        scale="none",
        linear_start=False,
        max_epochs=preset["bound_epochs"],
        batch_size=min(128, preset["train"] // 10),
        learning_rate=2e-3,
        weight_decay=0.05,
        validation_fraction=0.05,
        patience=None,
        random_state=seed,
        verbose=1,
    )


def generation(
    preset: dict[str, int], seed: int, train: np.ndarray, labels: np.ndarray, test: np.ndarray,
    test_labels: np.ndarray, output: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the distances of reconstructions and samples of each net to the test images."""
    real, held_out = (torch.from_numpy(images / np.float32(255)) for images in (train, test))
    digits, test_digits = (torch.from_numpy(y.astype(np.int64)) for y in (labels, test_labels))
    judge = train_features(real, digits, epochs=preset["feature_epochs"], seed=seed)
    reference = features_of(judge, held_out)

    def distance(images: np.ndarray | Tensor) -> float:
        return frechet_distance(reference, features_of(judge, torch.as_tensor(images)))

    # use as many training images as test images: the distance depends on the sample size
    floor = distance(real[torch.randperm(len(real), generator=Generator().manual_seed(seed))
                          [: len(held_out)]])  # fmt: skip
    rows = []
    sheet = {"test images": test[:10] / np.float32(255)}
    source = DenseSource(train)
    source.image_shape = SHAPE
    ae = None
    for name, net in nets(preset, seed).items():
        ae = net.fit(source)
        rebuilt = ae.reconstruct(test).reshape(len(test), -1) / 255
        row = {
            "name": name,
            "squared_error": ae.evaluate(test).squared_error,
            "reconstruction": distance(rebuilt),
        }
        made = ae.sample(min(1000, len(test)), random_state=seed)
        checked = ae.check_memorization(made, source, test)
        row["copies"], row["memorized"] = float(checked.copies.mean()), checked.memorized
        sheet[f"{name}, rebuilt"] = rebuilt[:10]
        prior = ("prior",) if name == "variational" else ()
        for density in (*prior, "gaussian", "mixture"):
            drawn = ae.sample(len(test), density=density, random_state=seed) / 255
            drawn = drawn.reshape(len(drawn), -1)
            row[density] = distance(drawn)
            sheet[f"{name}, {density}"] = drawn[:10]
        rows.append(row)
    if output is not None and ae is not None:
        lines = 255 * np.concatenate(list(sheet.values()))
        figure = sample_figure(ae.model_, lines, labels=list(sheet))
        save_figure(figure, output / "samples.png")
    return {
        "unit": "Fréchet distance to the test images, in 64 features of a classifier",
        "feature_net_test_accuracy": accuracy(judge, held_out, test_digits),
        "training_images_against_test": floor,
        "rows": rows,
    }


def likelihood(
    preset: dict[str, int], seed: int, train: np.ndarray, test: np.ndarray, output: Path | None
) -> dict[str, Any]:
    """Return the negative log-likelihood of binarized test images."""
    net = bound_net(preset, seed).fit(binarized(train, seed))
    bits = DenseSource(binarized(test, seed + 1))
    generator = Generator(net.model_.device).manual_seed(seed)
    found = measure_likelihood(net.model_, bits, n_samples=preset["codes"], generator=generator)
    generator.manual_seed(seed)
    bound = measure_likelihood(net.model_, bits, n_samples=1, generator=generator)
    if output is not None:
        net.save(output / "variational.safetensors")
    return {
        **found.as_dict(),
        "bound_of_one_code": bound.negative_log_likelihood,
        "epochs": net.n_epochs_,
        "held_out": net.validation_history_,
        "training_seconds": sum(epoch["seconds"] for epoch in net.model_.record["epochs"]),
    }


def run(name: str, seed: int, output: Path | None) -> dict[str, Any]:
    """Train, sample and measure; write what ``output`` asks for."""
    preset = PRESETS[name]
    published = tomllib.loads((HERE / "expected.toml").read_text())["published"]
    started = time.perf_counter()
    fashion = name.startswith("fashion-")
    train, labels, test, test_labels = load_images("fashion_mnist" if fashion else "mnist")
    train, labels = train[: preset["train"]], labels[: preset["train"]]
    test, test_labels = test[: preset["test"]], test_labels[: preset["test"]]
    table = {
        "preset": name,
        "data": "Fashion-MNIST" if fashion else "MNIST",
        "seed": seed,
        "generation": generation(preset, seed, train, labels, test, test_labels, output),
        "likelihood": None if fashion else likelihood(preset, seed, train, test, output),
        "published": {} if fashion else published,
        "total_seconds": round(time.perf_counter() - started, 1),
        "threads": torch.get_num_threads(),
    }
    return table


def show(table: dict[str, Any]) -> str:
    columns = ("reconstruction", "prior", "gaussian", "mixture")
    part, found, published = table["generation"], table["likelihood"], table["published"]
    lines = [f"{'':<34}" + "".join(f"{column:>16}" for column in columns)]
    for row in part["rows"]:
        reference = published.get(row["name"])
        for name, values in (
            (row["name"], row),
            *([("  published", reference)] if reference else []),
        ):
            cells = (f"{values[c]:>16.2f}" if c in values else f"{'':>16}" for c in columns)
            lines.append(f"{name:<34}" + "".join(cells))
    lines += [
        f"training images against test: {part['training_images_against_test']:.2f}",
        f"{part['unit']} that is right about {part['feature_net_test_accuracy']:.2%} of them",
        "samples closer to a training image than 99 in 100 reconstructed test images "
        "(1% by chance): "
        + ", ".join(f"{row['name']} {row['copies']:.1%}" for row in part["rows"]),
    ]
    if found is not None:
        lines += [
            "published: in Inception features, another scale",
            f"variational, binarized: at most {found['negative_log_likelihood']:.2f} "
            f"{found['unit']} ({found['samples']} codes per row; {found['bound_of_one_code']:.2f} "
            f"from one); published {published['negative_log_likelihood']}",
        ]
    lines.append(
        f"{table['data']}: {table['total_seconds']} s, {table['threads']} threads, "
        f"seed {table['seed']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(run, show, presets=PRESETS, description=__doc__)
