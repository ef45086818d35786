"""Estimators beyond scikit-learn's checks: inputs of every kind, units, saving and loading."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from narrows import L1, Autoencoder, Masking, load, read
from narrows.errors import CopyingWarning, InvalidData, ModelFileError, UsageError
from narrows.estimators.all_estimators import AUTOENCODERS

SMALL = {"n_components": 3, "hidden": (8,), "max_epochs": 2, "random_state": 0}
TRAINED = {**SMALL, "linear_start": False, "validation_fraction": 0.1}


@pytest.fixture(scope="module")
def fitted(X) -> Autoencoder:
    return Autoencoder(**SMALL).fit(X)


@pytest.fixture(scope="module")
def trained(X) -> Autoencoder:
    """A net that is certain to have left its start."""
    return Autoencoder(**TRAINED).fit(X)


def same_codes(X, other) -> None:
    np.testing.assert_allclose(
        Autoencoder(**SMALL).fit(X).transform(X), Autoencoder(**SMALL).fit(other).transform(other),
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_codes_and_reconstructions_are_float32_of_the_right_shape(fitted, X):
    Z = fitted.transform(X)
    assert (Z.shape, Z.dtype) == ((120, 3), np.float32)
    R = fitted.inverse_transform(Z)
    assert (R.shape, R.dtype) == ((120, 10), np.float32)


def test_reconstruct_is_encode_then_decode(fitted, X):
    np.testing.assert_allclose(
        fitted.reconstruct(X), fitted.inverse_transform(fitted.transform(X)), rtol=1e-5, atol=1e-5
    )


def test_float64_integers_and_lists_give_the_codes_of_float32(X):
    whole = np.round(X * 3)
    same_codes(whole, whole.astype(np.int64))
    same_codes(whole, whole.astype(np.float64))
    same_codes(whole, whole.tolist())


def test_a_tensor_gives_the_codes_of_its_array(X):
    same_codes(X, torch.from_numpy(X))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pd", "pl", "arrow"])
def test_a_frame_gives_the_codes_of_its_array(X, frame):
    same_codes(X, frame({f"c{i}": X[:, i] for i in range(10)}))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_frames_column_names_are_kept_and_their_order_is_checked(X, frame):
    table = frame({f"c{i}": X[:, i] for i in range(10)})
    ae = Autoencoder(**SMALL).fit(table)
    assert list(ae.feature_names_in_) == [f"c{i}" for i in range(10)]
    with pytest.raises(ValueError, match="feature names"):
        ae.transform(table[[f"c{i}" for i in reversed(range(10))]])


def test_a_source_gives_the_codes_of_its_array(X, tmp_path):
    np.save(tmp_path / "x.npy", X)
    same_codes(X, read(tmp_path / "x.npy"))


def test_sparse_rows_give_the_codes_of_dense_rows(X):
    thin = np.where(np.abs(X) > 1, X, 0)
    same = Autoencoder(**SMALL, scale="none", loss="squared_error", linear_start=False)
    dense = same.fit(thin).transform(thin)
    sparse = same.fit(sp.csr_array(thin)).transform(sp.csr_array(thin))
    np.testing.assert_allclose(dense, sparse, rtol=1e-3, atol=1e-4)


def test_sparse_counts_become_proportions_with_the_multinomial_loss(rng):
    counts = sp.csr_array(rng.poisson(0.5, size=(50, 30)))
    ae = Autoencoder(**SMALL).fit(counts)
    assert ae.model_.scaling.kind == "proportions"
    assert ae.model_.parameters["loss"] == {"name": "multinomial"}
    np.testing.assert_allclose(ae.reconstruct(counts).sum(axis=1), counts.sum(axis=1), rtol=1e-4)


def test_bytes_are_scaled_to_the_unit_interval_and_restored(rng):
    images = rng.integers(0, 256, size=(60, 16), dtype=np.uint8)
    ae = Autoencoder(**SMALL).fit(images)
    assert ae.model_.scaling.kind == "unit"
    R = ae.reconstruct(images)
    assert R.min() >= 0 and 50 < R.mean() < 200 and R.max() <= 255


def test_the_score_is_minus_the_stated_error(X):
    ae = Autoencoder(**SMALL, scale="none").fit(X)
    by_hand = -((X - ae.reconstruct(X)) ** 2).sum(axis=1)
    np.testing.assert_allclose(ae.score_samples(X), by_hand, rtol=1e-3)
    assert ae.score(X) == pytest.approx(by_hand.mean(), rel=1e-4)
    assert ae.loss_unit_ == "squared error per sample, in input units"


def test_features_of_the_last_layer_are_the_code(fitted, X):
    assert fitted.features(X, layer=0).shape == (120, 8)
    np.testing.assert_array_equal(fitted.features(X, layer=1), fitted.transform(X))


def test_a_missing_layer_is_refused(fitted, X):
    with pytest.raises(UsageError, match="layer: must be from -2 to 1, got 2"):
        fitted.features(X, layer=2)


def test_a_row_has_the_same_code_alone_and_in_a_batch(fitted, X):
    alone = np.concatenate([fitted.transform(row[None]) for row in X[:10]])
    np.testing.assert_allclose(alone, fitted.transform(X)[:10], rtol=1e-5, atol=1e-6)


def test_transform_never_corrupts(X):
    ae = Autoencoder(**SMALL, corruption=Masking(0.5)).fit(X)
    np.testing.assert_array_equal(ae.transform(X), ae.transform(X))


@pytest.mark.parametrize(
    "change",
    [
        {"n_components": 4},
        {"hidden": (7,)},
        {"activation": "tanh"},
        {"tied": True},
        {"loss": "squared_error:logistic", "scale": "unit"},
        {"corruption": "masking:0.3"},
        {"penalties": [L1(0.1)]},
        {"scale": "none"},
        {"max_epochs": 3},
        {"batch_size": 7},
        {"learning_rate": 1e-3},
        {"validation_fraction": 0.3},
        {"validation_fraction": "auto"},
        {"linear_start": True},
        {"precision": "bfloat16"},
        {"random_state": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_parameter_changes_the_result(trained, X, change):
    other = Autoencoder(**{**TRAINED, **change}).fit(X)
    Z, W = trained.transform(X), other.transform(X)
    assert Z.shape != W.shape or not np.allclose(Z, W, atol=1e-6)


def test_patience_stops_training(rng):
    noise = rng.normal(size=(60, 10)).astype(np.float32)
    settings = {**TRAINED, "n_components": 8, "hidden": (64,), "max_epochs": 60}
    stopped = Autoencoder(**settings, patience=2, learning_rate=0.05).fit(noise)
    assert stopped.n_epochs_ < 60


def test_a_code_as_wide_as_the_input_warns(X):
    with pytest.warns(CopyingWarning, match="n_components=10 is not less than n_features=10"):
        Autoencoder(**{**SMALL, "n_components": 10}).fit(X)


def test_an_error_names_row_and_column_of_nan(X):
    bad = X.copy()
    bad[17, 4] = np.nan
    with pytest.raises(InvalidData, match="contains NaN at row 17, column 4"):
        Autoencoder(**SMALL).fit(bad)


def test_an_error_at_transform_names_row_and_column_of_nan(X):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(10)])
    ae = Autoencoder(**SMALL).fit(frame)
    frame.iloc[3, 2] = np.inf
    with pytest.raises(InvalidData, match=r"infinity.* at row 3, column 2 \('c2'\)"):
        ae.transform(frame)


def test_a_value_too_large_for_float32_is_refused(X):
    bad = X.astype(np.float64)
    bad[5, 1] = 1e300
    with pytest.raises(InvalidData, match=r"too large for dtype\('float32'\) at row 5, column 1"):
        Autoencoder(**SMALL).fit(bad)


def test_constant_and_zero_tables_train_to_finite_numbers():
    for value in (0.0, 3.0):
        ae = Autoencoder(**SMALL).fit(np.full((20, 5), value))
        assert np.isfinite(ae.transform(np.full((2, 5), value))).all()
        assert np.isfinite(ae.score(np.full((2, 5), value)))


def test_values_outside_the_unit_interval_are_refused_by_the_bernoulli_loss(X):
    with pytest.raises(InvalidData, match=r"Bernoulli: x must be in \[0, 1\], got \[-"):
        Autoencoder(**SMALL, loss="bernoulli", scale="none").fit(X)


def test_negative_values_are_refused_by_the_multinomial_loss(X):
    with pytest.raises(InvalidData, match="Multinomial: x must be >= 0, got -"):
        Autoencoder(**SMALL, loss="multinomial", scale="none").fit(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": 0}, "n_components: must be an integer >= 1, got 0"),
        ({"n_components": 2.5}, "n_components: must be an integer >= 1, got 2.5"),
        ({"n_components": -3}, "n_components: must be an integer >= 1, got -3"),
        ({"hidden": (0,)}, "hidden: must be an integer >= 1, got 0"),
        ({"activation": "rellu"}, "activation: unknown name 'rellu'.*mean 'relu'"),
        ({"loss": "mse"}, "loss: unknown name 'mse'; choose from auto, bernoulli, multinomial"),
        (
            {"corruption": 3},
            "corruption: expected one of Gaussian, Identity, .*, or a piece of your own, got 3",
        ),
        (
            {"penalties": ["l3"]},
            "penalties: unknown name 'l3'; choose from auxiliary, .*l1",
        ),
        ({"scale": "standart"}, "scale: unknown name 'standart'.*mean 'standard'"),
        ({"batch_size": "big"}, "batch_size: must be 'auto' or an integer, got 'big'"),
        ({"validation_fraction": 1.0}, "validation_fraction: must be a number >= 0 and < 1, got 1"),
        ({"augmentation": "affine"}, "Affine: needs images"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_argument_is_refused_at_fit_with_name_rule_and_value(X, change, message):
    estimator = Autoencoder(**{**SMALL, **change})
    with pytest.raises(UsageError, match=message):
        estimator.fit(X)


def test_codes_of_another_width_are_refused(fitted):
    with pytest.raises(UsageError, match="codes must have 3 components, got 2"):
        fitted.inverse_transform(np.zeros((1, 2)))


@pytest.mark.parametrize("tied", [True, False])
def test_load_returns_the_same_estimator(X, tmp_path, tied):
    ae = Autoencoder(**SMALL, tied=tied, penalties=[L1(1e-3)], corruption=Masking(0.1)).fit(X)
    ae.save(tmp_path / "m.safetensors")
    other = load(tmp_path / "m.safetensors")
    assert type(other) is Autoencoder
    np.testing.assert_array_equal(other.transform(X), ae.transform(X))
    np.testing.assert_array_equal(other.reconstruct(X), ae.reconstruct(X))
    assert other.history_ == ae.history_
    assert other.get_params()["n_components"] == 3


def test_a_loaded_estimator_can_be_fitted_again(X, tmp_path):
    ae = Autoencoder(**TRAINED, corruption=Masking(0.1)).fit(X)
    ae.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors").fit(X)
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))


def test_names_survive_a_model_file(X, tmp_path):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(10)])
    Autoencoder(**SMALL).fit(frame).save(tmp_path / "m.safetensors")
    other = load(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="feature names"):
        other.transform(frame.rename(columns={"c1": "other"}))


def test_a_pickled_estimator_gives_the_same_codes(fitted, X):
    other = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(other.transform(X), fitted.transform(X))


def test_a_missing_file_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")


def test_a_text_file_is_not_a_model(tmp_path):
    (tmp_path / "m.safetensors").write_text("hello, this is not a model")
    with pytest.raises(ModelFileError, match="not a model file"):
        load(tmp_path / "m.safetensors")


def test_the_baseline_is_pca_of_the_training_rows(X):
    ae = Autoencoder(**SMALL, scale="none", validation_fraction=0).fit(X)
    pca = PCA(3).fit(X)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1).mean()
    evaluation = ae.evaluate(X)
    assert evaluation.baseline == "PCA"
    assert evaluation.baseline_squared_error == pytest.approx(error, rel=1e-4)
    assert evaluation.variance == pytest.approx(((X - X.mean(0)) ** 2).sum(1).mean(), rel=1e-4)


def test_the_baseline_of_sparse_rows_is_truncated_svd(rng):
    X = sp.random_array((80, 30), density=0.2, rng=rng, format="csr", dtype=np.float32)
    ae = Autoencoder(**SMALL, validation_fraction=0).fit(X)
    svd = TruncatedSVD(3, random_state=0).fit(X)
    error = ((X.toarray() - svd.inverse_transform(svd.transform(X))) ** 2).sum(axis=1).mean()
    evaluation = ae.evaluate(X)
    assert evaluation.baseline == "TruncatedSVD"
    assert evaluation.baseline_squared_error == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize(("n_components", "copies"), [(3, False), (4, True), (6, True)])
def test_a_pca_as_wide_as_the_rows_is_not_a_baseline(rng, n_components, copies):
    rows = rng.normal(size=(50, 4)).astype(np.float32)
    settings = {
        "corruption": "masking:0.2", "max_epochs": 1, "random_state": 0, "linear_start": False,
        "validation_fraction": 0.1,
    }  # fmt: skip
    evaluation = Autoencoder(n_components, hidden=(), **settings).fit(rows).evaluate(rows)
    line = next(line for line in evaluation.table().splitlines() if line.startswith("PCA"))
    assert ("copies" in line and "100.00%" not in line) == copies == evaluation.baseline_copies
    assert ("PCA is not a useful baseline here" in evaluation.table()) == copies
    assert ("reconstructs these rows better" in evaluation.table()) != copies


def test_the_table_marks_a_net_worse_than_the_mean(rng):
    rows = rng.normal(size=(50, 4)).astype(np.float32)
    evaluation = Autoencoder(**SMALL).fit(rows).evaluate(rows)
    for times, worse in ((0.9, False), (1.1, True)):
        measured = replace(evaluation, squared_error=times * evaluation.variance, comparable=True)
        assert ("worse than the mean" in measured.table()) is worse


def test_a_wide_net_beats_pca_on_a_curve(rng):
    t = rng.uniform(0, 3, size=600)
    curve = np.stack([np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t), t], axis=1)
    ae = Autoencoder(1, hidden=(64, 32), max_epochs=60, patience=None, random_state=0).fit(curve)
    evaluation = ae.evaluate(curve)
    assert evaluation.squared_error < 0.25 * evaluation.baseline_squared_error


def test_verbose_prints_the_error_beside_pcas_to_stderr(X, capsys):
    Autoencoder(**SMALL, verbose=1).fit(X)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "PCA" in captured.err and "this model" in captured.err


def test_estimators_work_in_a_pipeline_and_a_grid_search(X):
    pipeline = make_pipeline(StandardScaler(), Autoencoder(**SMALL))
    search = GridSearchCV(pipeline, {"autoencoder__n_components": [1, 3]}, cv=2).fit(X)
    assert search.best_params_["autoencoder__n_components"] in (1, 3)


def test_set_output_gives_named_columns(X):
    frame = Autoencoder(**SMALL).set_output(transform="pandas").fit_transform(pd.DataFrame(X))
    assert list(frame.columns) == ["autoencoder0", "autoencoder1", "autoencoder2"]


def test_partial_fit_continues_training(X):
    ae = Autoencoder(**SMALL)
    scores = []
    for _ in range(12):
        ae.partial_fit(X)
        scores.append(ae.score(X))
    assert scores[-1] > scores[0]
    assert ae.n_epochs_ == len(ae.history_) == 12


def test_a_failed_fit_leaves_no_half_fitted_estimator(X):
    ae = Autoencoder(**SMALL)
    with pytest.raises(InvalidData):
        ae.fit(np.full((10, 4), np.nan))
    assert not hasattr(ae, "model_")


def test_ordinary_use_causes_no_warning(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Autoencoder(**SMALL).fit(X).transform(X)


@pytest.mark.filterwarnings("ignore::narrows.errors.ImageShapeWarning")
@pytest.mark.parametrize("cls", AUTOENCODERS)
def test_set_output_returns_frames(cls, x):
    x = abs(x)  # counts, for estimators that read counts
    fitted = cls(n_components=2, max_epochs=1, random_state=0).fit(x)
    codes = fitted.set_output(transform="pandas").transform(x)
    assert list(codes.columns) == list(fitted.get_feature_names_out())
    assert codes.shape == (len(x), 2)


def test_a_frame_of_codes_is_decoded_without_a_warning(rng):
    X = rng.normal(size=(30, 4))
    ae = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(X)
    codes = ae.transform(X)
    codes.setflags(write=False)
    np.testing.assert_array_equal(ae.inverse_transform(codes), ae.inverse_transform(codes.copy()))
