"""Pictures through the service while its processes are killed: `make evidence-images`.

python -m services.imaging.tests.crash.run --images 500 --kills 40 --seed 1 --out FILE
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apsw

from services.imaging.tests.crash.harness import Report, run
from services.imaging.tests.running import ROOT


def told(report: Report, seed: int) -> dict[str, Any]:
    """Return what goes into the evidence."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    packages = ("offload", "pyvips", "pyvips-binary", "uvicorn")
    return {
        "seed": seed,
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "sqlite": apsw.sqlite_lib_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        **asdict(report),
        "acknowledged": len(report.acknowledged),
        "killed": dict(Counter(report.killed)),
    }


def main() -> int:
    """Run, print, and keep the report if a file is named; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--kills", type=int, default=40, help="of workers and their processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON file for the report")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="offload-crash-") as name:
        folder = Path(name, "imaging").resolve()
        report = run(folder, options.images, options.kills, options.seed)
        if report.faults:
            print(folder.with_suffix(".log").read_text()[-20_000:])  # noqa: T201 - to find out why
    text = json.dumps(told(report, options.seed), indent=2) + "\n"
    print(text)  # noqa: T201 - a command's report
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return int(bool(report.faults))


if __name__ == "__main__":
    sys.exit(main())
