"""Near names are suggested for unknown options, choices, pieces and data sets."""

from __future__ import annotations

import numpy as np
import pytest

from narrows import Autoencoder, CodeClassifier
from narrows.catalog import VARIANTS
from narrows.cli import run as cli
from narrows.cli._variants import OPTIONS
from narrows.errors import _SYNONYMS, InvalidData, UsageError, near_name

X = np.random.default_rng(0).normal(size=(20, 40))


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("fit x.npy --lr 0.1 -o m", "--learning-rate"),
        ("fit x.npy --n-epochs 3 -o m", "--max-epochs"),
        ("fit x.npy --latent-dim 3 -o m", "--n-components"),
        ("fit x.npy --random_seed 3 -o m", "--random-state"),
        ("fit x.npy --Hidden 3 -o m", "--hidden"),
        ("fit x.npy --activaton relu -o m", "--activation"),
        ("fit x.npy --variant vae -o m", "'variational'"),
        ("fit x.npy --variant VQ-VAE -o m", "'vector_quantized'"),
        ("fit x.npy --variant denosing -o m", "'denoising'"),
        ("fit x.npy --net cnn -o m", "'conv'"),
        ("fit x.npy --activation swish -o m", "'silu'"),
        ("fit x.npy --loss mse -o m", "'squared_error'"),
        ("fit x.npy --corruption dropout:0.3 -o m", "'masking'"),
        ("fit x.npy --penalty lasso:0.1 -o m", "'l1'"),
        ("fit x.npy --scale zscore -o m", "'standard'"),
        ("fit x.npy --precision bf16 -o m", "'bfloat16'"),
        ("fit x.npy --variant sparse --set sparsty=kl -o m", "'sparsity'"),
        ("inpaint m x.npy --mask quadrants", "'quadrant'"),
        ("fit mnis -o m", "'mnist'"),
        ("fit fashion:test -o m", "'fashion_mnist'"),
        ("detector x.npy --set folds=3 -o d", "'n_folds'"),
        ("anomalies m x.npy --outlier-fraction 0.1", "--contamination"),
        ("anomalies m x.npy --plot f.png", "--figure"),
        ("head m x.npy --task classifier -o h", "'classify'"),
        ("export m --part enc -o e.onnx", "'encoder'"),
        ("fti x.npy", "'fit'"),
        ("reproduce hinton2006-digit", "'hinton2006-digits'"),
    ],
)
def test_a_near_name_is_suggested_on_the_command_line(
    command, meant, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    if " m x.npy --mask" in command:
        Autoencoder(2, hidden=(4,), max_epochs=1, random_state=0).fit(X).save("m")
    assert cli(command.split()) in (2, 3)
    error = capsys.readouterr().err
    assert "Did you mean" in error and meant in error.partition("Did you mean")[2], error
    assert not (tmp_path / "d").exists() and not (tmp_path / "h").exists()


def test_a_name_without_a_near_match_gets_no_suggestion(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in ("fit xyzzy.npy -o m", "fit x.npy --xyzzy 3 -o m", "fit x --variant xyzzy -o m"):
        assert cli(command.split()) in (2, 3)
        assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "value", "meant"),
    [
        ("activation", "Swish", "silu"),
        ("loss", "bce", "bernoulli"),
        ("corruption", "Gauss", "gaussian"),
        ("scale", "min-max", "unit"),
        ("penalties", ["jacobian"], "contractive"),
        ("precision", "fp32", "float32"),
    ],
)
def test_a_near_name_is_suggested_in_python(argument, value, meant):
    with pytest.raises((UsageError, InvalidData), match=f"Did you mean '{meant}'"):
        Autoencoder(2, max_epochs=1, **{argument: value}).fit(X)


def test_a_near_name_is_suggested_for_a_head():
    with pytest.raises(UsageError, match="Did you mean 'fine_tuned'"):
        CodeClassifier(None, training="finetune").fit(X, np.arange(20) % 2)


def test_a_name_is_only_suggested_where_it_applies():
    assert near_name("lr", ["epochs", "rate"]) is None
    assert near_name("vae", ["variational", "plain"]) == "variational"
    assert near_name("vae", ["plain"]) is None
    assert near_name("TOP-K", ["top_k"]) == "top_k"


def test_every_alias_leads_to_an_existing_option():
    from narrows.core.activations import ACTIVATIONS
    from narrows.corruptions import CORRUPTIONS
    from narrows.data.datasets import DATASETS
    from narrows.data.scaling import SCALES
    from narrows.losses import LOSSES
    from narrows.penalties import PENALTIES

    here = {*VARIANTS, *ACTIVATIONS, *CORRUPTIONS, *SCALES, *DATASETS, *LOSSES, *PENALTIES}
    for names in OPTIONS:
        here |= {part.lstrip("-").replace("-", "_") for part in names.split()}
    here |= {"dense", "conv", "classify", "regress", "match", "segment", "frozen", "fine_tuned"}
    here |= {"float32", "bfloat16", "variant", "output", "top", "alpha", "contamination", "figure"}
    here |= {"image_shape", "quiet", "resume", "restart", "labels", "k", "n", "best", "fast"}
    assert {name for names in _SYNONYMS.values() for name in names.split()} - here == set()
