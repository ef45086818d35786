"""partial_fit: a failed call changes nothing, and no argument is ignored."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from training_runs import equal, weights

from narrows import (
    Autoencoder,
    DenoisingAutoencoder,
    DocumentAutoencoder,
    LinearAutoencoder,
    Masking,
    SemanticHasher,
    VectorQuantizedAutoencoder,
    load,
)
from narrows.errors import InvalidData, OutdatedWarning, TrainingDiverged, UsageError
from narrows.estimators.all_estimators import AUTOENCODERS
from narrows.training.loop import TrainingStopped

pytestmark = pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")

_SMALL: dict[str, Any] = {"batch_size": 8, "random_state": 0}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(48, 6)).astype("f4")


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, size=(48, 12)).astype("f4") + np.eye(48, 12)


def small(**more: Any) -> Autoencoder:
    return Autoencoder(2, **{"hidden": (5,), **_SMALL, **more})


def of_class(cls: type, rows: dict[str, np.ndarray]) -> tuple[Any, np.ndarray]:
    """Return a small estimator and rows that it takes."""
    known = cls._get_param_names()
    given = {"n_components": 4, "hidden": (6,), "channels": (3,), **_SMALL}
    given |= {"image_shape": (3, 4)} if "channels" in known else {}
    given |= {"n_neighbors": None, "n_components": 8} if cls is SemanticHasher else {}
    estimator = cls(**{k: v for k, v in given.items() if k in known})
    return estimator, rows["counts"]


@pytest.mark.parametrize("cls", AUTOENCODERS, ids=[cls.__name__ for cls in AUTOENCODERS])
def test_a_diverged_call_changes_nothing(cls: type, counts: Any) -> None:
    estimator, rows = of_class(cls, {"counts": counts})
    estimator.partial_fit(rows)
    before, codes = weights(estimator), estimator.transform(rows)
    history = list(estimator.history_)
    with pytest.raises(TrainingDiverged):
        estimator.set_params(learning_rate=1e30).partial_fit(rows)
    assert equal(weights(estimator), before) and estimator.history_ == history
    np.testing.assert_array_equal(estimator.transform(rows), codes)
    estimator.set_params(learning_rate=1e-3).partial_fit(rows)  # the moments are intact, too
    assert np.isfinite(estimator.transform(rows)).all()
    assert not equal(weights(estimator), before)


def test_after_a_diverged_call_training_continues_as_if_it_had_not_happened(X: np.ndarray) -> None:
    plain, tried = small().partial_fit(X), small().partial_fit(X)
    with pytest.raises(TrainingDiverged):
        tried.set_params(learning_rate=1e30).partial_fit(X)
    tried.set_params(learning_rate=plain.learning_rate)
    assert equal(weights(tried.partial_fit(X)), weights(plain.partial_fit(X)))


def test_a_diverged_first_call_leaves_the_estimator_unfitted(X: np.ndarray) -> None:
    estimator = small(learning_rate=1e30)
    with pytest.raises(TrainingDiverged):
        estimator.partial_fit(X)
    assert not hasattr(estimator, "model_") and not hasattr(estimator, "n_features_in_")
    estimator.set_params(learning_rate=1e-3, hidden=(3,)).partial_fit(X[:, :4])


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingStopped])
def test_an_interrupted_call_changes_nothing(
    error: type[BaseException], X: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = small().partial_fit(X)
    before = weights(estimator)

    def interrupt(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr("narrows.training.run.Run.check_finite", interrupt)
    with pytest.raises(error):
        estimator.partial_fit(X)
    assert equal(weights(estimator), before)


def test_a_refused_call_drops_nothing(counts: np.ndarray) -> None:
    estimator = small(loss="multinomial", scale="none", max_epochs=1, validation_fraction=0.3)
    estimator.fit(counts)
    with pytest.raises(InvalidData, match="Multinomial: x must be >= 0"):
        estimator.partial_fit(-counts)
    assert estimator.model_.calibration is not None and estimator.model_.densities


def test_finite_weights_with_infinite_errors_count_as_diverged(
    X: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = small().partial_fit(X)
    before = weights(estimator)
    monkeypatch.setattr(
        "narrows.core.objective.Objective.error", lambda self, x, y=None: x.sum(dim=1) * torch.nan
    )
    with pytest.raises(TrainingDiverged, match="the error of a row is not finite after this pass"):
        estimator.partial_fit(X)
    assert equal(weights(estimator), before)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.1},
        {"weight_decay": 5.0},
        {"batch_size": 5},
        {"precision": "bfloat16"},
        {"random_state": 7},
    ],
    ids=str,
)
def test_changed_training_arguments_take_effect(change: dict[str, Any], X: np.ndarray) -> None:
    plain, changed = small().partial_fit(X), small().partial_fit(X)
    changed.set_params(**change).partial_fit(X)
    assert not equal(weights(changed), weights(plain.partial_fit(X)))


def test_the_augmentation_takes_effect() -> None:
    images = np.random.default_rng(0).integers(0, 256, (24, 6, 6)).astype("u1")
    plain, changed = small().partial_fit(images), small().partial_fit(images)
    changed.set_params(augmentation="affine").partial_fit(images)
    assert not equal(weights(changed), weights(plain.partial_fit(images)))


def test_adams_moments_are_kept_when_the_rate_changes(X: np.ndarray) -> None:
    """With a tiny rate the weights stay, which they would not if Adam's moments restarted."""
    estimator = small().partial_fit(X)
    estimator.set_params(learning_rate=1e-4).partial_fit(X)
    optimizer = estimator._training_state_.trainer.optimizer
    steps = {int(state["step"]) for state in optimizer.state.values()}
    assert steps == {12}


_NET = {
    "n_components": 3,
    "hidden": (4,),
    "activation": "relu",
    "tied": True,
    "loss": "bernoulli",
    "scale": "unit",
    "corruption": "masking:0.2",
    "penalties": "l1:0.1",
    "code_activation": "tanh",
}


@pytest.mark.parametrize("name", _NET)
@pytest.mark.parametrize("after", ["partial_fit", "fit", "load"])
def test_changed_arguments_of_the_net_are_refused_by_name(
    name: str, after: str, X: np.ndarray, tmp_path: Any
) -> None:
    estimator = small(max_epochs=1)
    getattr(estimator, "fit" if after == "load" else after)(X)
    if after == "load":
        estimator.save(tmp_path / "m")
        estimator = load(tmp_path / "m")
    before = weights(estimator)
    with pytest.raises(UsageError, match=f"partial_fit: {name} is .*, the net was built with .*"):
        estimator.set_params(**{name: _NET[name]}).partial_fit(X)
    assert equal(weights(estimator), before)


@pytest.mark.parametrize(
    "change", [{"max_epochs": 9}, {"patience": 3}, {"validation_fraction": 0.5}]
)
def test_changed_arguments_of_fit_are_refused_by_name(
    change: dict[str, Any], X: np.ndarray
) -> None:
    estimator = small().partial_fit(X).set_params(**change)
    with pytest.raises(UsageError, match=f"{next(iter(change))} is .*; only fit reads it"):
        estimator.partial_fit(X)


@pytest.mark.parametrize(
    "first, then",
    [
        ({"corruption": "identity"}, {"corruption": None}),
        ({"corruption": "masking:0.25"}, {"corruption": Masking(0.25)}),
        ({"penalties": "l1:0.5"}, {"penalties": [{"name": "l1", "weight": 0.5}]}),
        ({"hidden": (5,)}, {"hidden": [5]}),
        ({"loss": "squared_error"}, {"loss": {"name": "squared_error"}}),
    ],
    ids=str,
)
def test_another_spelling_of_an_argument_is_not_a_change(
    first: Any, then: Any, X: np.ndarray
) -> None:
    estimator = small(**first).partial_fit(X)
    assert estimator.set_params(**then).partial_fit(X).n_epochs_ == 2


def test_neighbors_are_refused(counts: np.ndarray) -> None:
    estimator = DocumentAutoencoder(2, hidden=(5,), n_neighbors=3, **_SMALL)
    with pytest.raises(UsageError, match="n_neighbors: is 3, but partial_fit does not support"):
        estimator.partial_fit(counts)
    assert estimator.set_params(n_neighbors=None).partial_fit(counts).n_epochs_ == 1


def test_sampled_words_take_effect(counts: np.ndarray) -> None:
    rows = sp.csr_array(counts)
    make = lambda k: DocumentAutoencoder(2, hidden=(5,), sampled_words=k, **_SMALL)  # noqa: E731
    whole, sampled = make(0).partial_fit(rows), make(2).partial_fit(rows)
    assert not equal(weights(whole), weights(sampled))
    sampled.set_params(sampled_words=0).partial_fit(rows)
    assert np.isfinite(sampled.transform(rows)).all()


def test_the_thresholds_of_a_hasher_are_medians_of_the_last_rows(X: np.ndarray) -> None:
    hasher = SemanticHasher(4, hidden=(5,), threshold="median", **_SMALL)
    for rows in (X, X[:20] + 1):
        bits = hasher.partial_fit(rows).transform(rows)
        assert (np.abs((bits > 0).mean(axis=0) - 0.5) <= 0.05).all()


@pytest.mark.parametrize("kind", [Autoencoder, LinearAutoencoder, DenoisingAutoencoder])
def test_measurements_of_fit_are_dropped_with_one_warning(kind: Any, X: Any) -> None:
    estimator = kind(2, max_epochs=2, validation_fraction=0.3, random_state=0).fit(X)
    with pytest.warns(
        OutdatedWarning, match="errors of held-out rows .*are dropped, because .* call fit"
    ):
        estimator.partial_fit(X)
    assert estimator.model_.calibration is None and not estimator.model_.densities
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutdatedWarning)
        estimator.partial_fit(X)


def test_a_call_is_complete_before_it_warns(X: Any) -> None:
    """Where warnings are errors, weights and history still agree."""
    ours, theirs = (Autoencoder(2, max_epochs=2, random_state=0).fit(X) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutdatedWarning)
        with pytest.raises(OutdatedWarning):
            ours.partial_fit(X)
    with pytest.warns(OutdatedWarning):
        theirs.partial_fit(X)
    assert ours.history_ == theirs.history_ and ours.n_epochs_ == 3
    assert equal(weights(ours), weights(theirs))


def test_a_failed_call_keeps_the_comparison_to_pca(X: np.ndarray) -> None:
    estimator = LinearAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    with pytest.raises(TrainingDiverged):
        estimator.set_params(learning_rate=1e30).partial_fit(X)
    assert hasattr(estimator, "pca_angles_")


def test_buffers_are_restored(X: np.ndarray) -> None:
    estimator = VectorQuantizedAutoencoder(4, n_entries=3, hidden=(5,), **_SMALL).partial_fit(X)
    before = weights(estimator)
    with pytest.raises(TrainingDiverged):
        estimator.set_params(learning_rate=1e30).partial_fit(X)
    assert equal(weights(estimator), before)


def test_a_pickle_keeps_the_arguments_of_its_net(X: np.ndarray) -> None:
    copied = pickle.loads(pickle.dumps(small().partial_fit(X)))
    with pytest.raises(UsageError, match="partial_fit: scale is 'unit', the net was built with"):
        copied.set_params(scale="unit").partial_fit(X)
    del copied._training_state_  # as in older pickles
    with pytest.raises(UsageError, match="n_components is 3, the net was built with 2; call fit"):
        copied.set_params(n_components=3).partial_fit(X)
