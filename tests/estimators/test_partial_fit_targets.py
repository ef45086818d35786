"""partial_fit with a penalty that reads y: the first y determines how every later y is read."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from written_files import FOLDER

from narrows import Autoencoder, Auxiliary, load
from narrows.artefact import read_artefact, write_artefact
from narrows.core.isolation import isolated
from narrows.errors import InvalidData, ModelFileError

pytestmark = pytest.mark.filterwarnings("ignore::narrows.errors.OutdatedWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = 5 * X[:, 0] + 100
ORDER = np.argsort(Y)
LOW, HIGH = ORDER[:100], ORDER[100:]
LABELS = np.where(X[:, 0] > 0, "high", "low")

REGRESSION = [Auxiliary(10.0, task="regression")]
CLASSES = [Auxiliary(10.0)]


def new(penalties: Any = REGRESSION, **more: Any) -> Autoencoder:
    given = {"hidden": (), "scale": "standard", "learning_rate": 0.02, "random_state": 0, **more}
    return Autoencoder(2, penalties=penalties, **given)


def moments(ae: Any) -> tuple[float, float]:
    return ae._training_state_.encoding.moments


def predicted(ae: Any, rows: np.ndarray) -> np.ndarray:
    """Return what the penalty's own map predicts, in the units of y."""
    with isolated(), torch.no_grad():
        codes = torch.from_numpy(ae.transform(rows))
        outputs = ae.model_.objective.tasks[0].predict(codes)[:, 0].numpy()
    mean, deviation = moments(ae)
    return outputs * deviation + mean


def slope(ae: Any) -> float:
    return float(np.polyfit(Y, predicted(ae, X), 1)[0])


def test_halves_in_turn_teach_the_slope_of_the_whole() -> None:
    """With y standardized in every call, both halves would have mean 0."""
    halves, whole = new(), new()
    for _ in range(40):
        halves.partial_fit(X[LOW], Y[LOW]).partial_fit(X[HIGH], Y[HIGH])
        whole.partial_fit(X, Y)
    assert slope(whole) == pytest.approx(1, abs=0.05)
    assert slope(halves) == pytest.approx(1, abs=0.05)


def test_the_first_call_determines_mean_and_deviation() -> None:
    ae = new().partial_fit(X[LOW], Y[LOW])
    first = moments(ae)
    assert first == pytest.approx((Y[LOW].mean(), Y[LOW].std()))
    assert moments(ae.partial_fit(X[HIGH], Y[HIGH])) == first


def test_one_row_is_read_as_the_others() -> None:
    """A single y, standardized by itself, would be 0 whatever it is."""
    near, far = (new().partial_fit(X, Y) for _ in range(2))
    bias = near.model_.objective.tasks[0].bias.clone()
    near.partial_fit(X[:1], [Y.mean()])
    far.partial_fit(X[:1], [Y.mean() + 100 * Y.std()])
    assert moments(near) == moments(far) == pytest.approx((Y.mean(), Y.std()))
    steps = [(ae.model_.objective.tasks[0].bias - bias).item() for ae in (near, far)]
    assert abs(steps[1] - steps[0]) > 1e-3


def test_partial_fit_reads_y_as_fit_did() -> None:
    ae = new(max_epochs=3).fit(X, Y)
    first = moments(ae)
    assert moments(ae.partial_fit(X[HIGH], Y[HIGH])) == first


def of_file(ae: Any, path: Any) -> Any:
    ae.save(path)
    return load(path)


def of_pickle(ae: Any, path: Any) -> Any:
    return pickle.loads(pickle.dumps(ae))


@pytest.mark.parametrize("copied", [of_file, of_pickle])
def test_a_copy_reads_y_in_the_same_way(copied: Any, tmp_path: Any) -> None:
    ae = new().partial_fit(X[LOW], Y[LOW])
    assert ae._training_state_.trainer is not None
    other = copied(ae, tmp_path / "m")
    assert other._training_state_.trainer is None
    assert moments(other.partial_fit(X[HIGH], Y[HIGH])) == moments(ae)


@pytest.mark.parametrize("copied", [of_file, of_pickle])
def test_a_copy_keeps_the_classes(copied: Any, tmp_path: Any) -> None:
    ae = new(CLASSES).partial_fit(X, LABELS)
    other = copied(ae, tmp_path / "m")
    assert other.classes_.tolist() == ["high", "low"]
    assert other.classes_.dtype.kind == "U"
    other.partial_fit(X[LOW][:1], LABELS[LOW][:1])
    assert other.classes_.tolist() == ["high", "low"]
    with pytest.raises(InvalidData, match="y: class 'middle' is not among the 2 classes"):
        other.partial_fit(X[:1], ["middle"])


def test_a_checkpoint_has_them_too(tmp_path: Any) -> None:
    ae = new(max_epochs=2).fit(X, Y, checkpoint=tmp_path)
    checkpoint = next(path for path in sorted(tmp_path.iterdir()) if path.is_file())
    assert moments(load(checkpoint)) == moments(ae)


def without(path: Any, *names: str) -> None:
    """Write a model file again as older versions did, without some values."""
    artefact = read_artefact(path, kind="model")
    for name in names:
        del artefact.spec[name]
    write_artefact(path, artefact)


def test_for_an_older_file_the_first_call_determines_them(tmp_path: Any) -> None:
    new().partial_fit(X[LOW], Y[LOW]).save(tmp_path / "m")
    without(tmp_path / "m", "y_mean", "y_deviation")
    ae = load(tmp_path / "m")
    assert moments(ae) is None
    first = moments(ae.partial_fit(X[HIGH], Y[HIGH]))
    assert first == pytest.approx((Y[HIGH].mean(), Y[HIGH].std()))
    assert moments(ae.partial_fit(X[LOW], Y[LOW])) == first


def test_for_an_older_file_classes_must_be_as_many_as_the_net_has() -> None:
    ae = load(FOLDER / "Autoencoder.safetensors")
    rows = np.random.default_rng(0).random((12, 4, 4))
    with pytest.raises(InvalidData, match="y: has 3 classes, but the net was built for 2"):
        ae.partial_fit(rows, [0, 1, 2] * 4)
    assert not hasattr(ae, "classes_")
    assert ae.partial_fit(rows, [3, 4] * 6).classes_.tolist() == [3, 4]


@pytest.mark.parametrize(
    "change", [{"y_deviation": 0.0}, {"y_mean": float("inf")}, {"y_deviation": "wide"}]
)
def test_a_file_of_impossible_moments_is_refused(change: dict[str, Any], tmp_path: Any) -> None:
    new().partial_fit(X, Y).save(tmp_path / "m")
    artefact = read_artefact(tmp_path / "m", kind="model")
    with pytest.raises((ModelFileError, ValueError)):
        Autoencoder.from_artefact(
            type(artefact)("model", {**artefact.spec, **change}, artefact.tensors)
        )


@pytest.mark.parametrize("fitted", [False, True])
def test_a_failed_fit_leaves_nothing_of_an_earlier_one(fitted: bool) -> None:
    ae = new(max_epochs=2)
    if fitted:
        ae.fit(X, Y).partial_fit(X, Y)
    with pytest.raises(InvalidData):
        ae.fit(X, np.full(len(X), np.inf))
    assert vars(ae).keys() - ae.get_params().keys() == {"n_features_in_"}  # of the rows


def test_a_failed_first_call_leaves_nothing() -> None:
    ae = new()
    with pytest.raises(InvalidData):
        ae.partial_fit(X, np.full(len(X), np.inf))
    assert vars(ae).keys() == ae.get_params().keys()


def test_a_failed_later_call_changes_nothing() -> None:
    ae = new().partial_fit(X, Y)
    before = vars(ae).copy()
    with pytest.raises(InvalidData):
        ae.partial_fit(X, np.full(len(X), np.inf))
    assert vars(ae) == before
