"""No command writes over what it reads: refused before any file is opened."""

from __future__ import annotations

import pytest

from narrows.cli import _run

FILES = ("m", "a.csv", "b.csv", "a.npy", "b.npy", "p.png")


@pytest.mark.parametrize(
    "arguments",
    [
        "inpaint m a.npy --mask missing:0.3 --rivals b.npy -o b.npy",
        "inpaint m a.npy --mask b.npy -o b.npy",
        "inpaint m a.npy --mask missing:0.3 --rivals p.png --figure p.png",
        "generate m --check a.npy --held-out b.npy -o b.npy",
        "generate m --check b.npy -o b.npy",
        "generate m --perturb b.npy -o b.npy",
        "generate m --traverse b.npy -o b.npy",
        "generate m --interpolate b.npy -o b.npy",
        "head m a.npy --labels b.npy --task match -o b.npy",
        "head m a.npy --labels b.npy --task match -o m",
        "head m a.csv:text=body,label=topic --task classify -o a.csv",
        "encode m a.csv:text=body -o a.csv",
        "reconstruct m a.csv:text=body -o a.csv",
        "denoise m a.csv:text=body -o a.csv",
        "predict m a.npy --labels b.csv -o b.csv",
        "predict m a.csv:text=body -o a.csv",
        "segment m a.npy --masks b.npy -o b.npy",
        "segment m a.npy --masks p.png --figure p.png",
        "match m a.npy b.csv:text=body -o b.csv",
        "anomalies m a.npy --calibrate b.csv -o b.csv",
        "anomalies m a.npy --calibrate p.png --figure p.png",
        "evaluate m a.npy --retrieval --labels p.png --figure p.png",
        "evaluate m a.npy --labels p.png --map p.png",
        "fit a.csv:text=body,id=key -o a.csv",
        "index m a.csv:text=body -o a.csv --replace",
        "decode m a.npy -o a.npy",
        "export m -o m",
    ],
)  # fmt: skip
def test_an_output_that_is_an_input_is_refused(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).write_text(name)
    assert _run(arguments.split()) == 2
    assert "is the input" in capsys.readouterr().err
    assert all((tmp_path / name).read_text() == name for name in FILES)


def test_a_file_whose_own_name_looks_like_columns_is_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv:text=body").write_text("1\n2\n")
    (tmp_path / "a.csv").write_text("old")
    assert _run(["encode", "m", "a.csv:text=body", "-o", "a.csv"]) == 4  # m is not there
    assert _run(["encode", "m", "a.csv", "-o", "a.csv:text=body"]) == 4
    assert _run(["encode", "m", "a.csv:text=body", "-o", "a.csv:text=body"]) == 2
