"""The classifier on a code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from torch import Tensor

from narrows.applications.heads.label_propagation import propagate_classes
from narrows.core.checks import check_number
from narrows.core.terms import Trainable
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.errors import UsageError
from narrows.estimators.heads.base import GivenTargets
from narrows.estimators.heads.supervised import SupervisedHead
from narrows.estimators.parameters import keep
from narrows.estimators.sample_weights import check_class_weight, class_weights
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import (
    check_known_classes,
    known_labels,
    read_classes,
    warn_of_held_out_classes,
)
from narrows.fitting.head import (
    HeadRecipe,
    HeadSettings,
    Prepared,
    begin_head,
    on_features,
    standardize_frozen,
    weigh_rows,
)
from narrows.model.model import Model
from narrows.objectives.code_task import CodeTask, HeadTask
from narrows.objectives.virtual_adversarial import SmoothTask

__all__ = ["CodeClassifier"]


@documented
class CodeClassifier(ClassifierMixin, SupervisedHead):
    """Say the class of a row from its code.

    A linear map or a small net on a layer of an encoder, trained by cross-entropy; the encoder
    stays as it is, is fine-tuned by the same loss, or trains on by both the task and the
    reconstruction. With a code learned from many rows, few labels go a long way.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    hidden : ...
    activation : ...
    corruption : ...
    dropout : ...
    reconstruction_weight : ...
    missing_label : object, default=None
        The value of y where the class is not known, such as -1: those rows count in the
        reconstruction of "joint", and take a label with ``n_neighbors``; else they do not
        count. None: every y is a class.
    n_neighbors : int or None, default=None
        Spread the labels told along the graph of so many nearest codes first (10 is usual), to the
        rows whose class is unknown, and learn from all of them: with few labels and many rows of
        images, much is gained. None spreads none. Codes are standardized. Cost: each row is
        compared with all others, 6 s for 30,000 codes of 30 numbers on one core.
    adversarial_radius : float, default=0.0
        Where the encoder trains, a row and its worst neighbor at this distance in scaled units
        (for 28 x 28 images in [0, 1] try 2) are to be given the same class: virtual adversarial
        training. Rows of unknown class count in it. Dense rows only; a step takes 2 to 3 times as
        long. 0 is without.
    class_weight : dict, "balanced" or None, default=None
        The weight of each class in the loss: a dict by class, 1 for those it lacks; "balanced"
        weighs all classes alike, however rare in the training rows. Without it, a class of few
        rows is hardly ever predicted.
    max_epochs : int or None, default=None
        Passes over the rows at most; None takes 50, and where rows are few as many as make about
        3,000 steps, 1,500 at most.
    batch_size : ...
    learning_rate : float or None, default=None
        The highest rate of Adam; None takes 0.01 where the encoder is frozen, else 0.001.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, trained on where ``training`` says so.
    layer_ : int
        The layer that the head reads, counted from 0.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats.
    validation_history_ : list of float
        Mean held-out cross-entropy per epoch, in nats.
    training_rows_, held_out_rows_ : ndarray of int
        Which rows of X were trained on and which held out, by their numbers; not kept in the file.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        What ``max_epochs`` came to.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value.

    References
    ----------
    Bengio, Lamblin, Popovici, Larochelle (2007), "Greedy layer-wise training of deep networks",
    NIPS. Le, Patterson, White (2018), "Supervised autoencoders: improving generalization
    performance with unsupervised regularizers", NeurIPS. Miyato, Maeda, Koyama, Ishii (2018),
    "Virtual adversarial training", IEEE TPAMI 41.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import Autoencoder, CodeClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = Autoencoder(16, hidden=(64,), scale="unit", max_epochs=20, random_state=0).fit(X)
    >>> few = CodeClassifier(ae, random_state=0).fit(X[:100], y[:100])
    >>> bool(few.score(X[100:], y[100:]) > 0.75)
    True
    """

    missing_label: Any
    n_neighbors: int | None
    adversarial_radius: float
    class_weight: Any
    classes_: np.ndarray

    _answer = "probabilities"

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        hidden: Sequence[int] = (),
        activation: str = "silu",
        corruption: Any = "identity",
        dropout: float = 0.0,
        reconstruction_weight: float = 0.1,
        missing_label: Any = None,
        n_neighbors: int | None = None,
        adversarial_radius: float = 0.0,
        class_weight: Any = None,
        max_epochs: int | None = None,
        batch_size: int | str = "auto",
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class, (n_samples, n_classes), as in ``classes_``."""
        return softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of every row, (n_samples,)."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the rows whose class is said right, in [0, 1].

        Rows of unknown class (``missing_label``) do not count; NaN if there are no others.
        """
        predicted = self.predict(X)
        labels, known = known_labels(y, len(predicted), unknown=self.missing_label)
        if not known.any():
            return math.nan
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(labels[known] == predicted[known], weights=weights))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if np.ndim(self.missing_label):
            raise UsageError(f"missing_label: must be one value, got {self.missing_label!r}.")
        check_class_weight(self.class_weight)
        check_number("adversarial_radius", self.adversarial_radius, low=0)
        if self.adversarial_radius and self.training == "frozen":
            raise UsageError(
                "adversarial_radius: must be 0 with training='frozen', got "
                f"{self.adversarial_radius!r}; use 'fine_tuned' or 'joint'."
            )
        if self.n_neighbors is None:
            return
        check_number(
            "n_neighbors",
            self.n_neighbors,
            low=1,
            integer=True,
            way_out="None spreads no labels",
        )
        if self.missing_label is None:
            raise UsageError(
                "n_neighbors: there is no row of unknown class to spread labels to; give "
                "missing_label, the value of y for these, such as -1."
            )
        if self.validation_fraction:
            raise UsageError(
                "validation_fraction: must be 0 with n_neighbors, which tells the labels held "
                f"out to their neighbors, got {self.validation_fraction!r}."
            )

    def _read_y(self, given: GivenTargets) -> Tensor:
        unknown = self.missing_label
        targets, self.classes_ = read_classes(given.y, given.n_rows, unknown=unknown)
        learned = np.isin(np.arange(len(self.classes_)), targets[given.training].numpy())
        if not learned.all():
            warn_of_held_out_classes(self.classes_[~learned], "rows of")
        return targets

    def _check_held_out_y(self, y: np.ndarray, n_rows: int) -> None:
        labels, known = known_labels(y, len(y), unknown=self.missing_label)
        kept = np.arange(len(labels)) < n_rows
        learned = set(labels[known & kept].tolist())
        held_out = dict.fromkeys(labels[known & ~kept].tolist())
        new = [name for name in held_out if name not in learned]
        check_known_classes(new)

    def _recipe(self) -> HeadRecipe:
        def prepare(
            model: Model, source: Source, settings: HeadSettings, seed: int, training: Tensor
        ) -> Prepared:
            n_classes = len(self.classes_)
            begun = begin_head(model, source, settings, seed, lambda width, layer: n_classes)
            head, _, features = begun
            standardize_frozen(head, features, source, settings, training)
            if self.adversarial_radius and source.sparse:
                raise UsageError(
                    "adversarial_radius: X is sparse, and a step away from it is not; give "
                    "X.toarray(), or 0."
                )
            if self.n_neighbors is not None:
                source.targets = self._propagated(features, source)
            task = HeadTask(head, classification=True, dropout=settings.dropout)
            return on_features(model, source, settings, begun, task, wrapped=self._smoothed)

        # small nets were not done after 1,000 steps, when those of values overfit
        return HeadRecipe(prepare, weigh=self._weigh, least_steps=3000)

    def _propagated(self, features: Tensor, source: Source) -> Tensor:
        """Return the class of every row, where it is unknown by its neighbors."""
        known = source.targets_in_order()
        assert known is not None and self.n_neighbors is not None
        if self.n_neighbors >= len(known) / 2:
            raise UsageError(
                f"n_neighbors: must be less than half of the {len(known)} rows, got "
                f"{self.n_neighbors}; 10 is usual."
            )
        return propagate_classes(features, known, k=int(self.n_neighbors))

    def _weigh(self, task: Trainable, split: Split) -> None:
        if self.class_weight is not None:
            targets, of_rows = split.training.targets, split.training.weights
            assert targets is not None
            of_class = class_weights(self.class_weight, self.classes_, targets, of_rows)
            for rows in split.parts:
                assert rows.targets is not None
                weights = of_class[rows.targets.clamp_min(0)]
                rows.weights = weights if rows.weights is None else weights * rows.weights
        weigh_rows(task, split)

    def _smoothed(self, task: CodeTask) -> Trainable:
        if not self.adversarial_radius:
            return task
        return SmoothTask(task, radius=float(self.adversarial_radius))

    def _target_spec(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist(), "classes_dtype": self.classes_.dtype.str}

    def _restore_targets(self, spec: dict[str, Any], n_outputs: int) -> None:
        names, dtype = spec["classes"], np.dtype(spec["classes_dtype"])
        if dtype.kind not in "biufUO":
            raise ValueError(f"classes of {dtype}")
        # texts take the width that they need, not the one that the file claims
        self.classes_ = np.array(names, dtype=str if dtype.kind == "U" else dtype)
        if self.classes_.tolist() != names or np.unique(self.classes_).tolist() != names:
            raise ValueError("the classes are not in order, or not of their type")
        if self.classes_.shape != (n_outputs,):
            raise ValueError(f"{len(self.classes_)} classes for {n_outputs} outputs")
