"""What import-linter has no contract for: the package root, and what importing it costs."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"
MODULES = sorted((SOURCES / "offload").rglob("*.py"))


def imports_root(node: ast.Import | ast.ImportFrom) -> bool:
    """`import offload.x` passes: it names the module it needs."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "offload"
    return any(alias.name == "offload" for alias in node.names)


def test_nothing_inside_imports_the_package_root() -> None:
    # The root imports everything public, so such an import is a cycle, and whether it
    # works depends on who came first. Import from the module that defines the name.
    found = [
        f"{path.relative_to(SOURCES)}:{node.lineno}: {ast.unparse(node)}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and imports_root(node)
    ]
    assert not found


def test_importing_offload_is_cheap() -> None:
    # A script that only enqueues must not pay for, or need, a web framework or a driver
    # that it does not use.
    heavy = {
        "apsw",
        "fastapi",
        "psycopg",
        "redis",
        "rich",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "typer",
    }
    program = f"import sys, offload; print(*sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_the_heart_of_a_worker_is_small() -> None:
    # Each worker has one, and what it imports it holds in memory for as long.
    program = "import sys, offload.worker.heart; print('pydantic' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
