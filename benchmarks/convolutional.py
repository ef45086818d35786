"""Measure convolutional training on a folder of 64 x 64 images, in images per second.

The images are synthetic (smooth random colors, written as JPEG); all contenders read the same
folder. The plain loop is the same net in ordinary PyTorch: a Dataset that decodes one image, a
DataLoader with the given number of workers, torch.nn modules, Adam, float32. "the net alone" trains
on images in memory, as if decoding and collating were free.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import described, versions
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "convolutional.md"
CHANNELS = (32, 64, 128, 256)
CODE = 128

NARROWS = r"""
import json, sys, time
from narrows import ConvolutionalAutoencoder, read
folder, batch, epochs, channels, code, precision, stream = sys.argv[1:8]
source = read(folder, stream=stream == "stream")
ae = ConvolutionalAutoencoder(int(code), channels=json.loads(channels), max_epochs=int(epochs),
                              batch_size=int(batch), validation_fraction=0.0, random_state=0,
                              precision=precision)
ae.fit(source)
record = ae.model_.record
seconds = sorted(epoch["seconds"] for epoch in record["epochs"])
print(json.dumps({"seconds": seconds[len(seconds) // 2], "precision": record["precision"]}))
"""

PLAIN = r"""
import json, sys, time
from pathlib import Path
import numpy as np, torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
folder, batch, epochs, channels, code, workers, memory = sys.argv[1:8]
channels, code = json.loads(channels), int(code)

class Images(Dataset):
    def __init__(self):
        self.paths = sorted(Path(folder).iterdir())
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, i):
        image = np.asarray(Image.open(self.paths[i]).convert("RGB"))
        return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255

torch.manual_seed(0)
side = 64 >> len(channels)
down, up, before = [], [], 3
for n in channels:
    down += [nn.Conv2d(before, n, 4, 2, 1), nn.SiLU()]
    before = n
for n in [*channels[-2::-1], 3]:
    up += [nn.SiLU(), nn.ConvTranspose2d(before, n, 4, 2, 1)]
    before = n
flat = channels[-1] * side * side
net = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, code), nn.Linear(code, flat),
                    nn.Unflatten(1, (channels[-1], side, side)), *up)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
data = Images()
if memory == "memory":
    batches = torch.stack(list(data)).split(int(batch))
else:
    batches = DataLoader(data, batch_size=int(batch), shuffle=True, num_workers=int(workers))
seconds = []
for _ in range(int(epochs)):
    started = time.perf_counter()
    for x in batches:
        loss = (x - torch.sigmoid(net(x))).square().sum(dim=(1, 2, 3)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds": sorted(seconds)[len(seconds) // 2]}))
"""

LIMIT = r"""
import json, sys
import torch
from torch.profiler import ProfilerActivity, profile
from narrows.data.scaling import Scaling
from narrows.variants.building import build_objective
from narrows.training.trainer import Trainer
batch, channels, code = int(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
parameters = {"n_components": code, "image_shape": [64, 64, 3], "channels": channels,
              "loss": {"name": "squared_error", "link": "logistic"}}
objective = build_objective("convolutional", parameters, 64 * 64 * 3)
trainer = Trainer(objective, Scaling("none"), learning_rate=1e-3, precision="auto",
                  device=torch.device("cpu"), seed=0)
x = torch.rand(batch, 64 * 64 * 3)
for _ in range(3):
    trainer.step(x, factor=1.0)
with profile(activities=[ProfilerActivity.CPU]) as measured:
    for _ in range(10):
        trainer.step(x, factor=1.0)
times = {event.key: event.self_cpu_time_total for event in measured.key_averages()}
within = sum(time for name, time in times.items() if "convolution" in name)
print(json.dumps({"share": within / sum(times.values())}))
"""


def child(script: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def write_images(folder: Path, n: int) -> None:
    """Write n smooth images of 64 x 64."""
    rng = np.random.default_rng(0)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        small.resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{i:06}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    net = (json.dumps(CHANNELS), CODE)
    common = (arguments.batch, arguments.epochs, *net)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, arguments.images)
        contenders = {
            "narrows": lambda: child(NARROWS, folder, *common, "auto", "memory"),
            "narrows, streamed": lambda: child(NARROWS, folder, *common, "auto", "stream"),
            "narrows, float32": lambda: child(NARROWS, folder, *common, "float32", "memory"),
            "plain loop, no workers": lambda: child(PLAIN, folder, *common, 0, "folder"),
            "plain loop, 2 workers": lambda: child(PLAIN, folder, *common, 2, "folder"),
            "plain loop, the net alone": lambda: child(PLAIN, folder, *common, 0, "memory"),
        }
        turns: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(arguments.turns):
            for contender, measure in contenders.items():
                turns[contender].append(measure()["seconds"])
    middle = {contender: sorted(seconds)[len(seconds) // 2] for contender, seconds in turns.items()}
    best_plain = min(middle["plain loop, no workers"], middle["plain loop, 2 workers"])
    lines = [
        "# Convolutional training: images per second",
        "",
        f"Written by `python benchmarks/convolutional.py`. {described()}",
        versions(["narrows", "torch", "numpy", "pillow"]),
        "",
        f"An epoch over a folder of {arguments.images:,} JPEG images of 64 x 64, maps of "
        f"{', '.join(map(str, CHANNELS))} channels, a code of {CODE}, batches of "
        f"{arguments.batch}; median of {arguments.turns} interleaved runs, each in its own "
        "process. The last column is relative to the faster plain loop that reads the folder.",
        "",
        "| | images per second | times as fast |",
        "|---|---|---|",
    ]
    for contender, seconds in middle.items():
        rate, ratio = arguments.images / seconds, best_plain / seconds
        lines.append(f"| {contender} | {rate:,.0f} | {ratio:.2f} |")
    limit = child(LIMIT, arguments.batch, *net)["share"]
    lines += [
        "",
        f"The limit: {limit:.0%} of a step is spent in oneDNN's convolutions and their gradients.",
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main()
