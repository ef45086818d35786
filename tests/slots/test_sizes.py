"""Sizes that do not fit into memory are refused before allocation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import narrows
from narrows.cli import main
from narrows.data import memory
from narrows.errors import ResourceError
from narrows.training import sizes
from narrows.variants.building import build_objective

HUGE = 10**9
ROWS = np.random.default_rng(0).integers(0, 4, size=(40, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    return narrows.Autoencoder(2, hidden=(4,), max_epochs=1, random_state=0).fit(ROWS)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Autoencoder", {"hidden": (HUGE,)}),
        ("Autoencoder", {"hidden": (HUGE, HUGE)}),
        ("Autoencoder", {"n_components": HUGE}),
        ("ContractiveAutoencoder", {"n_components": HUGE}),
        ("ConvolutionalAutoencoder", {"channels": (HUGE,)}),
        ("ConvolutionalAutoencoder", {"channels": (HUGE, HUGE)}),
        ("ConvolutionalAutoencoder", {"blocks": HUGE}),
        ("ConvolutionalAutoencoder", {"hidden": (HUGE,)}),
        ("DenoisingAutoencoder", {"hidden": (HUGE,)}),
        ("DictionaryAutoencoder", {"n_components": HUGE}),
        ("DocumentAutoencoder", {"hidden": (HUGE,)}),
        ("LinearAutoencoder", {"n_components": HUGE}),
        ("SemanticHasher", {"n_components": HUGE}),
        ("SparseAutoencoder", {"n_components": HUGE}),
        ("StackedAutoencoder", {"hidden": (HUGE,)}),
        ("VariationalAutoencoder", {"n_components": HUGE}),
        ("VectorQuantizedAutoencoder", {"n_components": HUGE}),
        ("AnomalyDetector", {"autoencoder": narrows.Autoencoder(hidden=(HUGE,))}),
        ("CodeImputer", {"autoencoder": narrows.DenoisingAutoencoder(hidden=(HUGE,))}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_net_larger_than_memory_is_refused_before_it_is_built(name, arguments):
    head = arguments.get("autoencoder")
    lower = "hidden" if head is not None else next(iter(arguments))
    message = rf"parameters.* need [\d,.]+ GiB to train .* and [\d.]+ GiB of .*; lower {lower}="
    with pytest.raises(ResourceError, match=message):
        getattr(narrows, name)(**arguments).fit(ROWS)


@pytest.mark.parametrize(
    ("head", "arguments", "lower"),
    [
        (narrows.CodeClassifier, {"hidden": (HUGE,)}, "hidden="),
        (narrows.CodeRegressor, {"hidden": (HUGE, 4)}, "hidden="),
        (narrows.CodeSegmenter, {"width": HUGE}, "width="),
    ],
)
def test_a_head_larger_than_memory_is_refused(fitted, head, arguments, lower):
    net, y = fitted, np.arange(40) % 2
    if head is narrows.CodeSegmenter:
        net = narrows.ConvolutionalAutoencoder(2, channels=(2,), max_epochs=1).fit(ROWS)
        y = (ROWS > 1).astype(int)
    with pytest.raises(ResourceError, match=rf"parameters need .* lower {lower}"):
        head(net, **arguments).fit(ROWS, y)


def test_a_batch_is_never_larger_than_the_rows():
    narrows.Autoencoder(2, hidden=(4,), max_epochs=1, batch_size=10**12).fit(ROWS)


def test_partial_fit_refuses_a_net_larger_than_memory():
    with pytest.raises(ResourceError, match="lower hidden="):
        narrows.Autoencoder(2, hidden=(HUGE,)).partial_fit(ROWS)


@pytest.mark.parametrize(("room", "lower"), [(4e5, r"batch_size=4,096"), (1e5, r"hidden=\(300,\)")])
def test_the_error_names_the_argument_that_makes_the_net_large(monkeypatch, room, lower):
    monkeypatch.setattr(sizes, "available_memory", lambda: int(room))
    X = np.random.default_rng(0).normal(size=(5000, 16))
    batch = 4096 if "batch" in lower else 1
    with pytest.raises(ResourceError, match=rf"lower {lower}"):
        narrows.Autoencoder(2, hidden=(300,), batch_size=batch, max_epochs=1).fit(X)


def test_the_error_names_the_columns_if_they_make_the_net_large(monkeypatch):
    monkeypatch.setattr(sizes, "available_memory", lambda: 10**6)
    X = np.zeros((4, 20_000), np.uint8)
    X[0, 0] = 1
    with pytest.raises(ResourceError, match=r"lower the 20,000 columns of the rows .* or hidden="):
        narrows.Autoencoder(2, hidden=(32,)).fit(X)


def test_the_computed_size_matches_the_net():
    """Compare with the tensors that autograd saves in a forward pass, and with the parameters."""
    spec = {"n_components": 4, "hidden": [64, 32], "activation": "silu", "penalties": [],
            "loss": {"name": "squared_error"}, "corruption": {"name": "identity"}}  # fmt: skip
    net = build_objective("plain", spec, 36)
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}

    def note(tensor):
        at = tensor.untyped_storage().data_ptr()
        if at not in weights:
            kept[at] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        x = torch.rand(50, 36)
        terms = net(x, generator=torch.Generator())
    assert terms.total > 0
    per_row = sum(kept.values()) / 50
    counted = sizes._PER_UNIT * sum(net.encoder.widths) + sizes._PER_FEATURE * 36
    assert per_row < counted < 2 * per_row
    assert sizes._n_weights(net) == sum(p.numel() for p in net.parameters())
    assert sizes._fewest_weights(spec, 36) <= sizes._n_weights(net)


@pytest.mark.parametrize(
    "ask",
    [
        lambda ae: ae.sample(1000),
        lambda ae: ae.perturb(ROWS, n_samples=50),
        lambda ae: ae.traverse(ROWS[0], n_steps=900),
        lambda ae: ae.interpolate(ROWS, ROWS[::-1], 50),
    ],
    ids=["sample", "perturb", "traverse", "interpolate"],
)
def test_generated_rows_larger_than_memory_are_refused(fitted, monkeypatch, ask):
    monkeypatch.setattr(memory, "available_memory", lambda: 60_000)
    with pytest.raises(ResourceError, match=r"new rows: .* x 16 numbers need .* (lower|take) "):
        ask(fitted)
    monkeypatch.undo()
    ask(fitted)


def test_the_command_exits_with_5_and_says_what_to_lower(tmp_path, capsys):
    np.save(tmp_path / "x.npy", ROWS)
    net = ["--code", "2", "-o", str(tmp_path / "m.safetensors"), "-q", "--net"]
    for option, kind in (("--hidden", "dense"), ("--channels", "conv")):
        with pytest.raises(SystemExit) as left:
            main(["fit", str(tmp_path / "x.npy"), option, str(HUGE), *net, kind])
        assert left.value.code == 5
        assert "GiB of memory are available; lower" in capsys.readouterr().err


def test_screenshots_are_refused_before_their_pixels_are_summed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sizes, "available_memory", lambda: 2**33)
    monkeypatch.setattr("narrows.estimators.autoencoders.fit.describe", None)
    for i in range(3):
        Image.new("RGB", (1000, 700), (i, 0, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(SystemExit) as left:
        main(["fit", str(tmp_path), "-o", str(tmp_path / "m.safetensors"), "-q"])
    assert left.value.code == 5
    printed = capsys.readouterr().err
    assert "lower the 2,100,000 columns of the rows (smaller images" in printed


def written(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    groups, me, machine = (tmp_path / name for name in ("groups", "me", "machine"))
    for name, path in (("_GROUPS", groups), ("_MEMBERSHIP", me), ("_MACHINE", machine)):
        monkeypatch.setattr(memory, name, path)
    machine.write_text("MemTotal: 9 kB\nMemAvailable:   9000 kB\nSwapFree: 1000 kB\nodd\n")
    assert memory.available_memory() == 10_240_000
    me.write_text("0::/a/b\n")  # version 2, the limit on a group above
    written(groups, a__memory_dot_max="5000000\n", a__memory_dot_current="2000000\n",
            a__memory_dot_stat="anon 1\ninactive_file 500000\n",
            a__b__memory_dot_max="max\n")  # fmt: skip
    assert memory.total_memory() == 5_000_000
    assert memory.available_memory() == 3_500_000
    me.write_text("4:memory:/c\n3:cpu:/\n")  # version 1
    written(groups, memory__c__memory_dot_limit_in_bytes="4000000",
            memory__c__memory_dot_usage_in_bytes="3000000")  # fmt: skip
    assert (memory.total_memory(), memory.available_memory()) == (4_000_000, 1_000_000)


def test_without_linux_the_memory_of_the_machine_counts(tmp_path, monkeypatch):
    for name in ("_GROUPS", "_MEMBERSHIP", "_MACHINE"):
        monkeypatch.setattr(memory, name, tmp_path / "none")
    assert memory.available_memory() == memory.total_memory() > 2**28
