"""What a user installs: the built wheels, with each extra, in an environment of their own."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = {"offload": ROOT, "imaging": ROOT / "services" / "imaging"}
SOURCES = {"offload": ROOT / "src", "imaging": ROOT / "services" / "imaging" / "src"}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq"]

pytestmark = pytest.mark.timeout(180)


def run(command: Sequence[str | Path], cwd: Path) -> None:
    # Nothing of the tree under test may be importable but through the wheel.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels and, their hashes checked, all that they may depend on."""
    folder = tmp_path_factory.mktemp("wheels")
    pinned: list[str | Path] = ["--require-hashes", "-r", ROOT / "requirements" / "run.txt"]
    run([*PIP, "wheel", "--no-build-isolation", *pinned, "-w", folder], folder)
    for project in PROJECTS.values():
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        run([*build, folder, project], folder)
    return folder


def wheel(wheels: Path, name: str) -> Path:
    [found] = wheels.glob(f"{name}-*.whl")
    return found


def install(wheels: Path, folder: Path, requirement: str) -> Path:
    """Make an environment that holds one requirement and return its Python.

    Everything comes from the folder of wheels, so a dependency that pyproject.toml does
    not name, or that the pins lack, is found here and not by a user.
    """
    run([sys.executable, "-m", "venv", "--without-pip", "env"], folder)
    python = folder / "env" / "bin" / "python"
    offline: list[str | Path] = ["--no-index", "--find-links", wheels]
    run([*PIP, "--python", python, "install", *offline, requirement], folder)
    return python


def is_cache(path: Path) -> bool:
    """Whether tools left this behind: `__pycache__`, `.ruff_cache` and the like."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_holds_every_file_of_its_package(wheels: Path, name: str) -> None:
    package = SOURCES[name] / name
    present = {
        str(path.relative_to(SOURCES[name]))
        for path in package.rglob("*")
        if path.is_file() and not is_cache(path.relative_to(package))
    }
    packed = {file for file in zipfile.ZipFile(wheel(wheels, name)).namelist() if "/" in file}
    assert f"{name}/py.typed" in packed
    assert packed - {file for file in packed if ".dist-info/" in file} == present


@pytest.mark.parametrize("extra", ["", "[fastapi]", "[postgres]", "[sqlalchemy]", "[all]"])
def test_the_example_of_the_readme_runs(wheels: Path, tmp_path: Path, extra: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    # The second step: the first needs FastAPI, whatever else is installed.
    example = re.search(r"^```python\n(import asyncio\n.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert example, "README.md shows no example"
    python = install(wheels, tmp_path, f"offload{extra}")
    run([python.with_name("offload"), "--help"], tmp_path)
    if extra in {"[fastapi]", "[all]"}:
        run([python, "-c", "import offload.fastapi"], tmp_path)
    if extra in {"[postgres]", "[all]"}:
        run([python, "-c", "from offload import Queue; Queue('postgresql://')"], tmp_path)
    (tmp_path / "example.py").write_text(example[1], encoding="utf-8")
    run([python, "example.py"], tmp_path)


def test_imaging_runs_from_its_wheel(wheels: Path, tmp_path: Path) -> None:
    python = install(wheels, tmp_path, "imaging")
    run([python.with_name("imaging"), "--help"], tmp_path)
