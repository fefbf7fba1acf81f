"""Plant each known bug in a copy of the project and require that its test fails.

A mutant is a patch of this folder whose first lines say why it matters and who catches it:

    # why: what would go wrong for a user
    # caught by: tests/store/test_memory.py::test_name
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (Path("src"), Path("services/imaging/src"))
# pytest's word for "tests ran and some failed". Every other code but 0 means that nothing
# was proved: an import error, a bad name and a crash of pytest are not a caught bug.
FAILED = 1
TOO_LONG = 300.0


@dataclass(frozen=True)
class Mutant:
    """One patch and the test that must fail under it."""

    patch: Path
    why: str
    test: str

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Read the header; a patch without a complete one is an error, not skipped."""
        text = patch.read_text(encoding="utf-8")
        header = dict(re.findall(r"^# (why|caught by): (\S.*?)\s*$", text, re.MULTILINE))
        if header.keys() != {"why", "caught by"}:
            sys.exit(f"{patch.name}: it must start with `# why: …` and `# caught by: …`")
        return cls(patch, header["why"], header["caught by"])


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """Yield a copy of all that is or could be committed; nothing outside it is touched."""
    listed = run(["git", "ls-files", "-z", "-co", "--exclude-standard"], ROOT).stdout
    with tempfile.TemporaryDirectory(prefix="offload-mutant-") as folder:
        copy = Path(folder).resolve()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        # Its own repository: inside another one `git apply` skips files without a word.
        run(["git", "init", "--quiet"], copy)
        yield copy


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on the sources below ``cwd``, whatever is installed beside them."""
    # A hook of git exports GIT_DIR and the like, which would point back at our repository.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env["PYTHONPATH"] = os.pathsep.join(str(cwd / source) for source in SOURCES)
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=TOO_LONG, check=False
    )


def pytest(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run the named tests on the copy."""
    return run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests], copy)


def check_unmutated(mutants: list[Mutant]) -> None:
    """A test proves something by failing only if it imports the copy and passes on it."""
    with copy_of_project() as copy:
        where = run([sys.executable, "-c", "import offload; print(offload.__file__)"], copy)
        if not Path(where.stdout.strip()).is_relative_to(copy):
            sys.exit(f"the copy was not imported: {where.stdout}{where.stderr}")
        result = pytest(copy, *sorted({mutant.test for mutant in mutants}))
        if result.returncode != 0:
            sys.exit(f"{result.stdout}{result.stderr}\nthe tests fail without any mutant")


def verdict(mutant: Mutant) -> str:
    """Say what became of one mutant: "caught", or what is wrong."""
    with copy_of_project() as copy:
        applied = run(["git", "apply", str(mutant.patch)], copy)
        if applied.returncode != 0:
            return f"does not apply: {applied.stderr.strip()}"
        # A test also fails on what is no Python at all, and that would prove nothing.
        broken = run([sys.executable, "-m", "compileall", "-q", *map(str, SOURCES)], copy)
        if broken.returncode != 0:
            return f"does not compile: {broken.stdout.strip()}"
        try:
            code = pytest(copy, mutant.test).returncode
        except subprocess.TimeoutExpired:
            return f"no verdict in {TOO_LONG:.0f} s"
    if code == FAILED:
        return "caught"
    return f"survived: {mutant.why}" if code == 0 else f"no verdict: pytest exit code {code}"


def main() -> int:
    """Try every mutant, print the table, and return the exit code."""
    mutants = [Mutant.read(patch) for patch in sorted(Path(__file__).parent.glob("*.patch"))]
    if not mutants:
        sys.exit("no mutants: a patch in tests/mutants is one")
    check_unmutated(mutants)
    table = Table("mutant", "caught by", "verdict", "seconds")
    wrong = 0
    for mutant in mutants:
        start = time.perf_counter()
        said = verdict(mutant)
        wrong += said != "caught"
        seconds = f"{time.perf_counter() - start:.1f}"
        style = "green" if said == "caught" else "bold red"
        # As Text: the brackets of a parametrized test are not rich's markup.
        table.add_row(mutant.patch.stem, Text(mutant.test), Text(said, style), seconds)
    # Without a terminal rich takes 80 columns, which cuts the names of tests in two.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table, f"{len(mutants) - wrong} of {len(mutants)} mutants caught", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
