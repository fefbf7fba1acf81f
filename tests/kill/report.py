"""The report of a run, and the history that proves it."""

import hashlib
import importlib.metadata
import json
import lzma
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.kill.harness import ROOT, Load
from tests.kill.history import read
from tests.kill.rules import Findings, check


def history_of(report: Path) -> Path:
    """Return where the history of a report is."""
    return report.with_suffix(".history.xz")


def store(
    report: Path,
    load: Load,
    findings: Findings,
    history: Path,
    *,
    seconds: float,
    versions: dict[str, str],
) -> None:
    """Write the report, and the history compressed beside it; `versions` are of the store."""
    lines = history.read_bytes()
    report.parent.mkdir(parents=True, exist_ok=True)
    history_of(report).write_bytes(lzma.compress(lines))
    told = {
        "load": asdict(load),
        "commit": _commit(),
        "date": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "offload": importlib.metadata.version("offload"),
            **versions,
        },
        "seconds": round(seconds, 1),
        "counts": findings.counts,
        "violations": [asdict(each) for each in findings.violations[:100]],
        "history": history_of(report).name,
        "history sha256": hashlib.sha256(lines).hexdigest(),
    }
    report.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def recheck(report: Path) -> Findings:
    """Check the history of a report again.

    Raises:
        ValueError: it is not the history that the report was made from, or shows something else.
    """
    told = json.loads(report.read_text(encoding="utf-8"))
    history = report.with_name(told["history"])
    if hashlib.sha256(lzma.decompress(history.read_bytes())).hexdigest() != told["history sha256"]:
        raise ValueError(f"{history.name} is not the history that {report.name} was made from")
    findings = check(read(history))
    # The checker may have learned to count more since.
    shown = {name: findings.counts.get(name) for name in told["counts"]}
    if shown != told["counts"]:
        raise ValueError(f"{report.name} says {told['counts']}, its history {shown}")
    return findings


def show(console: Console, findings: Findings) -> None:
    """Print the numbers and what is wrong."""
    table = Table("what", "count")
    for name, number in findings.counts.items():
        table.add_row(name, f"{number:,}")
    console.print(table)
    for each in findings.violations[:50]:
        console.print(f"{each.rule} {each.job}: {each.what}", markup=False, highlight=False)


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
