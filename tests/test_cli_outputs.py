"""No command writes over what it reads: refused before any file is opened."""

from __future__ import annotations

import pytest

from narrows.applications.output import check_writable
from narrows.cli import _run
from narrows.errors import UsageError

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
        "index m a.csv:text=body -o a.csv --add",
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


@pytest.mark.parametrize(
    "arguments",
    ["encode m a.npy", "decode m a.npy", "reconstruct m a.npy", "denoise m a.npy",
     "predict m a.npy", "match m a.npy b.npy", "anomalies m a.npy", "segment m a.npy",
     "generate m", "inpaint m a.npy --mask missing:0.3"],
)  # fmt: skip
def test_a_file_that_rows_cannot_be_written_to_is_refused_before_any_is_read(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)  # where there is no m
    assert _run([*arguments.split(), "-o", "rows.txt"]) == 2
    assert "rows.txt: outputs are written as .npy, .csv or .tsv" in capsys.readouterr().err


def test_a_file_whose_own_name_looks_like_columns_is_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv:text=body").write_text("1\n2\n")
    (tmp_path / "a.csv").write_text("old")
    assert _run(["encode", "m", "a.csv:text=body", "-o", "a.csv"]) == 4  # m is not there
    assert _run(["export", "m", "-o", "a.csv:text=body"]) == 4
    assert _run(["encode", "m", "a.csv:text=body", "-o", "a.csv:text=body"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        "inpaint m a.npy --mask missing:0.3 --rivals images -o images/x.npy",
        "inpaint m images --mask missing:0.3 --figure images/x.png",
        "generate m --check images -o images/x.npy",
        "generate m --perturb images --figure images/x.png",
        "head m images --labels a.npy --task classify -o images/x",
        "head m a.npy --labels images --task segment -o images/x",
        "encode m images -o images/x.npy",
        "encode m images -o images/below/x.npy",
        "encode m images/below -o images/below/x.npy",
        "encode m images -o other/../images/x.npy",
        "encode m images -o other/x.npy",
        "encode m linked -o images/x.npy",
        "encode m images -o linked/x.npy",
        "encode m texts -o texts/x.npy",
        "reconstruct m . --figure x.png",
        "reconstruct m images -o images/x.npy",
        "reconstruct m images --figure images/x.png",
        "denoise m images -o images/x.npy",
        "predict m images -o images/x.csv",
        "segment m images -o images/x.npy",
        "segment m a.npy --masks images --figure images/x.png",
        "match m images a.npy -o images/x.csv",
        "anomalies m images -o images/x.csv",
        "anomalies m a.npy --calibrate images --figure images/x.png",
        "evaluate m images --map images/x.png",
        "fit images -o images/x",
        "index m images -o images/x",
        "index m images -o images/x --add",
        "decode m images -o images/x.npy",
    ],
)  # fmt: skip
def test_an_output_in_an_input_folder_is_refused(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images" / "below").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "linked").symlink_to("images")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("words")
    (tmp_path / "images" / "there.npy").write_text("there")
    (tmp_path / "other" / "x.npy").symlink_to("../images/there.npy")
    for name in FILES:
        (tmp_path / name).write_text(name)
    before = sorted(tmp_path.rglob("*"))
    assert _run(arguments.split()) == 2
    assert "lies in the input folder" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["x.npy", "below/x.csv", ".x.csv"])
def test_an_output_that_a_folder_of_images_does_not_read_is_taken(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images" / "below").mkdir(parents=True)
    (tmp_path / "images" / "below" / "a.png").touch()
    assert _run(["encode", "m", "images", "-o", f"images/{name}"]) == 4  # m is not there
    assert "no such model file" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "images")
    assert _run(["encode", "m", ".", "-o", name]) == 4
    assert _run(["encode", "m", ".", "-o", "x.PNG"]) == 2
    assert "lies in the input folder ., of which" in capsys.readouterr().err


def test_an_output_beside_an_input_folder_is_none_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    assert _run(["encode", "m", "images", "-o", "images.npy"]) == 4  # m is not there
    assert "no such model file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, ending",
    [
        ("generate m -n 2 -o link/", "link/: is a link to"),
        ("segment m a.npy -o link", "link: the folder"),
        ("encode m a.npy -o link", "link: the folder"),
        ("reconstruct m a.npy --figure link.png", "link.png: the folder"),
    ],
)
def test_a_link_to_what_is_not_there_is_refused(arguments, ending, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for link in ("link", "link.png"):
        (tmp_path / link).symlink_to("none/there.png")
    assert _run(arguments.split()) == 5
    error = capsys.readouterr().err
    assert ending in error and "does not exist; make it first" in error


def test_a_link_to_a_new_file_in_a_folder_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "link.npy").symlink_to("there/new.npy")
    assert _run(["encode", "m", "a.npy", "-o", "link.npy"]) == 4  # m is not there
    assert "no such model file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["reconstruct m a.npy", "denoise m a.npy", "inpaint m a.npy", "generate m",
                "segment m a.npy"],
)  # fmt: skip
@pytest.mark.parametrize("figure", ["made/0.png", "made/below/x.PNG", "linked/x.png", "linked.pdf"])
def test_a_figure_among_the_images_of_the_output_is_refused(
    command, figure, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made" / "below").mkdir(parents=True)
    (tmp_path / "linked").symlink_to("made")
    (tmp_path / "linked.pdf").symlink_to("made/0.png")
    assert _run([*command.split(), "-o", "made/", "--figure", figure]) == 2
    assert f"--figure {figure}: lies in made/" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["made.png", "made/x.pdf", "made2/x.png"])
def test_a_figure_that_is_none_of_the_images_is_taken(figure, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("made", "made2"):
        (tmp_path / folder).mkdir()
    assert _run(["reconstruct", "m", "a.npy", "-o", "made/", "--figure", figure]) == 4
    assert "no such model file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["match m a.npy b.npy", "anomalies m a.npy"])
def test_a_figure_that_is_the_output_is_refused(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").symlink_to("p.csv")
    assert _run([*command.split(), "-o", "p.csv", "--figure", "x.png"]) == 2
    assert "--figure x.png: is the file of -o p.csv" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["drop=t: s", '"drop=t: s"', "id=t: s"])
def test_an_input_is_known_whatever_its_columns_are_called(options, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('a,b,"t: s"\n1,2,x\n3,4,y\n')
    with pytest.raises(UsageError, match="is the input .*t.csv itself"):
        check_writable(table, f"{table}:{options}")
