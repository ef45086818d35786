"""Progress lines: all epochs, or some evenly spaced, always the first and the last."""

from __future__ import annotations

import numpy as np
import pytest

from narrows import Autoencoder, CodeClassifier, StackedAutoencoder
from narrows.training.progress import Progress
from narrows.training.record import Epoch, TrainingRecord

EPOCH = Epoch(1.0, 1.0, 0.0, None, 0.0)


def lines(capsys) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("epoch ") or ", epoch " in line]


def printed_epochs(capsys) -> list[int]:
    """Return the numbers of the epochs printed to stderr."""
    return [int(line.split("epoch ")[1].split("/")[0].split(":")[0]) for line in lines(capsys)]


@pytest.mark.parametrize("of", [1, 2, 29, 30, 31, 59, 60, 100, 500, 1999])
def test_a_training_has_about_thirty_lines(of, capsys):
    with Progress(2, of) as progress:
        for number in range(1, of + 1):
            progress.epoch(number, EPOCH)
    numbers = printed_epochs(capsys)
    assert numbers[0] == 1 and numbers[-1] == of and numbers == sorted(set(numbers))
    if of <= 30:
        assert len(numbers) == of
    else:
        assert 15 < len(numbers) <= 31
        assert len(set(np.diff(numbers[1:-1]))) == 1


def test_the_epoch_at_which_training_stopped_is_printed(capsys):
    with Progress(2, 500) as progress:
        for number in range(1, 38):
            progress.epoch(number, EPOCH)
    assert printed_epochs(capsys) == [1, 18, 36, 37]


def test_other_levels_print_no_epochs(capsys):
    for verbose in (0, 1):
        with Progress(verbose, 100) as progress:
            for number in range(1, 51):
                progress.epoch(number, EPOCH)
    assert not capsys.readouterr().err


def test_nets_heads_and_layers_print_some_of_many_epochs(rows, classes, capsys):
    few = rows[:40]
    ae = Autoencoder(
        2,
        hidden=(),
        max_epochs=90,
        patience=None,
        validation_fraction=0.1,
        random_state=0,
        verbose=2,
    ).fit(few)
    assert printed_epochs(capsys) == [1, *range(4, 91, 4), 90]
    CodeClassifier(ae, max_epochs=200, random_state=0, verbose=2).fit(rows[::10], classes[::10])
    assert printed_epochs(capsys) == [1, *range(7, 200, 7), 200]
    stacked = StackedAutoencoder(
        2, hidden=(4,), pretrain_epochs=60, max_epochs=2, validation_fraction=0.1, random_state=0,
        verbose=2,
    )  # fmt: skip
    stacked.fit(few)
    first = [line for line in lines(capsys) if "layer 1" in line]
    assert len(first) == 21 and "epoch 60:" in first[-1]


def test_a_line_gives_the_time_left(capsys):
    with Progress(2, 10) as progress:
        for number in range(1, 11):
            progress.epoch(number, Epoch(1.0, 1.0, 0.0, None, 6.0))
    first, *_, last = lines(capsys)
    assert first.endswith("(6.0 s, 54 s left at most)") and last.endswith("(6.0 s)")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.1, "1 s"), (60, "10 min"), (600, "1 h 40 min"), (3600, "10 h 00 min")]
)
def test_times_are_in_readable_units(seconds, shown, capsys):
    with Progress(2, 11) as progress:
        progress.epoch(1, Epoch(1.0, 1.0, 0.0, None, seconds))
    assert f", {shown} left at most" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("n", "more", "expected"),
    [
        (10, {}, "10 epochs in 20 s, the maximum\n"),
        (1, {}, "1 epoch in 2 s\n"),
        (7, {"stopped_early": True, "best_epoch": 4},
         "7 epochs in 14 s of 10: stopped early, as the held-out error no longer fell; the "
         "weights are those of epoch 4, the best on held-out rows\n"),
        (10, {"best_epoch": 9}, "10 epochs in 20 s, the maximum; the weights are those "
         "of epoch 9, the best on held-out rows\n"),
    ],
)  # fmt: skip
def test_the_last_line_gives_epochs_seconds_and_reason(n, more, expected, capsys):
    for verbose in (0, 1, 2):
        with Progress(verbose, 10) as progress:
            progress.ended(TrainingRecord([Epoch(1.0, 1.0, 0.0, None, 2.0)] * n, **more))
        assert capsys.readouterr().err == (expected if verbose == 2 else "")


def test_nets_and_heads_print_how_they_ended(rows, classes, capsys):
    few = rows[:40]
    ae = Autoencoder(2, hidden=(), linear_start=False, max_epochs=3, random_state=0, verbose=2).fit(
        few
    )
    printed = capsys.readouterr().err
    assert "\n3 epochs in 0 s, the maximum; the weights are those of epoch" in printed
    CodeClassifier(ae, max_epochs=4, random_state=0, verbose=2).fit(rows[::10], classes[::10])
    assert "\n4 epochs in 0 s, the maximum" in capsys.readouterr().err
