"""Generated texts about a few topics; each word belongs to one topic."""

from __future__ import annotations

import numpy as np

TOPICS = {
    "sea": "ship sail harbour wave tide anchor captain storm gull reef".split(),
    "bread": "flour oven dough yeast crust baker loaf knead butter salt".split(),
    "stars": "orbit comet planet nebula telescope moon galaxy sun eclipse light".split(),
}
COMMON = "people often speak about things".split()


def topic_texts(n: int = 120, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Return texts of 12 words of one topic and a few common ones, and the topics."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(TOPICS), size=n)
    return [
        " ".join([*rng.choice(TOPICS[label], size=12), *rng.choice(COMMON, size=3)])
        for label in labels
    ], labels
