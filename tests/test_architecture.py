"""The house rules that a script can see: ranks, sizes, names, no hidden randomness, no pickle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "narrows"

RANKS = {
    "_types": 0, "_version": 0, "errors": 0, "near_names": 0,
    "activations": 1, "checks": 1, "convolution": 1, "isolation": 1, "memory": 1,
    "piece_specs": 1, "products": 1, "schema": 1, "slots": 1, "sparse": 1,
    "targets": 1, "terms": 1, "weighting": 1,
    "augmentations": 2, "corruptions": 2, "decoders": 2, "encoders": 2, "losses": 2, "penalties": 2,
    "boltzmann": 3, "objective": 3,
    "code_task": 4, "data": 4, "datasets": 4, "neighbours": 4, "pair_task": 4, "sampled_softmax": 4,
    "segmentation": 4,
    "text": 4, "variants": 4, "virtual_adversarial": 4,
    "artefact": 5, "durable": 1, "baseline": 5, "density": 2, "indexing": 5, "model": 5,
    "model_parts": 5,
    "applications": 6, "training": 6,
    "cli": 7, "estimators": 7,
}  # fmt: skip

# Within a rank, who may import whom: a mirror imports what it mirrors, a model its file.
SAME_RANK = {
    ("errors", "near_names"),
    ("activations", "slots"),
    ("slots", "piece_specs"),
    ("slots", "sparse"),
    ("weighting", "slots"),
    ("terms", "slots"),
    ("decoders", "encoders"),
    ("penalties", "encoders"),
    ("datasets", "data"),
    ("neighbours", "data"),
    ("pair_task", "code_task"),
    ("virtual_adversarial", "code_task"),
    ("text", "data"),
    ("model", "artefact"),
    ("model", "baseline"),
    ("model", "model_parts"),
    ("model_parts", "baseline"),
    ("indexing", "artefact"),
    ("cli", "estimators"),
}

FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def imports(path: Path) -> set[str]:
    """Return the parts of narrows that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("narrows."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("narrows.")}
    return found


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_modules_import_only_from_lower_ranks():
    wrong = []
    for path in FILES:
        here = part(path)
        if here == "__main__":
            continue
        for other in imports(path) - {here}:
            if not (RANKS[other] < RANKS[here] or (here, other) in SAME_RANK):
                name = path.relative_to(SOURCE)
                wrong.append(f"{name} (rank {RANKS[here]}) imports {other} (rank {RANKS[other]})")
    assert not wrong, "\n".join(wrong)


def test_every_part_has_a_rank():
    assert {part(path) for path in FILES} - {"__main__"} == set(RANKS)


def test_files_stay_small():
    lines = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in FILES}
    assert not {name: n for name, n in lines.items() if n > 400}


def test_the_heart_fits_one_screen():
    assert len((SOURCE / "objective.py").read_text().splitlines()) <= 80


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
    statement = "from narrows.cli import _run; _run(['fit', '--help'])"
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
