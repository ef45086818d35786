"""The precision and the device of a training."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_estimators import rows_for, targets_for, unfitted
from torch import nn
from training_runs import after, equal, small, small_trainer, weights

from narrows.errors import UsageError
from narrows.estimators.all_estimators import AUTOENCODERS
from narrows.training import measured_precision, precision
from narrows.training.loop import TrainingStopped
from narrows.training.precision import resolve_device, resolve_precision

FEW_PRODUCTS = measured_precision._FEW_PRODUCTS


@pytest.mark.parametrize("device", ["nope", "", "cuda:9999", "meta", "hpu", "privateuseone", None])
def test_an_unavailable_device_is_refused(device: Any) -> None:
    with pytest.raises(UsageError, match=r"device: .* cannot be used: .*; try 'cpu'\."):
        resolve_device(device)


def test_a_device_that_fails_without_a_message_is_refused(monkeypatch: Any) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(torch, "zeros", fail)
    with pytest.raises(UsageError, match="device: 'cpu' cannot be used: AssertionError; try"):
        resolve_device("cpu")


def test_bfloat16_is_close_to_float32(x: np.ndarray) -> None:
    models = [small(precision=p, linear_start=False) for p in ("float32", "bfloat16")]
    scores = [model.fit(x).score(x) for model in models]
    assert scores[1] == pytest.approx(scores[0], rel=0.05) and scores[0] != scores[1]


def test_bfloat16_leaves_weights_and_codes_in_float32(x: np.ndarray) -> None:
    model = small(precision="bfloat16", linear_start=False).fit(x)
    kinds = {value.dtype for value in weights(model).values()}
    assert (kinds, model.transform(x).dtype) == ({torch.float32}, np.float32)


def test_bfloat16_learns_the_same_under_a_callers_own_autocast(x: np.ndarray) -> None:
    """Torch keeps casts of weights until the outermost autocast ends."""
    usual = small(precision="bfloat16", linear_start=False).fit(x)
    with torch.autocast("cpu", torch.bfloat16):
        nested = small(precision="bfloat16", linear_start=False).fit(x)
    assert equal(weights(nested), weights(usual))


def test_short_steps_are_not_measured(x: np.ndarray, measured_as: list[str], monkeypatch) -> None:
    measured_as.append("bfloat16")
    monkeypatch.setattr(measured_precision, "_FEW_PRODUCTS", 10_000_000)
    assert small().fit(x).model_.record["precision"] == "float32"
    assert measured_precision._measurements.precisions == {}


def test_small_nets_stay_in_float32() -> None:
    assert resolve_precision("auto", torch.device("cpu"), small_trainer().objective) == "float32"


@pytest.mark.parametrize("fraction", [0.25, "auto"])
def test_the_record_names_the_precision(x: np.ndarray, fraction: Any) -> None:
    """Also if trials choose the start, so that no epoch is trained on all rows."""
    model = small(precision="bfloat16", validation_fraction=fraction).fit(x)
    assert model.model_.record["precision"] == "bfloat16"


def clock(*steps: float, **spent: list[str]) -> Any:
    """Return a clock with these seconds per step; ``formats`` collects the formats."""
    times = iter(steps)

    def seconds(precision: str) -> float:
        spent.get("formats", []).append(precision)
        return next(times)

    return seconds


@pytest.mark.parametrize(
    "wide, narrow, faster",
    [(0.01, 0.005, "bfloat16"), (0.01, 0.0095, "float32"), (0.01, 0.0175, "float32")],
    ids=["faster", "hardly_faster", "slower"],
)
def test_the_faster_format_is_used_and_float32_if_they_are_close(wide, narrow, faster):
    assert measured_precision._faster(clock(*[wide, narrow] * 20)) == faster


def test_one_disturbed_step_does_not_change_the_choice():
    steps = [1.0, 1.0, 0.01, 0.005, 0.9, 0.005, 0.01, 0.006, 0.01, 0.3]
    assert measured_precision._faster(clock(*steps, *[0.01, 0.005] * 20)) == "bfloat16"


def test_the_two_formats_alternate_for_about_a_tenth_of_a_second():
    formats: list[str] = []
    measured_precision._faster(clock(*[0.005, 0.003] * 40, formats=formats))
    assert formats == ["float32", "bfloat16"] * (len(formats) // 2)
    assert 0.08 < len(formats) * 0.004 < 0.13


@pytest.mark.parametrize(
    "wide, narrow, faster, n_steps", [(2, 1, "bfloat16", 4), (0.01, 0.05, "float32", 8)]
)
def test_long_and_clearly_slower_steps_are_measured_less_often(wide, narrow, faster, n_steps):
    formats: list[str] = []
    assert measured_precision._faster(clock(*[wide, narrow] * 9, formats=formats)) == faster
    assert len(formats) == n_steps


@pytest.mark.parametrize("disturbed", [1, 2, 3])
def test_a_disturbed_early_step_does_not_change_the_choice(disturbed):
    steps = [0.01, 0.006] * 30
    steps[2 * disturbed + 1] = 0.09
    assert measured_precision._faster(clock(*steps)) == "bfloat16"


def test_a_product_without_a_kernel_for_bfloat16_stays_in_float32():
    def seconds(precision: str) -> float:
        if precision == "bfloat16":
            raise RuntimeError("not implemented for 'BFloat16'")
        return 1.0

    assert measured_precision._faster(seconds) == "float32"


@pytest.fixture
def measured_as(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Measure even small nets, and control what the next measurements find."""
    found: list[str] = []

    def faster(seconds: Any) -> str:
        seconds("float32"), seconds("bfloat16")
        return found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(precision, "_SMALL", 0)
    monkeypatch.setattr(measured_precision, "_FEW_PRODUCTS", 0)
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(measured_precision, "_faster", faster)
    monkeypatch.setattr(measured_precision, "_measurements", measured_precision._Measurements())
    yield found


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@pytest.mark.parametrize("cls", AUTOENCODERS, ids=lambda c: c.__name__)
def test_measuring_changes_only_the_precision(cls, measured_as):
    measured_as.append("bfloat16")
    X, y = rows_for(cls), targets_for(cls)
    stacked = cls.__name__ == "StackedAutoencoder"
    more = {"pretrain": "rbm", "activation": "sigmoid"} if stacked else {}
    known = unfitted(cls).get_params()
    trained = {"linear_start": False, "validation_fraction": 0.1}
    more |= {name: value for name, value in trained.items() if name in known}
    ours, named = (
        unfitted(cls).set_params(precision=given, **more).fit(X, y)
        for given in ("auto", "bfloat16")
    )
    assert ours.model_.record["precision"] == "bfloat16"
    assert equal(weights(ours), weights(named))


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@pytest.mark.parametrize("cls", AUTOENCODERS, ids=lambda c: c.__name__)
def test_no_net_on_few_small_rows_is_measured(cls, measured_as, monkeypatch):
    """A codebook has three dimensions, but uses a weight once per row."""
    monkeypatch.setattr(measured_precision, "_FEW_PRODUCTS", FEW_PRODUCTS)
    measured_as.append("bfloat16")
    record = unfitted(cls).fit(rows_for(cls), targets_for(cls)).model_.record
    assert record["precision"] == "float32"


def test_products_of_convolutions_are_counted(monkeypatch):
    """8 x 8 pixels through 3 x 3 windows of 5 channels, and a dense layer of 320 units."""
    net = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.Flatten(), nn.Linear(320, 2))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x, y=None, *, generator):
            return self.net(x.reshape(-1, 1, 8, 8))

    x = torch.zeros(4, 64)
    counted = measured_precision._n_products(Net(), x, None, torch.device("cpu"))
    convolution, dense = 4 * 64 * 9 * 5, 4 * 320 * 2
    assert convolution + dense <= counted <= convolution + 2 * dense + 100


def test_nets_and_batches_of_one_shape_are_measured_once(x, measured_as):
    measured_as += ["bfloat16", "float32"]
    first, second, wider = small(), small(), small(hidden=(6,))
    found = [net.fit(x).model_.record["precision"] for net in (first, second, wider)]
    assert found == ["bfloat16", "bfloat16", "float32"]


def test_threads_measure_once_and_agree(x, measured_as):
    measured_as += ["bfloat16", "float32"]
    nets = [small(max_epochs=1) for _ in range(4)]
    threads = [threading.Thread(target=net.fit, args=(x,)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {net.model_.record["precision"] for net in nets} == {"bfloat16"}


@pytest.mark.parametrize("first, then", [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_resumed_run_keeps_the_precision_that_was_measured(first, then, x, tmp_path, measured_as):
    measured_as.append(first)
    whole = small(linear_start=False).fit(x)
    with pytest.raises(TrainingStopped):
        small(linear_start=False).fit(x, checkpoint=tmp_path, stop_requested=after(7))
    measured_precision._measurements.precisions.clear()
    measured_as[:] = [then]
    resumed = small(linear_start=False).fit(x, checkpoint=tmp_path, resume=True)
    assert resumed.model_.record["precision"] == first
    assert equal(weights(resumed), weights(whole))


def test_precision_is_measured_only_on_processors_with_bfloat16(monkeypatch):
    net, cpu = torch.nn.Linear(400, 400), torch.device("cpu")
    for flags, expected in (
        ({"architecture": "x86_64", "avx2": True}, "float32"),
        ({"architecture": "x86_64", "avx512_bf16": True}, "auto"),
        ({"architecture": "aarch64"}, "auto"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert resolve_precision("auto", cpu, net) == expected
