"""Generate data sets like those of Larochelle et al. (2007), whose files were unavailable.

    basic     the digits as they are
    rot       digits rotated by a uniform random angle
    bg-rand   digits on uniform random pixels
    rect      outlines of rectangles: wider than tall, or taller than wide?
    convex    white regions: convex or not?

Each is (images (n, 784) uint8, classes (n,) int64), drawn from a seed. The draws differ from the
published ones, so results on them give a scale, not a ranking.

Larochelle, Erhan, Courville, Bergstra, Bengio (2007), "An empirical evaluation of deep
architectures on problems with many factors of variation", ICML.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import rotate

from narrows.data.datasets import load_half

__all__ = ["PROBLEMS", "Labeled", "basic", "bg_rand", "convex", "rect", "rot"]

Labeled = tuple[np.ndarray, np.ndarray]

_SIDE = 28


def basic(n: int, *, seed: int) -> Labeled:
    """Return the first n digits of MNIST's training and test images, in this order."""
    images, labels = load_half("mnist", "train")
    if n > len(images):
        more, more_labels = load_half("mnist", "test")
        images, labels = np.concatenate([images, more]), np.concatenate([labels, more_labels])
    return images[:n], labels[:n].astype(np.int64)


def rot(n: int, *, seed: int) -> Labeled:
    """Return digits rotated by an angle uniform in [0, 360) degrees, bilinear."""
    images, classes = basic(n, seed=seed)
    angles = np.random.default_rng(seed).uniform(0, 360, n)
    rotated = [
        rotate(image.reshape(_SIDE, _SIDE), angle, reshape=False, order=1)
        for image, angle in zip(images, angles, strict=True)
    ]
    return np.stack(rotated).reshape(n, -1), classes


def bg_rand(n: int, *, seed: int) -> Labeled:
    """Return digits over uniform noise in [0, 255]: the maximum of the two."""
    images, classes = basic(n, seed=seed)
    noise = np.random.default_rng(seed).integers(0, 256, images.shape, dtype=np.uint8)
    return np.maximum(images, noise), classes


def rect(n: int, *, seed: int) -> Labeled:
    """Return outlines of rectangles, class 1 if wider than tall.

    Width, height (1 to 28, at least 3 apart) and place are uniform.
    """
    draw = np.random.default_rng(seed)
    images = np.zeros((n, _SIDE, _SIDE), dtype=np.uint8)
    classes = np.empty(n, dtype=np.int64)
    for i in range(n):
        width = height = 0
        while abs(width - height) < 3:
            width, height = draw.integers(1, _SIDE + 1, 2)
        top, left = draw.integers(0, _SIDE - height + 1), draw.integers(0, _SIDE - width + 1)
        images[i, top : top + height, left : left + width] = 255
        images[i, top + 1 : top + height - 1, left + 1 : left + width - 1] = 0
        classes[i] = width > height
    return images.reshape(n, -1), classes


def convex(n: int, *, seed: int) -> Labeled:
    """Return white regions, half of them convex (class 1).

    A convex region is the intersection of one to four random half-planes. The others are unions of
    two or three convex ones, redrawn until they are not convex. Every region covers between a
    twentieth and nine tenths of the image.
    """
    draw = np.random.default_rng(seed)
    images = np.empty((n, _SIDE, _SIDE), dtype=np.uint8)
    classes = (np.arange(n) % 2).astype(np.int64)[draw.permutation(n)]
    for i, wanted in enumerate(classes):
        while True:
            parts = 1 if wanted else int(draw.integers(2, 4))
            region = np.any([_half_planes(draw) for _ in range(parts)], axis=0)
            if 0.05 < region.mean() < 0.9 and (wanted or not _is_convex(region)):
                break
        images[i] = region * np.uint8(255)
    return images.reshape(n, -1), classes


_DOWN, _ACROSS = np.mgrid[:_SIDE, :_SIDE] + 0.5


def _half_planes(draw: np.random.Generator) -> np.ndarray:
    """Return the pixels whose centers lie in one to four random half-planes."""
    region = np.ones((_SIDE, _SIDE), dtype=bool)
    for _ in range(draw.integers(1, 5)):
        angle = draw.uniform(0, 2 * np.pi)
        x, y = draw.uniform(0, _SIDE, 2)
        region &= (_ACROSS - x) * np.cos(angle) + (_DOWN - y) * np.sin(angle) > 0
    return region


def _is_convex(region: np.ndarray) -> bool:
    """Return whether the region contains every pixel center in the convex hull of its centers."""
    from scipy.spatial import Delaunay, QhullError

    points = np.argwhere(region)
    try:
        hull = Delaunay(points)
    except QhullError:  # all points on one line
        return False
    inside = hull.find_simplex(np.argwhere(np.ones_like(region))) >= 0
    return int(inside.sum()) == len(points)


PROBLEMS = {"basic": basic, "rot": rot, "bg-rand": bg_rand, "rect": rect, "convex": convex}
