"""Lines of progress: of many epochs some, evenly, with the first and the last."""

from __future__ import annotations

import numpy as np
import pytest

from narrows import Autoencoder, CodeClassifier, StackedAutoencoder
from narrows.estimators._progress import Progress
from narrows.training.loop import Epoch

EPOCH = Epoch(1.0, 1.0, 0.0, None, 0.0)


def lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "epoch " in line]


def told(capsys) -> list[int]:
    """Return the numbers of the epochs that stand on stderr."""
    return [int(line.split("epoch ")[1].split("/")[0].split(":")[0]) for line in lines(capsys)]


@pytest.mark.parametrize("of", [1, 2, 29, 30, 31, 59, 60, 100, 500, 1999])
def test_a_training_has_about_thirty_lines(of, capsys):
    with Progress(2, of) as progress:
        for number in range(1, of + 1):
            progress.epoch(number, EPOCH)
    numbers = told(capsys)
    assert numbers[0] == 1 and numbers[-1] == of and numbers == sorted(set(numbers))
    if of <= 30:
        assert len(numbers) == of
    else:
        assert 15 < len(numbers) <= 31
        assert len(set(np.diff(numbers[1:-1]))) == 1


def test_the_epoch_at_which_training_stopped_is_told(capsys):
    with Progress(2, 500) as progress:
        for number in range(1, 38):
            progress.epoch(number, EPOCH)
    assert told(capsys) == [1, 18, 36, 37]


def test_other_levels_print_no_epochs(capsys):
    for verbose in (0, 1):
        with Progress(verbose, 100) as progress:
            for number in range(1, 51):
                progress.epoch(number, EPOCH)
    assert not capsys.readouterr().err


def test_trainings_of_nets_heads_and_layers_are_told_so(rows, classes, capsys):
    few = rows[:40]
    ae = Autoencoder(2, hidden=(), max_epochs=90, patience=None, random_state=0, verbose=2).fit(few)
    assert told(capsys) == [1, *range(4, 91, 4), 90]
    CodeClassifier(ae, max_epochs=200, random_state=0, verbose=2).fit(rows[::10], classes[::10])
    assert told(capsys) == [1, *range(7, 200, 7), 200]
    stacked = StackedAutoencoder(
        2, hidden=(4,), pretrain_epochs=60, max_epochs=2, random_state=0, verbose=2
    )
    stacked.fit(few)
    first = [line for line in lines(capsys) if "layer 1" in line]
    assert len(first) == 21 and "epoch 60:" in first[-1]
