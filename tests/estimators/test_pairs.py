"""Clean rows as y: the net reconstructs them from corrupted copies; other y are checked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeImputer,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SemanticHasher,
)
from narrows.cli import run as cli
from narrows.data import read
from narrows.errors import InvalidData, UsageError

ARGUMENTS = {"hidden": (16,), "max_epochs": 60, "learning_rate": 1e-2, "random_state": 0}


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Rows of two latent numbers, and copies with an offset that only the pairs reveal."""
    rng = np.random.default_rng(0)
    clean = (rng.normal(size=(200, 2)) @ rng.normal(size=(2, 8))).astype(np.float32)
    noisy = clean + 1.5 + rng.normal(scale=0.3, size=clean.shape).astype(np.float32)
    return noisy, clean


@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_a_net_learns_to_reconstruct_the_clean_rows(pairs, kind):
    noisy, clean = pairs
    net = kind(2, **ARGUMENTS).fit(noisy[:150], clean[:150])
    rebuilt = net.reconstruct(noisy[150:])
    before = np.square(noisy[150:] - clean[150:]).sum(axis=1).mean()
    after = np.square(rebuilt - clean[150:]).sum(axis=1).mean()
    alone = kind(2, **ARGUMENTS).fit(noisy[:150])
    of_alone = np.square(alone.reconstruct(noisy[150:]) - clean[150:]).sum(axis=1).mean()
    assert after < 0.15 * before and after < 0.15 * of_alone
    assert net.model_.parameters["corruption"] == {"name": "identity"}


def test_the_clean_rows_and_their_order_matter(pairs):
    noisy, clean = pairs
    few = {**ARGUMENTS, "max_epochs": 2, "linear_start": False}
    codes = [
        Autoencoder(2, **few).fit(noisy, y).transform(noisy) for y in (clean, clean[::-1].copy())
    ]
    assert not np.array_equal(*codes)
    np.testing.assert_array_equal(
        codes[0], Autoencoder(2, **few).fit(noisy, clean).transform(noisy)
    )


def test_y_equal_to_X_gives_the_same_net_as_no_y(pairs):
    clean = pairs[1]
    few = {**ARGUMENTS, "max_epochs": 3, "linear_start": False}
    first = Autoencoder(2, **few).fit(clean, clean)
    second = Autoencoder(2, **few).fit(clean)
    np.testing.assert_allclose(first.transform(clean), second.transform(clean), atol=1e-5)


def test_the_measured_error_is_against_the_clean_rows(pairs, capsys):
    noisy, clean = pairs
    net = Autoencoder(2, verbose=1, **{**ARGUMENTS, "max_epochs": 5}).fit(noisy, clean)
    assert "reconstructed from the corrupted copies" in capsys.readouterr().err
    scaled = (net.reconstruct(noisy) - clean) / net.model_.scaling.scale.numpy()
    error = float(np.square(scaled).sum(axis=1).mean())
    assert net.score(noisy, clean) == pytest.approx(-error, rel=1e-3)
    assert net.evaluate(noisy, clean).squared_error == pytest.approx(error, rel=1e-3)
    assert net.score(noisy) != pytest.approx(-error, rel=1e-2)


def test_validation_data_may_be_pairs(pairs):
    noisy, clean = pairs
    net = Autoencoder(2, **{**ARGUMENTS, "max_epochs": 3})
    net.fit(noisy[:150], clean[:150], validation_data=(noisy[150:], clean[150:]))
    record = net.model_.record
    assert (record["n_rows"], record["n_validation_rows"]) == (150, 50)
    with pytest.raises(UsageError, match=r"must be a pair \(X, y\) if y gives clean rows"):
        net.fit(noisy[:150], clean[:150], validation_data=noisy[150:])


def test_pairs_of_sparse_rows_are_accepted(pairs):
    clean = np.abs(np.round(9 * pairs[1]))
    noisy = clean * (np.random.default_rng(1).random(clean.shape) < 0.7)
    few = {**ARGUMENTS, "max_epochs": 2, "n_components": 2}
    dense = Autoencoder(scale="none", **few).fit(noisy, clean)
    sparse = Autoencoder(scale="none", loss="squared_error", **few)
    sparse.fit(sp.csr_array(noisy), sp.csr_array(clean))
    assert np.isfinite(sparse.transform(sp.csr_array(noisy))).all()
    assert dense.n_features_in_ == 8


@pytest.mark.parametrize(
    ("net", "y", "message"),
    [
        (Autoencoder(2), np.zeros((200, 7)), "y: 200 rows of 7, for 200 rows of 8 in X"),
        (Autoencoder(2), np.zeros((5, 8)), "y: 5 rows of 8, for 200 rows"),
        (Autoencoder(2), np.zeros(7), "y: 7 values for 200 rows of X"),
        (Autoencoder(2), list("abc"), "y: 3 values for 200 rows of X"),
        (Autoencoder(2), np.full((200, 8), np.nan), "y contains NaN at row 0, column 0"),
        (LinearAutoencoder(2), np.zeros(7), "y: 7 values for 200 rows of X"),
        (AnomalyDetector(), np.zeros(7), "y: 7 values for 200 rows of X"),
        (CodeImputer(), np.zeros(7), "y: 7 values for 200 rows of X"),
    ],
)
def test_a_y_that_does_not_match_the_rows_is_refused(pairs, net, y, message):
    with pytest.raises(InvalidData, match=message):
        net.fit(pairs[0], y)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (DenoisingAutoencoder(2, corruption="gaussian:0.1"), "corruption: .* has no effect if"),
        (Autoencoder(2, corruption="masking:0.5"), "corruption: .* has no effect if y gives"),
        (SemanticHasher(2, n_neighbors=3), "n_neighbors: has no effect if y gives"),
    ],
)
def test_options_without_effect_on_pairs_are_refused(pairs, net, message):
    with pytest.raises(UsageError, match=message):
        net.fit(*pairs)


def test_a_one_dimensional_y_is_ignored(pairs):
    few = {**ARGUMENTS, "max_epochs": 1, "linear_start": False}
    plain = Autoencoder(2, **few).fit(pairs[0]).transform(pairs[0])
    for y in (np.arange(200), ["label"] * 200, np.arange(200)[:, None]):
        np.testing.assert_array_equal(
            Autoencoder(2, **few).fit(pairs[0], y).transform(pairs[0]), plain
        )


def test_partial_fit_refuses_pairs(pairs):
    with pytest.raises(UsageError, match="y gives clean rows, which only fit accepts"):
        Autoencoder(2).partial_fit(*pairs)


def test_fit_reads_the_clean_rows_from_a_file(pairs, tmp_path, capsys):
    for name, rows in zip(("noisy", "clean"), pairs, strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
    out = tmp_path / "m.safetensors"
    command = ["fit", str(tmp_path / "noisy.npy"), "-k", "2", "--hidden", "16", "--epochs", "3",
               "-q", "--seed", "0", "-o", str(out)]  # fmt: skip
    assert cli([*command, "--clean", str(tmp_path / "clean.npy"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["from_inputs"] and found["rows"] == "held_out"
    np.save(tmp_path / "other.npy", pairs[1][:7])
    assert cli([*command, "--clean", str(tmp_path / "other.npy")]) == 3
    assert "7 rows of 8, for 200 rows of 8" in capsys.readouterr().err


def test_pairs_are_matched_by_column_names(tmp_path):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 5)), columns=list("abcde"))
    net, turned = Autoencoder(2, hidden=(), max_epochs=1, random_state=0), rows[list("edcba")]
    net.fit(rows, rows + 1.0)
    net.fit(rows, rows.to_numpy())  # without names there is nothing to compare
    with pytest.raises(InvalidData, match=r"y: column 0 is 'e', but 'a' in X.*'a', 'b', 'c'"):
        net.fit(rows, turned)
    with pytest.raises(InvalidData, match="column 0 is 'e'"):
        net.fit(rows, rows, validation_data=(rows, turned))
    net.fit(rows, rows)
    with pytest.raises(InvalidData, match="column 0 is 'e'"):
        net.score(rows, turned)
    noisy, clean = tmp_path / "noisy.csv", tmp_path / "clean.csv"
    rows.to_csv(noisy, index=False)
    turned.to_csv(clean, index=False)
    with pytest.raises(InvalidData, match=r"clean\.csv: column 0 is 'e'"):
        net.fit(rows, read(clean))
    output = str(tmp_path / "m.narrows")
    assert cli(["fit", str(noisy), "--clean", str(clean), "--output", output]) != 0


def test_clean_images_of_another_shape_are_refused():
    images = np.random.default_rng(0).random((20, 4, 5, 3)).astype(np.float32)
    net = Autoencoder(2, hidden=(), max_epochs=1, random_state=0)
    net.fit(images, images)
    net.fit(images, images.reshape(20, -1))
    with pytest.raises(InvalidData, match="y: clean images of shape 3 x 4 x 5, for images of 4 x"):
        net.fit(images, images.transpose(0, 3, 1, 2))
