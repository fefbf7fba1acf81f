"""Judge a stored run again: `python -m tests.kill.check FILE`.

FILE is a history, plain or compressed, or a report with its history beside it.
"""

import sys
from pathlib import Path

from rich.console import Console

from tests.kill.history import read
from tests.kill.report import recheck, show
from tests.kill.rules import check


def main(path: Path) -> int:
    """Show what was found, and return the exit code."""
    findings = recheck(path) if path.suffix == ".json" else check(read(path))
    show(Console(), findings)
    return 1 if findings.violations else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
