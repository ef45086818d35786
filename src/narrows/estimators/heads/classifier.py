"""Classify rows from their codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from torch import Tensor

from narrows.applications.heads.label_propagation import propagate_if_better
from narrows.core.checks import check_number
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.errors import UsageError
from narrows.estimators.heads.fit import train_by_recipe
from narrows.estimators.heads.kind import HeadKind, RawTargets
from narrows.estimators.heads.supervised import SupervisedHead, has_trials, is_solved
from narrows.estimators.parameters import corruption_spec, keep, widths_of
from narrows.estimators.sample_weights import check_class_weight, class_weights
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import (
    check_known_classes,
    known_labels,
    read_classes,
    warn_of_held_out_classes,
)
from narrows.fitting.feature_head import FeatureHead, prepare_head
from narrows.fitting.head import HeadRecipe, HeadSettings, PreparedHead, weigh_rows
from narrows.fitting.probe import ClassProbe, LabeledRows
from narrows.model.model import Model
from narrows.objectives.code_task import CodeTask
from narrows.objectives.virtual_adversarial import SmoothTask

__all__ = ["CodeClassifier", "classifier_recipe"]


@documented
class CodeClassifier(ClassifierMixin, SupervisedHead):
    """Predict the class of a row from its code.

    The head is a linear map or a small net on a layer of an encoder, on the rows or on both,
    trained with cross-entropy. The encoder stays frozen, is fine-tuned with the same loss, or is
    trained on both the task and the reconstruction. A linear head on a frozen encoder is a
    penalized logistic regression, and where folds don't prefer the code, it is that of the rows.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    features : ...
    hidden : ...
    activation : ...
    corruption : ...
    dropout : ...
    reconstruction_weight : ...
    missing_label : object, default=None
        Value of y that marks an unknown class, such as -1. Such rows take part in the
        reconstruction of "joint", and get a label with ``n_neighbors``; otherwise they are ignored.
        None if every value of y is a class.
    n_neighbors : int or None, default=None
        If given, labels are first propagated to the rows of unknown class, along the graph of this
        many nearest codes (10 is usual), and the head learns from all rows. This may help much with
        few labels and many images, and harm on small tables: unless folds of the labeled rows say
        that it helps, labels are not propagated, with a PropagationWarning. Every row is compared
        with all others: 6 s for 30,000 codes of 30 components on one core.
    adversarial_radius : float, default=0.0
        Radius of virtual adversarial training, in scaled units (for 28 x 28 images in [0, 1]
        try 2), if the encoder is trained: the prediction for a row should not change under the
        worst perturbation of this size. Rows of unknown class are used too. Needs dense rows, and
        makes a step 2 to 3 times slower. 0 turns it off.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss: a dict, with weight 1 for classes that it lacks, or
        "balanced", which gives all classes the same total weight. Without it, rare classes are
        hardly ever predicted.
    max_epochs : int or None, default=None
        Maximum number of passes over the rows. None solves a linear head on a frozen encoder;
        otherwise it takes 50, or on few rows as many as make about 3,000 steps, at most 1,500. Of
        a linear head whose encoder trains, trials choose the best epoch up to there, or the start.
    batch_size : ...
    learning_rate : float or None, default=None
        Peak learning rate of Adam. None takes 0.01 if the encoder is frozen, otherwise 0.001.
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
        The fitted autoencoder, with the encoder trained further unless ``training`` is "frozen".
    layer_ : int
        Layer that the head reads, counted from 0.
    features_ : {"code", "rows", "both"}
        What the head reads.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats; that of the solution for a solved head.
    validation_history_ : list of float
        Mean held-out cross-entropy per epoch, in nats.
    training_rows_, held_out_rows_ : ndarray of int
        Indices of the rows of X that were trained on and held out; not stored in the model file.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        The resolved ``max_epochs``.

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid.

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
    >>> settings = {"scale": "unit", "linear_start": False, "max_epochs": 20}
    >>> ae = Autoencoder(16, hidden=(64,), **settings, random_state=0).fit(X)
    >>> few = CodeClassifier(ae, random_state=0).fit(X[:100], y[:100])
    >>> bool(few.score(X[100:], y[100:]) > 0.75)
    True
    """

    layer: int
    features: str
    hidden: Any
    activation: str
    corruption: Any
    dropout: float
    missing_label: Any
    n_neighbors: int | None
    adversarial_radius: float
    class_weight: Any
    classes_: np.ndarray

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        features: str = "auto",
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

    @staticmethod
    def _kind() -> HeadKind:
        return HeadKind(
            check_parameters=_check_parameters,
            read_y=_read_y,
            check_held_out_y=_check_held_out_y,
            train=partial(train_by_recipe, classifier_recipe),
            target_spec=_target_spec,
            restore_targets=_restore_classes,
            exported=lambda head: {
                "prediction": "probabilities",
                "classes": head.classes_.tolist(),
            },
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class, (n_samples, n_classes), as in ``classes_``."""
        return softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row, (n_samples,)."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, in [0, 1].

        Rows of unknown class (``missing_label``) are ignored; NaN if there are no others.
        """
        predicted = self.predict(X)
        labels, known = known_labels(y, len(predicted), unknown=self.missing_label)
        if not known.any():
            return math.nan
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(labels[known] == predicted[known], weights=weights))


def _check_parameters(head: CodeClassifier) -> None:
    if np.ndim(head.missing_label):
        raise UsageError(f"missing_label: must be one value, got {head.missing_label!r}.")
    check_class_weight(head.class_weight)
    check_number("adversarial_radius", head.adversarial_radius, low=0)
    if head.adversarial_radius and head.training == "frozen":
        raise UsageError(
            "adversarial_radius: must be 0 with training='frozen', got "
            f"{head.adversarial_radius!r}; use 'fine_tuned' or 'joint'."
        )
    if head.n_neighbors is None:
        return
    check_number(
        "n_neighbors",
        head.n_neighbors,
        low=1,
        integer=True,
        way_out="None propagates no labels",
    )
    if head.missing_label is None:
        raise UsageError(
            "n_neighbors: there are no rows of unknown class to propagate labels to; give "
            "missing_label, the value of y for these, such as -1."
        )
    if head.validation_fraction:
        raise UsageError(
            "validation_fraction: must be 0 with n_neighbors, which propagates held-out "
            f"labels to training rows, got {head.validation_fraction!r}."
        )


def _read_y(head: CodeClassifier, raw: RawTargets) -> Tensor:
    targets, head.classes_ = read_classes(raw.y, raw.n_rows, unknown=head.missing_label)
    learned = np.isin(np.arange(len(head.classes_)), targets[raw.training].numpy())
    if not learned.all():
        warn_of_held_out_classes(head.classes_[~learned], "rows of")
    return targets


def _check_held_out_y(head: CodeClassifier, y: np.ndarray, n_rows: int) -> None:
    labels, known = known_labels(y, len(y), unknown=head.missing_label)
    kept = np.arange(len(labels)) < n_rows
    learned = set(labels[known & kept].tolist())
    held_out = dict.fromkeys(labels[known & ~kept].tolist())
    check_known_classes([name for name in held_out if name not in learned])


def classifier_recipe(head: CodeClassifier) -> HeadRecipe:
    """Return how to build and train the head of a classifier, once y has been read."""

    def prepare(
        model: Model, source: Source, settings: HeadSettings, seed: int, training: Tensor
    ) -> PreparedHead:
        if head.adversarial_radius and source.sparse:
            raise UsageError(
                "adversarial_radius: X is sparse, but its perturbations are not; give "
                "X.toarray(), or 0."
            )
        probe = ClassProbe(len(head.classes_), seed)
        prepared = prepare_head(
            FeatureHead(
                layer=head.layer,
                reads=head.features,
                widths=[*widths_of(head.hidden), len(head.classes_)],
                activation=head.activation,
                dropout=float(head.dropout),
                corruption=corruption_spec(head.corruption),
                classification=True,
                solved=is_solved(head),
                # a border that is sharp at the start would only be pushed where rows are few
                starts=not head.adversarial_radius,
                probe=probe,
                weigh=partial(_weights, head),
                relabel=_relabel(head, probe, source),
            ),
            model,
            source,
            settings,
            seed,
            training,
        )
        if isinstance(prepared.task, CodeTask) and head.adversarial_radius:
            smooth = SmoothTask(prepared.task, radius=float(head.adversarial_radius))
            return replace(prepared, task=smooth)
        return prepared

    # after 1,000 steps small classifiers still underfit, while regressors already overfit
    trials = has_trials(head) and not head.adversarial_radius and head.n_neighbors is None
    return HeadRecipe(prepare, weigh=partial(_weigh, head), least_steps=3000, trials=trials)


def _relabel(
    head: CodeClassifier, probe: ClassProbe, source: Source
) -> Callable[[Tensor, Tensor, LabeledRows], Tensor] | None:
    """Return what propagates labels to neighbors, or None if this was not asked for."""
    if head.n_neighbors is None:
        return None
    k = int(head.n_neighbors)
    if k >= source.n_rows / 2:
        raise UsageError(
            f"n_neighbors: must be less than half of the {source.n_rows} rows, got {k}; 10 is "
            "usual."
        )
    return partial(propagate_if_better, probe=probe, k=k)


def _weights(head: CodeClassifier, targets: Tensor, row_weights: Tensor | None) -> Tensor | None:
    """Return the weights of rows: those of their classes times their own."""
    if head.class_weight is None:
        return row_weights
    by_class = class_weights(head.class_weight, head.classes_, targets, row_weights)
    weights = by_class[targets.clamp_min(0)]
    return weights if row_weights is None else weights * row_weights


def _weigh(head: CodeClassifier, split: Split) -> None:
    """Set the weights of rows to those of their classes times their own."""
    if head.class_weight is not None:
        targets, row_weights = split.training.targets, split.training.weights
        assert targets is not None
        by_class = class_weights(head.class_weight, head.classes_, targets, row_weights)
        for rows in split.parts:
            assert rows.targets is not None
            weights = by_class[rows.targets.clamp_min(0)]
            rows.weights = weights if rows.weights is None else weights * rows.weights
    weigh_rows(split)


def _target_spec(head: CodeClassifier) -> dict[str, Any]:
    return {"classes": head.classes_.tolist(), "classes_dtype": head.classes_.dtype.str}


def _restore_classes(head: CodeClassifier, spec: dict[str, Any]) -> None:
    names, dtype, n_outputs = spec["classes"], np.dtype(spec["classes_dtype"]), spec["widths"][-1]
    if dtype.kind not in "biufUO":
        raise ValueError(f"classes of {dtype}")
    # strings take the width that they need, not the one in the file
    head.classes_ = np.array(names, dtype=str if dtype.kind == "U" else dtype)
    if head.classes_.tolist() != names or np.unique(head.classes_).tolist() != names:
        raise ValueError("the classes are not sorted, or not of their type")
    if head.classes_.shape != (n_outputs,):
        raise ValueError(f"{len(head.classes_)} classes for {n_outputs} outputs")
