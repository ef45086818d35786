"""Uses that once gave a wrong answer silently, or an error too late."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import NotFittedError

from narrows import Autoencoder, LinearAutoencoder, Masking, SquaredError, load
from narrows.cli import run as cli
from narrows.data.array_sources import sparse_rows
from narrows.data.datasets import local_folder
from narrows.data.scaling import Scaling
from narrows.errors import InvalidData, OutdatedWarning, UsageError

SMALL = {"n_components": 2, "hidden": (8,), "max_epochs": 3, "random_state": 0}


@pytest.fixture
def X(rng):
    return rng.normal(3, 2, size=(60, 6)).astype(np.float32)


@pytest.mark.parametrize("scale", ["standard", "center", "unit", "none"])
def test_sparse_queries_to_a_dense_model_get_the_dense_answer(X, scale):
    ae = Autoencoder(**SMALL, scale=scale, loss="squared_error").fit(X)
    thin = np.where(X > 3, X, 0)
    np.testing.assert_allclose(
        ae.transform(sp.csr_array(thin)), ae.transform(thin), rtol=1e-4, atol=1e-5
    )
    dense, sparse = ae.evaluate(thin), ae.evaluate(sp.csr_array(thin))
    assert sparse.baseline_squared_error == pytest.approx(dense.baseline_squared_error, rel=1e-4)


def test_partial_fit_after_fit_trains_the_net_that_answers(X):
    ae = Autoencoder(**SMALL).partial_fit(X).fit(X)
    before = ae.transform(X)
    with pytest.warns(OutdatedWarning):
        ae.partial_fit(X)
    assert not np.allclose(before, ae.transform(X))


def test_partial_fit_after_fit_checks_the_losss_range(rng):
    counts = rng.poisson(3, size=(40, 5)).astype(np.float32)
    ae = Autoencoder(**SMALL, loss="multinomial", scale="none").fit(counts)
    with pytest.raises(InvalidData, match="Multinomial: x must be >= 0"):
        ae.partial_fit(-counts - 1)


def test_partial_fit_refuses_another_shape_of_net(X):
    ae = Autoencoder(**SMALL).partial_fit(X).set_params(n_components=3)
    with pytest.raises(UsageError, match="n_components is 3, the net was built with 2; call fit"):
        ae.partial_fit(X)


def test_the_history_of_partial_fits_survives_a_model_file(X, tmp_path):
    ae = Autoencoder(**SMALL).partial_fit(X).partial_fit(X)
    ae.save(tmp_path / "m")
    other = load(tmp_path / "m").partial_fit(X)
    assert other.n_epochs_ == len(other.history_) == 3
    other.save(tmp_path / "m")
    assert load(tmp_path / "m").history_ == other.history_


def test_a_certificate_is_dropped_by_partial_fit(X):
    ae = LinearAutoencoder(2, max_epochs=5, random_state=0).fit(X)
    with pytest.warns(OutdatedWarning):
        ae.partial_fit(X)
    assert not hasattr(ae, "pca_angles_")


def test_a_certificate_of_an_earlier_fit_is_dropped(X):
    ae = LinearAutoencoder(2, max_epochs=5, random_state=0).fit(X)
    ae.set_params(loss="bernoulli", scale="unit").fit(X)
    assert not hasattr(ae, "components_")


def test_a_failed_refit_leaves_no_half_fitted_estimator(X):
    ae = Autoencoder(**SMALL).fit(X)
    with pytest.raises(InvalidData):
        ae.fit(np.full((10, 4), np.nan))
    assert not hasattr(ae, "model_")


def test_proportions_of_huge_values_are_proportions():
    scaled = Scaling("proportions").forward(torch.full((2, 5), 1e38))
    torch.testing.assert_close(scaled, torch.full((2, 5), 0.2))


def test_proportions_of_negative_values_are_refused(X):
    with pytest.raises(InvalidData, match="scale=.proportions. needs values >= 0, got -"):
        Autoencoder(**SMALL, scale="proportions", loss="squared_error").fit(X - 10)


def test_the_multinomial_loss_rebuilds_counts_with_their_totals(rng):
    counts = rng.poisson(20, size=(40, 5)).astype(np.float32)
    settings = {**SMALL, "max_epochs": 60}
    ae = Autoencoder(**settings, loss="multinomial", scale="none").fit(counts)
    np.testing.assert_allclose(ae.reconstruct(counts).sum(axis=1), counts.sum(axis=1), rtol=1e-4)
    evaluation = ae.evaluate(counts)
    assert evaluation.squared_error < evaluation.variance


def test_squared_error_of_large_sparse_values_does_not_cancel(rng):
    x = 1e4 * rng.random((5, 4)).astype(np.float32)
    output = torch.from_numpy(x + 0.1)
    error = SquaredError().per_sample(output, sparse_rows(sp.csr_array(x)))
    torch.testing.assert_close(error, torch.full((5,), 0.04), rtol=0.02, atol=0)


def test_bytes_of_0_and_1_stay_0_and_1(rng):
    bits = rng.integers(0, 2, size=(60, 6), dtype=np.uint8)
    assert Autoencoder(**SMALL).fit(bits).model_.scaling.kind == "none"


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": np.float32(1e-3)},
        {"patience": np.int64(2)},
        {"hidden": np.array([8])},
        {"hidden": range(8, 9)},
        {"random_state": np.random.RandomState(0)},
    ],
    ids=lambda change: " ".join(f"{k} {type(v).__name__}" for k, v in change.items()),
)
def test_numpy_scalars_are_stored(X, tmp_path, change):
    ae = Autoencoder(**{**SMALL, **change}).fit(X, checkpoint=tmp_path / "c")
    ae.save(tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").transform(X), ae.transform(X))


def test_arguments_that_no_file_can_hold_are_refused_before_training(X):
    with pytest.raises(UsageError, match="cannot be stored in a model file"):
        Autoencoder(**SMALL, device=object()).fit(X)


@pytest.mark.parametrize(
    "hidden", [8, "8", (w for w in (8, 4)), {8}], ids=["int", "str", "gen", "set"]
)
def test_hidden_must_be_a_sequence(X, hidden):
    with pytest.raises((UsageError, TypeError), match="hidden|stored in a model file"):
        Autoencoder(2, hidden=hidden, max_epochs=1).fit(X)


def test_a_class_in_place_of_a_piece_is_named(X):
    with pytest.raises(UsageError, match=r"corruption: give an instance, Masking\(\)"):
        Autoencoder(**SMALL, corruption=Masking).fit(X)


class TestCommandLine:
    @pytest.fixture
    def table(self, X, tmp_path):
        np.save(tmp_path / "x.npy", X)
        return tmp_path / "x.npy"

    @pytest.fixture
    def model(self, X, tmp_path):
        Autoencoder(**SMALL).fit(X).save(tmp_path / "m")
        return tmp_path / "m"

    def test_an_output_equal_to_an_input_is_refused(self, table, model, capsys):
        before = table.read_bytes()
        assert cli(["fit", str(table), "-o", str(table)]) == 2
        assert cli(["encode", str(model), str(table), "-o", str(table)]) == 2
        assert "is the input" in capsys.readouterr().err
        assert table.read_bytes() == before

    def test_only_regular_files_are_replaced(self, table, tmp_path, capsys):
        import os

        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        assert cli(["fit", str(table), "-o", str(pipe)]) == 5
        assert "is not a regular file" in capsys.readouterr().err
        assert pipe.is_fifo()

    def test_csv_names_are_quoted(self, X, model, tmp_path, capsys):
        import pandas as pd

        from narrows import read

        names = ["a,b", 'c "q"', "d", "e", "f", "g"]
        Autoencoder(**SMALL).fit(pd.DataFrame(X, columns=names)).save(tmp_path / "n")
        pd.DataFrame(X, columns=names).to_csv(tmp_path / "x.csv", index=False)
        arguments = [str(tmp_path / "n"), str(tmp_path / "x.csv"), "-o", str(tmp_path / "r.csv")]
        assert cli(["reconstruct", *arguments]) == 0
        assert read(tmp_path / "r.csv").names == names

    @pytest.mark.filterwarnings("default::narrows.errors.RangeWarning")
    def test_json_has_null_for_values_that_are_not_finite(self, X, model, tmp_path, capsys):
        np.save(tmp_path / "huge.npy", X * 1e30)
        assert cli(["evaluate", str(model), str(tmp_path / "huge.npy"), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["squared_error"] is None
        assert err.count("are they in the same units?") == 1

    @pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--seed", "99999999999"]])
    def test_a_seed_out_of_range_is_a_usage_error(self, table, tmp_path, capsys, arguments):
        assert cli(["fit", str(table), "-k", "2", "-o", str(tmp_path / "o"), *arguments]) == 2

    @pytest.mark.parametrize("shape", ["4,4", "99999999999999999999,1", "2,3,4", "0,6"])
    def test_an_image_shape_that_does_not_fit_is_refused(
        self, table, model, tmp_path, capsys, shape
    ):
        figure = str(tmp_path / "f.png")
        arguments = [str(model), str(table), "--figure", figure, "--image-shape", shape]
        assert cli(["reconstruct", *arguments]) in (2, 3)
        assert "Unexpected" not in capsys.readouterr().err

    @pytest.mark.parametrize(
        "arguments",
        [
            "reconstruct {m} {x} -o {o}.npy",
            "denoise {m} {x} -o {o}.npy",
            "denoise {m} {x} --corrupt masking:0.2",
            "inpaint {m} {x} --mask missing:0.2 -o {o}.npy",
            "anomalies {m} {x}",
            "generate {m} -o {o}.npy",
            "generate {m} --perturb {x} -o {o}.npy",
        ],
    )
    def test_an_image_shape_is_checked_even_without_a_figure(
        self, table, model, tmp_path, capsys, arguments
    ):
        out = tmp_path / "o"
        given = arguments.format(m=model, x=table, o=out).split()
        assert cli([*given, "--image-shape", "5,5"]) == 3
        assert "image shape (5, 5): does not hold" in capsys.readouterr().err
        assert not out.with_suffix(".npy").exists()

    def test_a_figures_suffix_is_checked_before_the_work(self, table, model, tmp_path, capsys):
        rows = tmp_path / "r.npy"
        arguments = ["-o", str(rows), "--figure", str(tmp_path / "f.xyz")]
        assert cli(["reconstruct", str(model), str(table), *arguments]) == 2
        assert not rows.exists()

    def test_an_empty_name_is_not_a_folder(self, tmp_path, capsys):
        assert cli(["fit", "", "-o", str(tmp_path / "o")]) == 3


@pytest.mark.parametrize("cls", [Autoencoder, LinearAutoencoder])
@pytest.mark.parametrize(
    "method", ["transform", "reconstruct", "features", "score", "score_samples", "evaluate"]
)
def test_an_unfitted_estimator_raises_not_fitted_error(cls, method, X):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(cls(), method)(X)


@pytest.mark.parametrize("cls", [Autoencoder, LinearAutoencoder])
@pytest.mark.parametrize("loss", ["bernoulli", SquaredError("logistic"), "multinomial"])
def test_a_named_loss_gets_the_scale_that_it_needs(cls, loss, X):
    ae = cls(n_components=2, max_epochs=2, random_state=0, loss=loss).fit(np.abs(X))
    expected = "proportions" if loss == "multinomial" else "unit"
    assert ae.model_.scaling.kind == expected


def test_small_bytes_are_a_table_and_large_ones_an_image(rng):
    small = rng.integers(0, 20, size=(60, 6), dtype=np.uint8)
    assert Autoencoder(**SMALL).fit(small).model_.scaling.kind == "standard"
    assert Autoencoder(**SMALL).fit(small * 12).model_.scaling.kind == "unit"


def test_an_unknown_loss_lists_the_known_ones(X):
    with pytest.raises(UsageError, match="loss: unknown name 'mse'; choose from auto, bernoulli"):
        Autoencoder(loss="mse").fit(X)


def test_the_table_says_that_pca_is_better(X):
    settings = {**SMALL, "max_epochs": 1, "linear_start": False}
    ae = Autoencoder(**settings, learning_rate=1e-6).fit(X)
    assert "PCA reconstructs these rows better" in ae.evaluate(X).table()


def test_a_missing_data_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NARROWS_DATA", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="NARROWS_DATA: .*none is not a folder"):
        local_folder()


def test_an_unfinished_training_is_not_overwritten(X, tmp_path, capsys):
    data, model = tmp_path / "x.npy", tmp_path / "m.safetensors"
    np.save(data, X)
    command = ["fit", str(data), "-o", str(model), "-k", "2", "--hidden", "8", "--epochs", "2"]
    folder = tmp_path / "m.safetensors.checkpoints"
    folder.mkdir()
    (folder / "checkpoint-000001.safetensors").write_bytes(b"")
    assert cli(command) == 2
    assert "add --resume to continue it, or --restart" in capsys.readouterr().err
    assert cli([*command, "--resume", "--restart"]) == 2
    assert cli([*command, "--restart"]) == 0
    assert cli([*command, "--resume"]) == 0
    assert "training starts over" in capsys.readouterr().err


def test_a_column_of_words_is_named():
    class Frame(dict):
        columns = ("a", "b")
        shape = (2, 2)

    with pytest.raises(InvalidData, match="column 'b' holds 'red' in row 1"):
        Autoencoder(**SMALL).fit(Frame(a=[1.0, 2.0], b=["3", "red"]))


@pytest.mark.parametrize(("name", "value"), [("linear_start", "yes"), ("tied", 1), ("tied", None)])
def test_a_switch_is_true_or_false(X, name, value):
    with pytest.raises(UsageError, match=f"{name}: must be True or False, got"):
        Autoencoder(**SMALL, **{name: value}).fit(X)


def test_a_net_nearly_as_good_as_pca_is_not_called_worse(X):
    ae = Autoencoder(**SMALL).fit(X)
    told = replace(ae.evaluate(X), squared_error=1.005, baseline_squared_error=1.0)
    assert "better" not in told.table()
    assert "better" in replace(told, squared_error=1.02).table()
