"""No command overwrites its input: it is refused before any file is opened."""

from __future__ import annotations

import pytest
from click import Argument, Option, Path
from click.types import StringParamType

from narrows.cli import narrows
from narrows.cli import run as cli
from narrows.cli._options import RowOutput
from narrows.errors import UsageError
from narrows.writers.tables import check_writable

FILES = ("m", "a.csv", "b.csv", "a.npy", "b.npy", "p.png")


OUTPUTS = ("output", "figure", "map_figure")

NO_FILES = {
    "activation", "augmentation", "batch_size", "channels", "class_names", "code_activation",
    "corrupt", "corruption", "delete", "density", "device", "groups", "hidden", "image_shape",
    "kind", "learning_rate", "loss", "max_epochs", "method", "n_components", "noise", "paper",
    "patience", "penalties", "precision", "preset", "resize", "scale", "settings", "training",
    "unknown", "validation_fraction",
}  # fmt: skip
"""String arguments that are not files: list new ones here, or they count as inputs."""

NEEDED = {
    "head": "--task classify", "index": "--replace", "inpaint": "--mask missing:0.3",
    "evaluate": "--retrieval",
}  # fmt: skip
"""Required arguments of each command."""


def _takes_text(parameter):
    return isinstance(parameter.type, StringParamType | Path | RowOutput)


def _inputs_as_outputs():
    """Yield, for every command, a command line for each pair of input and output."""
    for name, command in narrows.commands.items():
        texts = [p for p in command.params if _takes_text(p) and p.name not in NO_FILES]
        inputs = [p for p in texts if p.name not in OUTPUTS]
        for output in (p for p in texts if p.name in OUTPUTS):
            for given in inputs:
                yield " ".join([name, *_line(name, inputs, given, output)])


def _line(name, inputs, given, output):
    same = "b.npy" if output.name == "output" else "p.png"
    for other in inputs:
        if isinstance(other, Argument):
            yield same if other is given else "m" if other.name == "model" else "a.npy"
    if (name, given.name) != ("inpaint", "mask"):
        yield from NEEDED.get(name, "").split()
    if given.name == "held_out":
        yield "--check a.npy"
    if isinstance(given, Option):
        yield f"{given.opts[-1]} {same}"
    yield f"{output.opts[-1]} {same}"


def _refused(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).write_text(name)
    assert cli(arguments.split()) == 2
    assert "is the input" in capsys.readouterr().err
    assert all((tmp_path / name).read_text() == name for name in FILES)


@pytest.mark.parametrize("arguments", list(_inputs_as_outputs()))
def test_every_input_of_every_command_is_refused_as_its_output(
    arguments, tmp_path, monkeypatch, capsys
):
    _refused(arguments, tmp_path, monkeypatch, capsys)


def test_the_cases_cover_all_commands_that_read_and_write():
    lines = list(_inputs_as_outputs())
    assert {line.split()[0] for line in lines} == {
        *narrows.commands
    } - {"datasets", "demo", "reproduce", "search"}  # fmt: skip
    assert "head m a.npy --task classify --weights b.npy --output b.npy" in lines


@pytest.mark.parametrize(
    "arguments",
    [
        "head m a.csv:text=body,label=topic --task classify -o a.csv",
        "head m b.npy --weights a.csv:label=w --task classify -o a.csv",
        "encode m a.csv:text=body -o a.csv",
        "predict m a.csv:text=body -o a.csv",
        "match m a.npy b.csv:text=body -o b.csv",
        "anomalies m a.npy --calibrate b.csv:drop=x -o b.csv",
        "fit a.csv:text=body,id=key -o a.csv",
        "fit a.npy --weights a.csv:label=w -o a.csv",
        "index m a.csv:text=body -o a.csv --add",
    ],
)  # fmt: skip
def test_an_input_with_columns_is_refused_as_the_output(arguments, tmp_path, monkeypatch, capsys):
    _refused(arguments, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        "reconstruct m images:kind=images -o images/",
        "denoise m images:resize=8x8 -o images/",
        "generate m --check images:kind=images -o images/",
        "inpaint m a.npy --mask missing:0.3 --baselines images:kind=images -o images/below/",
    ],
)
def test_images_are_not_written_into_an_input_folder_with_options(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "a.npy").touch()
    assert cli(arguments.split()) == 2
    assert "is the input folder images or inside it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    ["encode m a.npy", "decode m a.npy", "reconstruct m a.npy", "denoise m a.npy",
     "predict m a.npy", "match m a.npy b.npy", "anomalies m a.npy", "segment m a.npy",
     "generate m", "inpaint m a.npy --mask missing:0.3"],
)  # fmt: skip
def test_an_unwritable_output_format_is_refused_before_reading(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)  # where there is no m
    assert cli([*arguments.split(), "-o", "rows.txt"]) == 2
    assert "rows.txt: outputs are written as .npy, .csv or .tsv" in capsys.readouterr().err


def test_a_file_name_that_looks_like_column_options_is_a_file_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv:text=body").write_text("1\n2\n")
    (tmp_path / "a.csv").write_text("old")
    assert cli(["encode", "m", "a.csv:text=body", "-o", "a.csv"]) == 4  # m is not there
    assert cli(["export", "m", "-o", "a.csv:text=body"]) == 4
    assert cli(["encode", "m", "a.csv:text=body", "-o", "a.csv:text=body"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        "inpaint m a.npy --mask missing:0.3 --baselines images -o images/x.npy",
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
    assert cli(arguments.split()) == 2
    assert "is inside the input folder" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["x.npy", "below/x.csv", ".x.csv"])
def test_an_output_that_the_image_reader_ignores_is_accepted(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images" / "below").mkdir(parents=True)
    (tmp_path / "images" / "below" / "a.png").touch()
    assert cli(["encode", "m", "images", "-o", f"images/{name}"]) == 4  # m is not there
    assert "no such model file" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "images")
    assert cli(["encode", "m", ".", "-o", name]) == 4
    assert cli(["encode", "m", ".", "-o", "x.PNG"]) == 2
    assert "is inside the input folder ., so the next run" in capsys.readouterr().err


def test_an_output_beside_an_input_folder_is_accepted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    assert cli(["encode", "m", "images", "-o", "images.npy"]) == 4  # m is not there
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
def test_a_link_into_a_missing_folder_is_refused(arguments, ending, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for link in ("link", "link.png"):
        (tmp_path / link).symlink_to("none/there.png")
    assert cli(arguments.split()) == 5
    error = capsys.readouterr().err
    assert ending in error and "does not exist; make it first" in error


def test_a_link_to_a_new_file_is_accepted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "link.npy").symlink_to("there/new.npy")
    assert cli(["encode", "m", "a.npy", "-o", "link.npy"]) == 4  # m is not there
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
    assert cli([*command.split(), "-o", "made/", "--figure", figure]) == 2
    assert f"--figure {figure}: lies in made/" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["made.png", "made/x.pdf", "made2/x.png"])
def test_a_figure_outside_the_images_of_the_output_is_accepted(
    figure, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for folder in ("made", "made2"):
        (tmp_path / folder).mkdir()
    assert cli(["reconstruct", "m", "a.npy", "-o", "made/", "--figure", figure]) == 4
    assert "no such model file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["match m a.npy b.npy", "anomalies m a.npy"])
def test_a_figure_that_is_the_output_is_refused(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").symlink_to("p.csv")
    assert cli([*command.split(), "-o", "p.csv", "--figure", "x.png"]) == 2
    assert "--figure x.png: is the file of -o p.csv" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["drop=t: s", '"drop=t: s"', "id=t: s"])
def test_an_input_is_recognized_with_any_column_options(options, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('a,b,"t: s"\n1,2,x\n3,4,y\n')
    with pytest.raises(UsageError, match="is the input .*t.csv itself"):
        check_writable(table, f"{table}:{options}")
