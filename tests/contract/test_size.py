"""Limits that a linter does not know: sizes, and what must not be written down."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", "bench", "docs", "examples", "requirements", "services", "src", "tests")
SKIPPED = {"__pycache__", ".hypothesis", ".offload", "var"}
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 50
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9])/(home|root|tmp|work)/", re.MULTILINE)


def ours() -> Iterator[Path]:
    """All files that we write. Found without git, which `make test` does not ask for."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != ".git")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not SKIPPED.intersection(path.relative_to(ROOT).parts):
                yield path


FILES = sorted(ours())
PYTHON = [path for path in FILES if path.suffix == ".py"]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short() -> None:
    assert not [
        f"{relative(path)}: {lines}"
        for path in PYTHON
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    ]


def test_functions_are_short() -> None:
    assert not [
        f"{relative(path)}:{node.lineno} {node.name}: {lines}"
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    # The pages are not ours, and may name folders as they like.
    pages = (ROOT / "tests" / "seeds").glob("*.txt")
    for path in sorted({*FILES}.difference(pages)):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a photograph
        found += [f"{relative(path)}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert not found


def test_requirements_hold_no_address() -> None:
    # Whoever installs brings an index; the hashes say whether it served the right thing.
    for path in (ROOT / "requirements").iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path.name
