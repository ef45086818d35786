"""Ghosh et al. (2020): a density fitted to the codes turns any autoencoder into a generator.

Plain, regularized and variational nets on MNIST, each sampled from densities fitted to its codes,
and the likelihood of a variational net on binarized MNIST. The regularized net's penalty and the
likelihood net's weight decay are chosen on a sixth of the training images. The presets that begin
with "fashion" sample nets trained on Fashion-MNIST and skip the likelihood.
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
from narrows.cli.choosing import Study, validation_split
from narrows.cli.paper import main
from narrows.data import DenseSource
from narrows.data.datasets import load_half
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


RAE = "regularized (RAE-L2)"
PENALTIES = {f"L2 {weight:g}": weight for weight in (0.1, 0.01, 1.0)}
DECAYS = {f"weight decay {weight:g}": weight for weight in (0.05, 0.0, 0.2)}
"""Candidates; the presets but "best" and "fashion-best" compare the first two."""


def nets(
    preset: dict[str, int], penalty: float, seed: int
) -> dict[str, Autoencoder | VariationalAutoencoder]:
    """Return three nets 784-512-256-16 with mirrored decoders and the same loss.

    They differ only in how the code is regularized.
    """
    shared: dict[str, Any] = {
        "n_components": 16,
        "hidden": (512, 256),
        "loss": "bernoulli",
        "linear_start": False,
        "learning_rate": 2e-3,
        "max_epochs": preset["epochs"],
        "validation_fraction": 0.0,
        "random_state": seed,
    }
    return {
        "autoencoder": Autoencoder(**shared),
        RAE: Autoencoder(**shared, penalties=[L2(penalty), WeightDecay(1e-4)]),
        "variational": VariationalAutoencoder(**shared),
    }


def binarized(images: np.ndarray, seed: int) -> np.ndarray:
    """Return bits drawn once, each 1 with its pixel's gray value as probability."""
    rng = np.random.default_rng(seed)
    return (rng.random(images.shape) * 255 < images).astype(np.uint8)


def bound_net(preset: dict[str, int], weight_decay: float, seed: int) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        n_components=40,
        hidden=(500, 500),
        loss="bernoulli",
        scale="none",
        linear_start=False,
        learning_rate=2e-3,
        max_epochs=preset["bound_epochs"],
        batch_size=min(128, preset["train"] // 10),
        weight_decay=weight_decay,
        validation_fraction=0.05,
        patience=None,
        random_state=seed,
        verbose=1,
    )


class Judge:
    """A classifier of the training images, and the distance to query images in its features."""

    def __init__(self, preset: dict[str, int], seed: int, x: np.ndarray, labels: np.ndarray):
        self.net = train_features(
            _shares(x), _classes(labels), epochs=preset["feature_epochs"], seed=seed
        )

    def distance(self, images: np.ndarray | Tensor, reference: np.ndarray) -> float:
        """Return the Fréchet distance of images in [0, 1] to reference images, as bytes."""
        features = (features_of(self.net, x) for x in (_shares(reference), torch.as_tensor(images)))
        return frechet_distance(*features)

    def accuracy(self, x: np.ndarray, labels: np.ndarray) -> float:
        return accuracy(self.net, _shares(x), _classes(labels))


def _shares(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images / np.float32(255))


def _classes(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))


def _images(x: np.ndarray) -> DenseSource:
    source = DenseSource(x)
    source.image_shape = SHAPE
    return source


def samples(net: Any, n: int, density: str, seed: int) -> np.ndarray:
    """Return n samples in [0, 1], (n, 784)."""
    return (net.sample(n, density=density, random_state=seed) / 255).reshape(n, -1)


def choose(
    study: Study[Any], name: str, preset: dict[str, int], x: np.ndarray, labels: np.ndarray,
    seed: int,
) -> tuple[float, float]:  # fmt: skip
    """Return the weight of RAE-L2's penalty, and the weight decay of the likelihood's net.

    The latter is 0 for clothes, whose likelihood is not measured.
    """
    fit, validation = validation_split(len(x), seed=seed, y=labels)
    n = len(validation)
    known, held = _images(x[fit]), x[validation]
    judge = Judge(preset, seed, x[fit], labels[fit])

    def distance(penalty: float) -> float:
        net = nets(preset, penalty, seed)[RAE].fit(known)
        return judge.distance(samples(net, n, "mixture", seed), held)

    def bound(decay: float) -> float:
        net = bound_net(preset, decay, seed).fit(binarized(x[fit], seed))
        generator = Generator(net.model_.device).manual_seed(seed)
        bits = DenseSource(binarized(held, seed + 2))
        found = measure_likelihood(net.model_, bits, n_samples=1, generator=generator)
        return found.negative_log_likelihood

    def first(candidates: dict[str, float]) -> dict[str, float]:
        return dict(list(candidates.items())[: None if name.endswith("best") else 2])

    penalty = study.choose(
        "penalty of RAE-L2", first(PENALTIES), distance,
        unit=f"Fréchet distance of the mixture's samples to {n} training images",
    )  # fmt: skip
    if name.startswith("fashion-"):
        return penalty, 0.0
    return penalty, study.choose(
        "weight decay of the likelihood's net", first(DECAYS), bound,
        unit=f"nats per image of {n} training images, one code",
    )  # fmt: skip


def generation(
    preset: dict[str, int], penalty: float, seed: int, train: np.ndarray, labels: np.ndarray,
    study: Study[Any], output: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the distances of reconstructions and samples of each net to the test images."""
    judge = Judge(preset, seed, train, labels)
    source = _images(train)
    fitted = {name: net.fit(source) for name, net in nets(preset, penalty, seed).items()}
    test, test_labels = (part[: preset["test"]] for part in study.test())

    def distance(images: np.ndarray | Tensor) -> float:
        return judge.distance(images, test)

    # use as many training images as test images: the distance depends on the sample size
    order = torch.randperm(len(train), generator=Generator().manual_seed(seed)).numpy()
    floor = distance(_shares(train[order[: len(test)]]))
    rows = []
    sheet = {"test images": test[:10] / np.float32(255)}
    for name, ae in fitted.items():
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
            drawn = samples(ae, len(test), density, seed)
            row[density] = distance(drawn)
            sheet[f"{name}, {density}"] = drawn[:10]
        rows.append(row)
    if output is not None:
        lines = 255 * np.concatenate(list(sheet.values()))
        figure = sample_figure(fitted["variational"].model_, lines, labels=list(sheet))
        save_figure(figure, output / "samples.png")
    return {
        "unit": "Fréchet distance to the test images, in 64 features of a classifier",
        "feature_net_test_accuracy": judge.accuracy(test, test_labels),
        "training_images_against_test": floor,
        "rows": rows,
    }


def likelihood(
    preset: dict[str, int], decay: float, seed: int, train: np.ndarray, study: Study[Any],
    output: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the negative log-likelihood of binarized test images."""
    net = bound_net(preset, decay, seed).fit(binarized(train, seed))
    bits = DenseSource(binarized(study.test()[0][: preset["test"]], seed + 1))
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
    data = "fashion_mnist" if fashion else "mnist"
    train, labels = (part[: preset["train"]] for part in load_half(data, "train"))
    choices = ["penalty of RAE-L2"]
    choices += [] if fashion else ["weight decay of the likelihood's net"]
    study = Study(lambda: load_half(data, "test"), choices=choices)
    penalty, decay = choose(study, name, preset, train, labels, seed)
    table = {
        "preset": name,
        "data": "Fashion-MNIST" if fashion else "MNIST",
        "seed": seed,
        "generation": generation(preset, penalty, seed, train, labels, study, output),
        "likelihood": None if fashion else likelihood(preset, decay, seed, train, study, output),
        "choices": study.record,
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
