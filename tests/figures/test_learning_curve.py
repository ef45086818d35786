"""The learning curve of inspect --figure, and results shown as tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.text import Text

from narrows import AnomalyDetector, Autoencoder, CodeClassifier, StackedAutoencoder
from narrows.cli import run as cli
from narrows.figures.learning_curve import Curve, curves_of_model, learning_curve_figure

X = np.random.default_rng(0).normal(size=(60, 6))


@pytest.fixture(scope="module")
def ae() -> Autoencoder:
    settings = {"linear_start": False, "validation_fraction": 0.1, "random_state": 0}
    return Autoencoder(2, hidden=(4,), max_epochs=5, **settings).fit(X)


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_the_curves_match_the_training_record(ae):
    record = ae.model_.record
    (curve,) = curves_of_model(record, ae.loss_unit_)
    assert curve.training == ae.history_ and curve.held_out == ae.validation_history_
    assert curve.best_epoch == int(np.argmin(ae.validation_history_)) + 1
    (axis,) = learning_curve_figure([curve]).axes
    assert axis.get_ylabel().replace("\n", " ") == ae.loss_unit_  # whole, on as many lines
    training, held_out, kept = axis.lines
    np.testing.assert_array_equal(training.get_ydata(), ae.history_)
    np.testing.assert_array_equal(held_out.get_ydata(), ae.validation_history_)
    assert training.get_xdata().tolist() == held_out.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert kept.get_xdata()[0] == curve.best_epoch


def test_pretrained_layers_have_their_own_panels():
    stacked = StackedAutoencoder(2, hidden=(4,), pretrain_epochs=3, max_epochs=2, random_state=0)
    curves = curves_of_model(stacked.fit(X).model_.record, "x")
    assert [(curve.name, len(curve.training)) for curve in curves] == [
        ("layer 1", 3), ("layer 2", 3), ("net", 2),
    ]  # fmt: skip
    assert len(learning_curve_figure(curves).axes) == 3


@pytest.mark.parametrize("n", [0, 1, 2, 200])
def test_a_training_of_any_length_is_drawn(n, tmp_path):
    name = "a name that is much too long for a panel of a figure <b>" * 2
    figure = learning_curve_figure([Curve(name, [1.0] * n, [], None, "unit $ " * 10)])
    figure.savefig(tmp_path / "f.png")
    assert ("no epochs" in texts(figure)) == (n == 0)


def test_inspect_draws_nets_heads_and_detectors(ae, tmp_path, capsys):
    ae.save(tmp_path / "m")
    CodeClassifier(ae, max_epochs=3, random_state=0).fit(X, np.arange(60) % 2).save(tmp_path / "h")
    net = Autoencoder(1, hidden=(4,), max_epochs=2, validation_fraction=0, scale="standard")
    AnomalyDetector(net, n_folds=2, random_state=0).fit(X).save(tmp_path / "d")
    np.save(tmp_path / "x.npy", X)
    for model, more in (("m", []), ("h", []), ("d", []), ("m", [str(tmp_path / "x.npy")])):
        path = tmp_path / f"{model}{len(more)}.png"
        assert cli(["inspect", str(tmp_path / model), *more, "--figure", str(path)]) == 0
        assert str(path) in capsys.readouterr().out and path.stat().st_size > 5000
    path = tmp_path / "j.png"
    assert cli(["inspect", str(tmp_path / "m"), "--json", "--figure", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["figure"] == str(path)
    assert cli(["inspect", str(tmp_path / "m"), "--figure", str(tmp_path / "m")]) == 2


def test_results_are_shown_as_their_table(ae, tmp_path):
    for result in (ae.evaluate(X), ae.inspect(X)):
        table = result.table()
        assert str(result) == table and table in repr(result)
        assert repr(result).startswith(type(result).__name__)
        html = result._repr_html_()
        assert html.startswith("<div>") and table.splitlines()[0].strip() in html


def test_markup_in_a_result_is_shown_as_text(ae):
    from dataclasses import replace

    evaluation = replace(ae.evaluate(X), error_unit="<script>x</script>", squared_unit="a & <b>")
    html = evaluation._repr_html_()
    assert "<script>" not in html and "<b>" not in html and "a &amp; &lt;b&gt;" in html
