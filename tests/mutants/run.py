"""Plant each known bug (`bugs.py`) in a copy of the project and require that its test fails."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.mutants.bugs import MUTANTS, DoesNotApply, Mutant  # noqa: E402 - found by the path above

SOURCES = ("src", "services/imaging/src")
COPIED = (*SOURCES, "tests", "pyproject.toml")
# pytest's word for "tests ran and some failed". Every other code but 0 means that nothing
# was proved: an import error, a bad name and a crash of pytest are not a caught bug.
FAILED = 1
TOO_LONG = 180.0
AT_ONCE = 2
CAUGHT = "caught"


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """Yield a copy of the sources and tests; nothing outside it is touched."""
    with tempfile.TemporaryDirectory(prefix="offload-mutant-") as folder:
        copy = Path(folder).resolve()
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, copy / name, ignore=ignored)
            else:
                shutil.copy2(ROOT / name, copy / name)
        yield copy


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on the sources below `cwd`, whatever is installed beside them."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(str(cwd / source) for source in SOURCES)}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=TOO_LONG, check=False
    )


def pytest(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run the named tests on the copy."""
    return run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests], copy)


def check_unmutated() -> str:
    """A test proves something by failing only if it imports the copy and passes on it."""
    with copy_of_project() as copy:
        where = run([sys.executable, "-c", "import offload; print(offload.__file__)"], copy)
        if not Path(where.stdout.strip()).is_relative_to(copy):
            return f"the copy was not imported: {where.stdout}{where.stderr}"
        result = pytest(copy, *sorted({mutant.test for mutant in MUTANTS}))
    return "" if result.returncode == 0 else f"fails without any mutant: {result.stdout}"


def verdict(mutant: Mutant) -> str:
    """Say what became of one mutant: "caught", or what is wrong."""
    with copy_of_project() as copy:
        try:
            for edit in mutant.edits:
                edit.apply(copy)
            # A test also fails on what is no Python at all, and that would prove nothing.
            broken = run([sys.executable, "-m", "compileall", "-q", *SOURCES], copy)
            if broken.returncode != 0:
                return f"does not compile: {broken.stdout.strip()}"
            code = pytest(copy, mutant.test).returncode
        except DoesNotApply as error:
            return f"does not apply: {error}"
        except subprocess.TimeoutExpired:
            return f"no verdict in {TOO_LONG:.0f} s"
    if code == FAILED:
        return CAUGHT
    return f"survived: {mutant.why}" if code == 0 else f"no verdict: pytest exit code {code}"


def timed(mutant: Mutant) -> tuple[Mutant, str, float]:
    """Return the verdict, and the seconds that it took."""
    start = time.perf_counter()
    return mutant, verdict(mutant), time.perf_counter() - start


def main() -> int:
    """Try every mutant, print the table, and return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    with Progress(console=console) as progress, ThreadPoolExecutor(AT_ONCE) as pool:
        unmutated = pool.submit(check_unmutated)
        trying = [pool.submit(timed, mutant) for mutant in MUTANTS]
        for _ in progress.track(as_completed(trying), total=len(trying), description="mutants"):
            pass
    results = [each.result() for each in trying]
    table = Table("mutant", "caught by", "verdict", "seconds")
    for mutant, said, seconds in results:
        style = "green" if said == CAUGHT else "bold red"
        # As Text: the brackets of a parametrized test are not rich's markup.
        table.add_row(mutant.name, Text(mutant.test), Text(said, style), f"{seconds:.1f}")
    caught = sum(said == CAUGHT for _, said, _ in results)
    console.print(table, f"{caught} of {len(MUTANTS)} mutants caught", sep="\n")
    if unmutated.result():
        console.print(Text(unmutated.result(), "bold red"))
    return 1 if unmutated.result() or caught < len(MUTANTS) else 0


if __name__ == "__main__":
    sys.exit(main())
