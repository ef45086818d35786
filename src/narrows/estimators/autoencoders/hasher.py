"""The semantic hasher: rows to bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from narrows.applications.retrieval.hashing import packed_codes, set_median_thresholds
from narrows.core.checks import check_number
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.encoders.binary import BINARIZATIONS
from narrows.errors import unknown_name
from narrows.estimators.autoencoders.plan import Choice
from narrows.estimators.autoencoders.text_autoencoder import TextAutoencoder
from narrows.estimators.parameters import keep
from narrows.estimators.shared_texts import documented

__all__ = ["SemanticHasher"]

_THRESHOLDS = ("zero", "median")


@documented
class SemanticHasher(TextAutoencoder):
    """Learn bits that say what a row is about: near rows differ in few of them.

    A net from x to z, bits h = sign(z - threshold), and one matrix from bits back to x; noise on z
    in training drives the bits apart. ``hash`` packs them into bytes, the address of a row in a
    table or an index; ``transform`` gives them as numbers -1 and 1. X is texts, as for
    ``DocumentAutoencoder``, or rows of any kind: counts, vectors, images.

    Parameters
    ----------
    n_components : int, default=32
        Number of bits.
    max_features : ...
    min_df : ...
    max_df : ...
    stop_words : ...
    stemmer : ...
    token_pattern : ...
    analyzer : ...
    ngram_range : ...
    n_neighbors : ...
    neighbors_by : ...
    binarization : {"noise", "straight_through"}, default="noise"
        What makes bits differentiable: noise added to z, or bits drawn with probability
        sigmoid(z), through which the gradient passes straight.
    noise : float, default=1.0
        Deviation of that noise, in units of z.
    n_groups : int, default=1
        Groups of bits, each of which has to rebuild a row by itself in training: what a group
        gets wrong others get right. For 128 bits of texts try 4, with "masking:0.7".
    threshold : {"zero", "median"}, default="zero"
        Above which z is a 1; "median" has every bit split the training rows in halves.
    hidden : sequence of int, default=(500,)
        Widths of the encoder's hidden layers; the decoder has none.
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Between dense layers.
    corruption : str, spec, corruption or None, default="masking:0.3"
        x -> x~ in training; masking drops words.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        As in ``Autoencoder``.
    penalties : ...
    augmentation : ...
    decoder : ...
    scale : {"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}, default="auto"
        As in ``Autoencoder``, but "auto" takes counts to "tfidf".
    max_epochs : ...
    batch_size : ...
    learning_rate : ...
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    vocabulary_ : Vocabulary
        The words of an estimator fitted to texts.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``; the other attributes are those of
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, by the slot that owns the value.

    References
    ----------
    Salakhutdinov, Hinton (2009), "Semantic hashing", International Journal of Approximate
    Reasoning 50.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import SemanticHasher
    >>> X = load_digits().data
    >>> hasher = SemanticHasher(16, hidden=(64,), max_epochs=3, random_state=0).fit(X)
    >>> hasher.hash(X).shape
    (1797, 2)
    """

    neighbors_by: str
    binarization: str
    noise: float
    n_groups: int
    threshold: str

    def __init__(
        self,
        n_components: int = 32,
        *,
        max_features: int | None = 10_000,
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        stop_words: str | Sequence[str] | None = "english",
        stemmer: str | None = "porter",
        token_pattern: str | None = None,
        analyzer: str = "auto",
        ngram_range: str | Sequence[int] = "auto",
        n_neighbors: int | None = None,
        neighbors_by: str = "auto",
        binarization: str = "noise",
        noise: float = 1.0,
        n_groups: int = 1,
        threshold: str = "zero",
        hidden: Sequence[int] = (500,),
        activation: str = "silu",
        corruption: Any = "masking:0.3",
        loss: Any = "auto",
        penalties: Any = (),
        augmentation: Any = None,
        decoder: Any = None,
        scale: str = "auto",
        max_epochs: int = 30,
        batch_size: int | str = "auto",
        learning_rate: float = 2e-3,
        weight_decay: float = 1.0,
        validation_fraction: float = 0.1,
        patience: int | None = 10,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        parameters = {
            **self._shape(),
            "binarization": self.binarization,
            "noise": float(self.noise),
            "n_groups": int(self.n_groups),
            **self._slots(),
        }
        return Choice("hashing", parameters, counts_scale="tfidf")

    def hash(self, X: Any) -> np.ndarray:
        """Return the bits of X packed, uint8 (n_samples, ceil(n_components / 8)), as np.packbits
        packs them: the first bit is the highest of the first byte."""
        return np.concatenate(list(packed_codes(*self._validated_query(X))))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("noise", self.noise, low=0)
        check_number("n_groups", self.n_groups, low=1, high=self.n_components, integer=True)
        if not isinstance(self.binarization, str) or self.binarization not in BINARIZATIONS:
            raise unknown_name("binarization", self.binarization, BINARIZATIONS)
        if self.threshold not in _THRESHOLDS:
            raise unknown_name("threshold", self.threshold, _THRESHOLDS)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Pass once over X at the constant learning rate; median thresholds become those of X."""
        super().partial_fit(X, y)
        if self.threshold == "median":
            set_median_thresholds(*self._validated_query(X))
        return self

    def _finish(self, training: Source, statistics: Statistics) -> None:
        if self.threshold == "median":
            set_median_thresholds(self.model_, training)
