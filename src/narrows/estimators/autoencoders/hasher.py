"""The semantic hasher: codes of bits."""

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
from narrows.fitting.auto_settings import HASHED_ROWS, HASHED_WORDS
from narrows.model.coding import all_rows
from narrows.model.model import Model

__all__ = ["SemanticHasher"]

_THRESHOLDS = ("zero", "median")


@documented
class SemanticHasher(TextAutoencoder):
    """Learn binary codes for retrieval: similar rows differ in few bits.

    A net maps x to z, the bits are h = sign(z - threshold), and one matrix maps the bits back to x;
    noise on z in training drives z away from the threshold. ``hash`` packs the bits into bytes, as
    keys of a table or an index; ``transform`` returns them as -1 and 1. X holds texts, as for
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
        How bits are made differentiable: by noise added to z, or by bits drawn with probability
        sigmoid(z) and the straight-through gradient.
    noise : float, default=1.0
        Standard deviation of the noise, in units of z.
    n_groups : int, default=1
        Number of groups of bits. Each group reconstructs the row on its own in training, so that
        groups correct each other's errors. For 128 bits of texts try 4, with "masking:0.7".
    threshold : {"zero", "median"}, default="zero"
        Bits are 1 where z is above it; with "median" each bit splits the training rows in half.
    hidden : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder has none. "auto" is none for fewer than
        8,000 texts or rows of counts, otherwise (500,).
    activation : {"silu", "gelu", "relu", "tanh", "sigmoid", "linear"}, default="silu"
        Activation between dense layers.
    corruption : str, spec, corruption or None, default="masking:0.3"
        Corruption x -> x~ in training; masking drops words.
    loss : {"auto", "squared_error", "bernoulli", "multinomial"} or a loss, default="auto"
        Reconstruction loss, as in ``Autoencoder``.
    penalties : ...
    augmentation : ...
    decoder : ...
    scale : {"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}, default="auto"
        As in ``Autoencoder``, but "auto" takes "tfidf" for counts.
    linear_start : bool, default=True
        Whether training starts at a linear code: latent semantic analysis (LSA) of texts and rows
        of counts, whose bits are the signs of its direction after a rotation, PCA of other rows.
        Hidden layers are added beside it. With False, and with a decoder of your own, training
        starts at random weights.
    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the data. The learning rate warms up over the first tenth,
        then decays as a cosine. "auto" makes 40 passes over texts or counts from a linear start, or
        more for 160 steps, up to 160 passes; otherwise 30.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is 128 for texts and counts, or 256 of 12,000 or more; otherwise a
        power of two near n_samples / 64, from 16 (or 32, of 700 samples or more) to 256.
    learning_rate : float or "auto", default="auto"
        Peak learning rate of Adam; "auto" is 0.003 for texts and counts from a linear start,
        otherwise 0.002.
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
        Vocabulary, if fitted to texts.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in ``loss_unit_``. The other attributes are as in
        ``Autoencoder``.

    Raises
    ------
    ValueError
        At ``fit``, naming the slot whose value is invalid.

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
        hidden: Sequence[int] | str = "auto",
        activation: str = "silu",
        corruption: Any = "masking:0.3",
        loss: Any = "auto",
        penalties: Any = (),
        augmentation: Any = None,
        decoder: Any = None,
        scale: str = "auto",
        linear_start: bool = True,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        validation_fraction: float | str = "auto",
        patience: int | str | None = "auto",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def _choice(self) -> Choice:
        parameters = {
            **self._shape(always_path=True),
            "binarization": self.binarization,
            "noise": float(self.noise),
            "n_groups": int(self.n_groups),
            **self._slots(decoder=self.decoder),
        }
        return Choice(
            "hashing",
            parameters,
            counts_scale="tfidf",
            auto=HASHED_WORDS,
            auto_otherwise=HASHED_ROWS,
            bounded=False,
            augmentation=self.augmentation,
            n_neighbors=self.n_neighbors,
            neighbors_by=self.neighbors_by,
            after_training=_take_medians if self.threshold == "median" else None,
        )

    def hash(self, X: Any) -> np.ndarray:
        """Return the bits of X, packed as by ``np.packbits``, uint8 (n_samples,
        ceil(n_components / 8)): the first bit is the highest bit of the first byte."""
        return all_rows(packed_codes(*self._validated_query(X)))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("noise", self.noise, low=0)
        check_number("n_groups", self.n_groups, low=1, high=int(self.n_components), integer=True)
        if not isinstance(self.binarization, str) or self.binarization not in BINARIZATIONS:
            raise unknown_name("binarization", self.binarization, BINARIZATIONS)
        if self.threshold not in _THRESHOLDS:
            raise unknown_name("threshold", self.threshold, _THRESHOLDS)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over X at a constant learning rate; medians are taken over X."""
        super().partial_fit(X, y)
        if self.threshold == "median":
            set_median_thresholds(*self._validated_query(X))
        return self


def _take_medians(model: Model, training: Source, statistics: Statistics) -> dict[str, Any]:
    """Set the thresholds to the medians over the training rows; no attribute is fitted."""
    set_median_thresholds(model, training)
    return {}
