"""Rules of the code base that a script can check: imports, sizes, names, randomness, no pickle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "narrows"


def order() -> tuple[str, ...]:
    """Return the parts as CONTRIBUTING lists them: a part imports only from parts above it."""
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text()
    listed = text.partition("src/narrows/\n")[2].partition("papers/<paper>/")[0]
    names = re.findall(r"^ {6}((?:\w+(?:/|\.py) ?)+)", listed, re.MULTILINE)
    return tuple(re.findall(r"(\w+)(?:/|\.py)", " ".join(names)))


ORDER = order()

FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """Return the modules of narrows that a file imports: in functions and for types, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("narrows."):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys()
            if names - MODULES.keys():
                found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("narrows.")}
    return found - {module(path)}


def test_imports_follow_the_order_of_the_list():
    places = {name: place for place, name in enumerate(ORDER)}
    wrong = [
        f"{module(path)} imports {other}, of a later part"
        for path in FILES
        if part(path) != "__main__"
        for other in sorted(imported(path))
        if places[other.split(".")[1]] > places[part(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_imports_form_a_circle():
    """Of modules: what a package's ``__init__`` imports does not count for its modules."""
    graph = {name: imported(path) for name, path in MODULES.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_every_part_is_in_the_list():
    assert {part(path) for path in FILES} - {"__main__"} == set(ORDER)


def test_contributing_names_files_that_exist():
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", text)) - {"losses/NAME.py", "variants/NAME.py"}
    roots = SOURCE, SOURCE.parents[1]
    assert len(named) > 5
    assert not [name for name in named if not any((root / name).exists() for root in roots)]


def test_files_have_at_most_400_lines():
    lines = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in FILES}
    assert not {name: n for name, n in lines.items() if n > 400}


def test_the_heart_fits_one_screen():
    assert len((SOURCE / "core" / "objective.py").read_text().splitlines()) <= 80


def test_no_file_is_called_utils():
    assert not [p for p in FILES if p.stem in ("utils", "helpers", "misc", "common")]


def files_with(*words: str) -> list[str]:
    """Return which files hold one of the words, and the word."""
    texts = {p.relative_to(SOURCE): p.read_text() for p in FILES}
    return [f"{name}: {word}" for name, text in texts.items() for word in words if word in text]


def test_nothing_draws_from_a_global_random_state():
    words = ("torch.manual_seed", "np.random.seed", "random.seed(", "np.random.rand")
    assert not files_with(*words)


def test_no_pickle_is_read_or_written():
    words = ("import pickle", "torch.load(", "torch.save(", "joblib", "allow_pickle=True")
    assert not files_with(*words)


def _modules_after(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_narrows_does_not_import_torch():
    assert not {"torch", "sklearn", "matplotlib", "pandas"} & _modules_after("import narrows")


def test_the_command_line_starts_without_torch():
    statement = "from narrows.cli import run; run(['fit', '--help'])"
    assert not {"torch", "sklearn", "scipy", "numpy"} & _modules_after(statement)


def test_rows_reach_an_encoder_through_its_objective():
    """``Objective.encode`` and ``layers_of`` fill in missing values; the encoder does not."""
    for path in FILES:
        if part(path) not in ("applications", "cli", "estimators"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert not called.endswith((".encoder", "encoder.layers")), f"{path}: {called}"
