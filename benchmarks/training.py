"""Measure seconds per epoch of 784-1000-500-250-30 for Narrows, its peers and the limit.

Every contender trains the same net on the same digits with the same batch size; they
alternate, one epoch each, and the table holds medians over the turns. Tied and untied nets, float32
and bfloat16 products are compared with a plain PyTorch loop of the same kind; the peers are untied
and in float32. The limit is the time of the matrix products alone, with the fastest kernels that
torch has for the processor and with those of torch.matmul. `make bench` installs the peers and runs
this.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import described, versions
from torch import nn
from torch.nn import functional as F

from narrows.core.linear_kernels import product
from narrows.data import DenseSource
from narrows.data.datasets import load_images
from narrows.data.scaling import fit_scaling
from narrows.data.statistics import describe
from narrows.training.trainer import Trainer
from narrows.variants.building import build_objective

WIDTHS = (784, 1000, 500, 250, 30)
HIDDEN = list(WIDTHS[1:-1])
RESULTS = Path(__file__).parent / "results" / "training.md"

Epoch = Callable[[], None]


KINDS = {"untied": "plain", "tied": "tied"}
"""The variant of each kind of net."""


def narrows(images: np.ndarray, batch: int, precision: str, kind: str) -> Epoch:
    source = DenseSource(images)
    scaling = fit_scaling("unit", source, describe(source))
    loss = {"name": "squared_error", "link": "logistic"}
    parameters = {"n_components": WIDTHS[-1], "hidden": HIDDEN, "loss": loss}
    objective = build_objective(KINDS[kind], parameters, WIDTHS[0])
    trainer = Trainer(
        objective, scaling, learning_rate=1e-3, precision=precision, device=torch.device("cpu"),
        seed=0,
    )  # fmt: skip
    trainer.step(next(source.shuffled(batch, generator=torch.Generator())), factor=0.0)

    def epoch() -> None:
        for raw in source.shuffled(batch, generator=trainer.sampler):
            trainer.step(raw, factor=1.0)
        trainer.pop_means()

    return epoch


def mirror() -> nn.Sequential:
    """Return the same net in ordinary PyTorch, untied."""
    layers: list[nn.Module] = []
    widths = [*WIDTHS, *WIDTHS[-2::-1]]
    for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.Linear(n_in, n_out))
        if i not in (len(WIDTHS) - 2, len(widths) - 2):
            layers.append(nn.SiLU())
    return nn.Sequential(*layers, nn.Sigmoid())


class TiedMirror(nn.Module):
    """The same net in ordinary PyTorch, with the encoder's weights transposed in the decoder."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip(WIDTHS, WIDTHS[1:], strict=False)
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairs)
        self.biases = nn.ParameterList(torch.zeros(width) for width in WIDTHS[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = F.silu(layer(x))
        x = self.layers[-1](x)
        for i in reversed(range(len(self.layers))):
            x = F.linear(x, self.layers[i].weight.t(), self.biases[i])
            x = F.silu(x) if i else x.sigmoid()
        return x


def plain_loop(images: np.ndarray, batch: int, precision: str, kind: str) -> Epoch:
    from torch.utils.data import DataLoader, TensorDataset

    x = torch.from_numpy(images.astype(np.float32) / 255)
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True)
    net = TiedMirror() if kind == "tied" else mirror()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    bfloat16 = precision == "bfloat16"

    def epoch() -> None:
        total = 0.0
        for (rows,) in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                output = net(rows)
            loss = (output.float() - rows).square().sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()

    return epoch


def skorch(images: np.ndarray, batch: int) -> Epoch:
    from skorch import NeuralNetRegressor

    x = images.astype(np.float32) / 255
    net = NeuralNetRegressor(
        mirror, max_epochs=1, lr=1e-3, batch_size=batch, optimizer=torch.optim.Adam,
        iterator_train__shuffle=True, train_split=None, verbose=0,
    ).initialize()  # fmt: skip
    return lambda: net.partial_fit(x, x)


def pyod(images: np.ndarray, batch: int) -> Epoch:
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.utils.torch_utility import TorchDataset

    x = images.astype(np.float32) / 255
    detector = AutoEncoder(
        preprocessing=False, epoch_num=1, batch_size=batch, hidden_neuron_list=[*HIDDEN, 30],
        batch_norm=False, dropout_rate=0.0, verbose=0,
    )  # fmt: skip
    detector.feature_size = x.shape[1]
    detector.build_model()
    detector.training_prepare()
    rows = TorchDataset(X=x, y=None)
    loader = torch.utils.data.DataLoader(rows, batch_size=batch, shuffle=True, drop_last=True)
    return lambda: detector.train(loader)


def pythae(images: np.ndarray, batch: int) -> Epoch:
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = mirror()[: 2 * len(WIDTHS) - 3]

        def forward(self, x: torch.Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.net(x))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = mirror()[2 * len(WIDTHS) - 3 :]

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z))

    x = torch.from_numpy(images.astype(np.float32) / 255)
    model = AE(AEConfig(input_dim=(784,), latent_dim=30), Encoder(), Decoder())
    config = BaseTrainerConfig(
        output_dir="/dev/null", per_device_train_batch_size=batch, num_epochs=1, no_cuda=True
    )
    trainer = BaseTrainer.__new__(BaseTrainer)
    trainer.model, trainer.training_config, trainer.distributed = model, config, False
    trainer.rank, trainer.device = -1, "cpu"
    trainer.amp_context = torch.autocast("cpu", enabled=False)
    trainer.train_loader = torch.utils.data.DataLoader(
        BaseDataset(x, torch.zeros(len(x))), batch_size=batch, shuffle=True
    )
    trainer.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    trainer.callback_handler = type(
        "Silent", (), {"__getattr__": lambda self, name: lambda **kwargs: None}
    )()
    return lambda: trainer.train_step(1)


def scikit_learn(images: np.ndarray, batch: int) -> Epoch:
    from sklearn.neural_network import MLPRegressor

    x = images.astype(np.float32) / 255
    net = MLPRegressor(
        hidden_layer_sizes=(*HIDDEN, 30, *HIDDEN[::-1]), activation="relu", batch_size=batch,
        max_iter=1, warm_start=True,
    )  # fmt: skip

    def epoch() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net.fit(x, x)

    return epoch


Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def limit(n_rows: int, batch: int, precision: str, product: Product = product) -> Epoch:
    """Return an epoch of matrix products only: one forward and two backward per layer."""
    dtype = getattr(torch, precision)
    widths = [*WIDTHS, *WIDTHS[-2::-1]]
    layers = [
        tuple(torch.randn(*size).to(dtype) for size in ((batch, i), (i, o), (batch, o)))
        for i, o in zip(widths, widths[1:], strict=False)
    ]

    def epoch() -> None:
        for _ in range(n_rows // batch):
            for at, (x, weight, gradient) in enumerate(layers):
                product(x, weight)
                product(x.t(), gradient)
                if at:  # the gradient of the input is not needed
                    product(gradient, weight.t())

    return epoch


def seconds(epoch: Epoch) -> float:
    started = time.perf_counter()
    epoch()
    return time.perf_counter() - started


def measure(contenders: dict[str, Epoch], turns: int) -> dict[str, float]:
    """Return the median seconds of each contender over alternating turns after a warm-up turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns + 1):
        for name, epoch in contenders.items():
            taken = seconds(epoch)
            if turn:
                times[name].append(taken)
        print(f"turn {turn}: " + ", ".join(f"{n} {t[-1]:.2f}" for n, t in times.items() if t))
    return {name: statistics.median(values) for name, values in times.items()}


def rows_of(times: dict[str, float], plain: dict[str, str], limits: dict[str, str]) -> list[str]:
    """Return the table; ``plain`` and ``limits`` name each contender's plain loop and limit."""
    lines = ["| | seconds per epoch | times as fast as a plain loop alike | share of its limit |"]
    lines.append("|---|---|---|---|")
    for name, taken in times.items():
        times_as_fast = f"{times[plain[name]] / taken:.2f}" if name in plain else ""
        share = f"{times[limits[name]] / taken:.0%}" if name in limits else ""
        lines.append(f"| {name} | {taken:.2f} | {times_as_fast} | {share} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--no-peers", action="store_true", help="skip the peers")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    images = load_images("mnist")[0][: arguments.rows]
    text = ["# Training: seconds per epoch", "", __doc__.split("\n\n")[1].strip(), "", described()]
    packages = ["torch", "numpy", "scikit-learn"]
    for batch in (256, 1024):
        contenders: dict[str, Epoch] = {}
        plain, limits = {}, {}
        for kind in KINDS:
            for precision in ("float32", "bfloat16"):
                setup = (images, batch, precision, kind)
                names = [f"{who}, {kind}, {precision}" for who in ("Narrows", "plain PyTorch loop")]
                contenders[names[0]] = narrows(*setup)
                contenders[names[1]] = plain_loop(*setup)
                plain |= dict.fromkeys(names, names[1])
                limits |= dict.fromkeys(names, f"limit, {precision}")
        if not arguments.no_peers and batch == 256:
            peers = {
                "skorch": skorch(images, batch),
                "PyOD AutoEncoder": pyod(images, batch),
                "pythae AE": pythae(images, batch),
                "scikit-learn MLPRegressor": scikit_learn(images, batch),
            }
            contenders |= peers
            plain |= dict.fromkeys(peers, "plain PyTorch loop, untied, float32")
            limits |= dict.fromkeys(peers, "limit, float32")
            packages += ["skorch", "pyod", "pythae"]
        for name, setup in (
            ("limit, float32", ("float32",)),
            ("limit, bfloat16", ("bfloat16",)),
            ("limit, float32, torch.matmul", ("float32", torch.matmul)),
        ):
            contenders[name] = limit(len(images), batch, *setup)
        times = measure(contenders, arguments.turns)
        text += ["", f"## Batches of {batch}", "", *rows_of(times, plain, limits)]
    text += ["", versions(packages), ""]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
