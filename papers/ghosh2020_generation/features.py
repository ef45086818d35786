"""The feature net used to compare samples, and the Fréchet distance between features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

WIDTH = 64


class FeatureNet(nn.Module):
    """A classifier of ten classes: two strided convolutions, 64 features, 10 logits.

    About 100,000 weights. Images are (batch, 784), from 0 to 1.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        shapes = [(16, 1, 5, 5), (32, 16, 3, 3), (WIDTH, 32 * 7 * 7), (10, WIDTH)]
        self.weights = nn.ParameterList(
            torch.randn(shape, generator=generator) * (2 / np.prod(shape[1:])) ** 0.5
            for shape in shapes
        )
        self.biases = nn.ParameterList(torch.zeros(shape[0]) for shape in shapes)

    def features(self, images: Tensor) -> Tensor:
        """Return the activations before the logits, (batch, 64)."""
        w, b = self.weights, self.biases
        x = images.view(-1, 1, 28, 28)
        x = F.relu(F.conv2d(x, w[0], b[0], stride=2, padding=2))
        x = F.relu(F.conv2d(x, w[1], b[1], stride=2, padding=1))
        return F.relu(F.linear(x.flatten(1), w[2], b[2]))

    def forward(self, images: Tensor) -> Tensor:
        return F.linear(self.features(images), self.weights[3], self.biases[3])


def train_features(images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> FeatureNet:
    """Train on all images in batches of 128 by Adam with a cosine schedule."""
    generator = Generator().manual_seed(seed)
    net = FeatureNet(generator)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    steps = epochs * -(-len(images) // 128)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(128):
            optimizer.zero_grad()
            F.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def features_of(net: FeatureNet, images: Tensor) -> np.ndarray:
    return torch.cat([net.features(batch) for batch in images.split(1024)]).double().numpy()


@torch.no_grad()
def accuracy(net: FeatureNet, images: Tensor, labels: Tensor) -> float:
    predictions = torch.cat([net(batch).argmax(dim=1) for batch in images.split(1024)])
    return float((predictions == labels).double().mean())


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) for two sets of features.

    Dowson, Landau (1982); for images Heusel et al. (2017), "GANs trained by a two time-scale
    update rule converge to a local Nash equilibrium", NIPS.
    """
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    values, axes = np.linalg.eigh(cov_a)
    root = (axes * np.sqrt(values.clip(0))) @ axes.T
    # (S_a S_b)^(1/2) has the same trace as (root S_b root)^(1/2), whose argument is symmetric
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    means = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(means + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)
