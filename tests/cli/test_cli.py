"""The command line: input and output files, exit codes, and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from narrows import Autoencoder, load
from narrows.catalog import VARIANTS
from narrows.cli import narrows as group
from narrows.cli import run as cli
from narrows.cli._near_names import ALIASES

FIT = ["--code", "2", "--hidden", "8", "--epochs", "2", "--seed", "0", "-q"]


@pytest.fixture
def table(tmp_path, rng):
    path = tmp_path / "table.npy"
    np.save(path, rng.normal(size=(60, 6)).astype(np.float32))
    return path


@pytest.fixture
def model(tmp_path, table):
    path = tmp_path / "m.safetensors"
    assert cli(["fit", str(table), *FIT, "-o", str(path)]) == 0
    return path


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


def test_flat_rows_are_images_of_the_shape_that_is_given(tmp_path, capsys):
    rows = np.random.default_rng(0).integers(0, 256, (40, 24), dtype=np.uint8)
    np.save(tmp_path / "x.npy", rows)
    fit = ["fit", str(tmp_path / "x.npy"), "-k", "2", "--hidden", "4", "--epochs", "1", "-q"]
    fit += ["--augmentation", "affine", "-o", str(tmp_path / "m.safetensors"), "--image-shape"]
    assert cli([*fit, "4,6"]) == 0
    assert load(tmp_path / "m.safetensors").model_.schema.image_shape == (4, 6)
    assert cli([*fit, "5,5"]) == 2
    assert "with a product of 24" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "meant"),
    [("imput", "'impute' (Fill in the missing"), ("inpant", "'inpaint' (Fill in hidden parts"),
     ("imputing", "'impute' ("), ("train", "'fit' ("), ("evalute", "'evaluate' ("),
     ("datasets fecth", "'fetch' (")],
)  # fmt: skip
def test_an_unknown_command_gets_a_suggestion(given, meant, capsys):
    assert run(*given.split(), "m", "x.npy") == 2
    assert f"No such command {given.split()[-1]!r}. Did you mean {meant}" in capsys.readouterr().err


def test_a_command_without_a_near_name_gets_no_suggestion(capsys):
    assert run("xyzzy") == 2
    error = capsys.readouterr().err
    assert "No such command 'xyzzy'." in error and "Did you mean" not in error
    assert run("--debugg") == 2
    assert "--debug" in capsys.readouterr().err


def test_every_alias_leads_to_a_command():
    assert not ALIASES.keys() & group.commands.keys()
    assert set(ALIASES.values()) <= group.commands.keys()


def test_fit_writes_a_model_and_prints_it_beside_pca(table, tmp_path, capsys):
    target = tmp_path / "new.safetensors"
    assert run("fit", table, *FIT, "-o", target) == 0
    out, err = capsys.readouterr()
    assert "PCA" in out and "this model" in out and str(target) in out
    assert err == ""
    assert load(target).n_components == 2


def test_fit_removes_its_checkpoints_when_the_model_is_written(model):
    assert [p.name for p in sorted(model.parent.iterdir())] == ["m.safetensors", "table.npy"]


def test_fit_prints_json_for_machines(table, tmp_path, capsys):
    assert run("fit", table, *FIT, "-o", tmp_path / "m.safetensors", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["n_components"] == 2 and values["baseline"] == "PCA"
    assert values["error_unit"].startswith("squared error per sample")


@pytest.mark.parametrize("variant", ["plain", "tied", "linear", "contractive", "variational"])
def test_every_variant_can_be_fitted(table, tmp_path, capsys, variant):
    arguments = [a for a in FIT if variant != "linear" or a not in ("--hidden", "8")]
    assert run("fit", table, *arguments, "--variant", variant, "-o", tmp_path / "m") == 0
    assert load(tmp_path / "m").model_.variant == variant


def test_an_option_that_does_not_apply_is_refused(table, tmp_path, capsys):
    assert run("fit", table, *FIT, "--variant", "linear", "-o", tmp_path / "m") == 2
    assert "--hidden does not apply to --variant linear" in capsys.readouterr().err


def test_an_option_that_does_not_apply_to_contractive_is_refused(table, tmp_path, capsys):
    arguments = ("--variant", "contractive", "--code-activation", "relu", "-o", tmp_path / "m")
    assert run("fit", table, *FIT, *arguments) == 2
    assert "--code-activation does not apply to --variant contractive" in capsys.readouterr().err


def test_options_reach_the_estimator(table, tmp_path):
    assert run(
        "fit", table, *FIT, "-o", tmp_path / "m", "--corruption", "masking:0.4", "--penalty",
        "l1:0.01", "--penalty", "weight_decay", "--activation", "relu", "--batch-size", "7",
        "--learning-rate", "0.01", "--patience", "0", "--scale", "none",
    ) == 0  # fmt: skip
    parameters = load(tmp_path / "m").get_params()
    assert parameters["corruption"] == "masking:0.4"
    assert list(parameters["penalties"]) == ["l1:0.01", "weight_decay"]
    assert parameters["activation"] == "relu" and parameters["batch_size"] == 7
    assert parameters["learning_rate"] == 0.01 and parameters["patience"] is None
    assert parameters["scale"] == "none" and parameters["hidden"] == (8,)


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_encode_and_decode_read_and_write_files(model, table, tmp_path, capsys, suffix):
    codes, rows = tmp_path / f"codes{suffix}", tmp_path / "rows.npy"
    assert run("encode", model, table, "-o", codes) == 0
    assert run("decode", model, codes, "-o", rows) == 0
    fitted = load(model)
    np.testing.assert_allclose(
        np.load(rows), fitted.reconstruct(np.load(table)), rtol=1e-4, atol=1e-4
    )


def test_reconstruct_writes_rows(model, table, tmp_path):
    assert run("reconstruct", model, table, "-o", tmp_path / "r.npy") == 0
    np.testing.assert_array_equal(
        np.load(tmp_path / "r.npy"), load(model).reconstruct(np.load(table))
    )


def test_reconstruct_draws_a_picture(model, table, tmp_path):
    picture = tmp_path / "p.png"
    assert run("reconstruct", model, table, "--figure", picture, "--image-shape", "2,3") == 0
    with Image.open(picture) as opened:
        image = np.asarray(opened.convert("L"))
    assert image.std() > 10 and min(image.shape) > 100


def test_evaluate_prints_json(model, table, capsys):
    capsys.readouterr()
    assert run("evaluate", model, table, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["squared_error"] > 0 and values["baseline_components"] == 2


def test_inspect_prints_what_the_file_holds(model, capsys):
    capsys.readouterr()
    assert run("inspect", model, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["variant"] == "plain" and values["n_features"] == 6 and values["epochs"] == 2


def test_inspect_with_data_prints_the_health_of_the_code(model, table, capsys):
    capsys.readouterr()
    assert run("inspect", model, table, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["variant"] == "plain"
    health = values["health"]
    assert health == json.loads(json.dumps(load(model).inspect(np.load(table)).as_dict()))
    assert health["code"]["n_rows"] == 60 and health["code"]["l0"] is None
    assert run("inspect", model, table) == 0
    out = capsys.readouterr().out
    assert "effective rank" in out and "hidden filled in" in out and "PCA" in out
    assert all(f"- {sentence}" in out for sentence in health["advice"])


def test_datasets_are_listed(capsys):
    assert run("datasets", "list") == 0
    assert "mnist" in capsys.readouterr().out


def test_reproduce_lists_the_papers(capsys):
    assert run("reproduce") == 0
    assert "hinton2006-digits" in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "none.npy", "-o", "m"], 3, "none.npy: no such file, folder or data set"),
        (["fit", "{table}", "-o", "m", "--scale", "x"], 2, "scale: unknown name 'x'"),
        (["fit", "{table}", "-o", "m", "--seed", "x"], 2, "not a valid integer"),
        (["fit", "{table}"], 2, "Missing option '-o'"),
        (["fit", "{table}", "-o", "nowhere/m"], 5, "the folder nowhere does not exist"),
        (["fti"], 2, "No such command 'fti'"),
        (["fit", "{table}", "-o", "m", "--epochz", "3"], 2, "Did you mean '--epochs'"),
        (["inspect", "{table}"], 4, "not a model file"),
        (["inspect", "none"], 4, "none: no such model file"),
        (["evaluate", "{model}", "{bad}"], 3, "NaN at row 4, column 1"),
        (["evaluate", "{model}", "{narrow}"], 3, "has 3 columns, the model was fitted to 6"),
        (["inspect", "{model}", "{bad}"], 3, "NaN at row 4, column 1"),
        (["inspect", "{model}", "none.npy"], 3, "none.npy: no such file, folder or data set"),
        (["encode", "{model}", "{table}", "-o", "x.txt"], 2, "written as .npy, .csv or .tsv"),
        (["reconstruct", "{model}", "{table}"], 2, "give -o, --figure, or both"),
        (["reproduce", "hinton"], 2, "unknown name 'hinton'"),
        (["datasets", "fetch", "mnits"], 2, "Did you mean 'mnist'"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_user_errors_have_their_exit_code_and_no_traceback(
    arguments, code, message, table, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    bad = np.load(table)
    bad[4, 1] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    np.save(tmp_path / "narrow.npy", bad[:3, :3] * 0)
    places = {"table": table, "model": model, "bad": "bad.npy", "narrow": "narrow.npy"}
    capsys.readouterr()
    assert run(*(a.format(**places) for a in arguments)) == code
    out, err = capsys.readouterr()
    assert message in err and "Traceback" not in err and out == ""


def test_divergence_has_its_own_exit_code(table, tmp_path, capsys):
    arguments = [*FIT, "--learning-rate", "1e30", "--validation-fraction", "0"]
    assert run("fit", table, *arguments, "-o", tmp_path / "m", "--epochs", "40") == 6
    assert "not finite in epoch 1" in capsys.readouterr().err


def test_an_unexpected_fault_is_exit_1_and_shows_its_traceback_only_with_debug(
    table, model, capsys, monkeypatch
):
    monkeypatch.setattr("narrows.estimators.files.load", lambda path: 1 / 0)
    assert run("inspect", model) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert run("inspect", model, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_every_command_has_help():
    for name in group.commands:
        assert run(name, "--help") == 0


def test_the_help_of_fit_describes_every_variant(capsys):
    assert run("fit", "--help") == 0
    printed = capsys.readouterr().out
    for variant, gloss in ((name, v.summary) for name, v in VARIANTS.items()):
        assert f"\n  {variant} " in printed and gloss[:20] in printed
        assert len(gloss) < 60
    assert ".tsv" in printed and ".gz" in printed


def test_the_installed_command_runs(table):
    done = subprocess.run(
        [sys.executable, "-m", "narrows", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("narrows, version ")


def test_demo_makes_a_table_a_picture_and_a_model(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["narrows.cli.demo"], "EPOCHS", 2)
    monkeypatch.setattr(sys.modules["narrows.cli.demo"], "HASHER_EPOCHS", 2)
    assert run("demo", "-o", tmp_path / "demo", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert 0 < values["nearest_neighbors_on_codes"] <= 1
    assert load(values["model"]).n_components == 8
    with Image.open(values["picture"]) as picture:
        assert picture.size[0] > 300


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_data_set_name_can_replace_a_file(data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("narrows.training.loop.rate_factor", lambda step, total: 0.0)
    arguments = ["--code", "2", "--hidden", "", "--epochs", "1", "--batch-size", "4096", "-q"]
    assert run("fit", "mnist:test", *arguments, "-o", tmp_path / "m") == 0
    assert load(tmp_path / "m").model_.schema.image_shape == (28, 28)


def test_commands_read_the_code_under_a_head(tmp_path, capsys):
    from narrows import CodeClassifier

    X = np.random.default_rng(0).normal(size=(60, 5))
    ae = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(X)
    CodeClassifier(ae, max_epochs=1).fit(X, X[:, 0] > 0).save(tmp_path / "m")
    np.save(tmp_path / "x.npy", X)
    model, data, out = (str(tmp_path / name) for name in ("m", "x.npy", "o.npy"))
    for command in (
        ["encode", model, data, "-o", out],
        ["reconstruct", model, data, "-o", out],
        ["generate", model, "-o", out],
        ["evaluate", model, data],
        ["inspect", model, data],
        ["inspect", model],
    ):
        assert cli(command) == 0
    assert "Autoencoder" in capsys.readouterr().out
