"""The catalog: every public name is documented, and every table matches it."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import narrows
from narrows import decoders, encoders
from narrows.augmentations import AUGMENTATIONS
from narrows.catalog import VARIANTS
from narrows.cli._variants import OPTIONS
from narrows.corruptions import CORRUPTIONS
from narrows.estimators.all_estimators import AUTOENCODERS, HEADS
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

ROOT = Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tables)

PIECES = [*AUGMENTATIONS.values(), *CORRUPTIONS.values(), *LOSSES.values(), *PENALTIES.values()]
NETS = [getattr(nets, name) for nets in (encoders, decoders) for name in nets.__all__]


def documented_parameters(cls) -> dict[str, str | None]:
    """Return the names of a numpydoc "Parameters" section, with their stated defaults."""
    section = re.search(
        r"\n    Parameters\n    -+\n(.*?)\n    [A-Z]\w+\n    -+\n", cls.__doc__, re.S
    )
    assert section is not None
    entries = re.findall(r"^    (\w+) : (.*)$", section[1], re.M)
    return {name: (re.search(r"default=(.*)$", rest) or [None, None])[1] for name, rest in entries}


@pytest.mark.parametrize("cls", [*AUTOENCODERS, *HEADS])
def test_an_estimators_docstring_and_signature_agree(cls):
    signature = inspect.signature(cls.__init__).parameters
    actual = {name: p.default for name, p in signature.items() if name != "self"}
    stated = documented_parameters(cls)
    assert list(stated) == list(actual)
    for name, default in actual.items():
        text = stated[name]
        assert text is not None, name
        value = float(text) if isinstance(default, float) else eval(text, {})
        assert value == default, name


@pytest.mark.parametrize("name", narrows.__all__)
def test_every_public_name_has_a_docstring(name):
    assert name == "__version__" or inspect.getdoc(getattr(narrows, name))


def test_public_names_are_sorted():
    assert narrows.__all__ == sorted(narrows.__all__)


@pytest.mark.parametrize("cls", [*AUTOENCODERS, *HEADS])
def test_every_public_method_has_a_docstring(cls):
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_") and method.__module__.startswith("narrows"):
            assert method.__doc__, name


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_every_piece_is_public_and_states_its_formula(piece):
    assert piece.__name__ in narrows.__all__
    assert re.search(r"x|Omega|L =", inspect.getdoc(piece).splitlines()[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_names_its_paper(name):
    assert re.search(r"\((19|20)\d\d\)", tables.docstring(name))


def test_command_line_options_match_estimator_parameters():
    options = {names.split()[-1].removeprefix("--").replace("-", "_") for names in OPTIONS}
    parameters = set(inspect.signature(narrows.Autoencoder.__init__).parameters)
    assert options == parameters - {"self", "tied", "verbose", "encoder", "decoder"}


def test_command_line_defaults_match_the_estimators():
    parameters = inspect.signature(narrows.Autoencoder.__init__).parameters
    for names, (_, text) in OPTIONS.items():
        default = parameters[names.split()[-1].removeprefix("--").replace("-", "_")].default
        stated = re.search(r"\[(.*)\]$", text)[1]
        if default in (None, ()):
            assert stated == "none"
        elif isinstance(default, tuple):
            assert stated == ",".join(map(str, default))
        else:
            assert stated == str(default)


def test_the_readmes_table_matches_the_docstrings_of_variants():
    text = (ROOT / "README.md").read_text()
    assert tables.with_table(text) == text, "run: python docs/make_tables.py"


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_the_readme_names_every_piece(piece):
    assert f"`{piece.__name__}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("piece", [*PIECES, *NETS], ids=lambda piece: piece.__name__)
def test_every_piece_has_a_formula_and_an_example(piece):
    first_line, _, rest = inspect.getdoc(piece).partition("\n")
    assert re.search(r"=|->|g:", first_line)
    assert re.search(r"\nExamples\n-+\n.*>>> ", rest, re.S)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_its_command(name):
    chosen = VARIANTS[name]
    made = getattr(narrows, chosen.estimator)(**chosen.arguments)
    assert made._choice().variant == (chosen.builder or name)


def test_the_type_stub_matches_the_catalog():
    assert tables.STUB.read_text() == tables.stub(), "run: python docs/make_tables.py"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_complete_line_in_the_table(name):
    line = tables.row(name, tables.estimator(name), tables.docstring(name))
    cells = re.split(r"(?<!\\) \| ", line.strip("| "))
    assert len(cells) == 6 and all(cells)
    assert cells[0] == f"`{name}`" and re.fullmatch(r"(19|20)\d\d", cells[4])


def test_a_new_variants_docstring_becomes_a_row_of_the_table():
    docstring = """Pressed autoencoder: a code under a | weight.

    Better than PCA. Bloggs, O'Hara-Lee, Roe (2031), "Pressing: a study", NIPS; Doe (2032), "More".

    corrupt   masking
    encoder   dense           two layers
    penalty   l1 | l2         <- the slot
    """.replace("\n    B", "\nB")
    assert tables.row("pressed", "`Presser`", docstring) == (
        "| `pressed` | `Presser` | a code under a \\| weight | corrupt masking; "
        "encoder dense; penalty l1 \\| l2 | "
        "2031 | Bloggs et al., *Pressing* |"
    )


@pytest.mark.parametrize(
    ("docstring", "missing"),
    [("A: b.\n\n    loss   x", "paper"), ('A: b.\n\nDoe (2001), "T".', "line of a slot")],
)
def test_a_variant_without_paper_or_slots_is_named(docstring, missing):
    with pytest.raises(ValueError, match=rf"variants/broken.py: the docstring has no .*{missing}"):
        tables.row("broken", "", docstring)
