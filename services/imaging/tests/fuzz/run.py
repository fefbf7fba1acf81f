"""Hostile files through the path that takes them, and a share of them through the service itself.

python -m services.imaging.tests.fuzz.run --mutants 20000 --seed 1 --out FILE
python -m services.imaging.tests.fuzz.run --seed 1 --only 1274
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from imaging.engine import vips
from services.imaging.tests.fuzz.crafted import CRAFTED
from services.imaging.tests.fuzz.lane import Answer, Lane
from services.imaging.tests.fuzz.mutate import mutant
from services.imaging.tests.fuzz.site import Site
from services.imaging.tests.running import ROOT

LANES = 2
# Of the mutants; the crafted ones all go to the service, too.
HTTP_EVERY = 20


@dataclass(frozen=True)
class Case:
    """A file, what must become of it if that is known, and whether the service gets it, too."""

    name: str
    data: bytes
    expected: str | None
    http: bool


def cases(mutants: int, seed: int) -> Iterator[Case]:
    """Make all files, one at a time."""
    for one in CRAFTED:
        yield Case(one.name, one.make(), one.outcome, http=True)
    for number in range(mutants):
        data = mutant(seed, number)
        yield Case(f"mutant {number}", data, None, http=number % HTTP_EVERY == 0)


@dataclass
class Report:
    """What was found; `faults` must stay empty."""

    outcomes: Counter[str] = field(default_factory=Counter)
    over_http: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, case: Case, direct: Answer, served: str | None) -> None:
        """Count one file, and judge what became of it."""
        self.outcomes[direct.outcome] += 1
        self.slowest = max(self.slowest, (direct.seconds, case.name))
        self.largest = max(self.largest, (direct.peak, case.name))
        if direct.outcome.startswith("unhandled"):
            self.faults.append(f"{case.name}: {direct.outcome}")
        if case.expected not in {None, direct.outcome.rpartition(": ")[2]}:
            self.faults.append(f"{case.name}: {direct.outcome} instead of {case.expected}")
        if served is not None:
            self.over_http[served] += 1
            if served != direct.outcome:
                self.faults.append(f"{case.name}: the service says {served}, not {direct.outcome}")


def run(mutants: int, seed: int, folder: Path) -> Report:
    """Put all files through, in two lanes."""
    report, lock = Report(), Lock()
    with ExitStack() as stack:
        site = stack.enter_context(Site(folder / "site"))
        lanes: SimpleQueue[Lane] = SimpleQueue()
        for number in range(LANES):
            lanes.put(stack.enter_context(Lane(folder / f"lane-{number}")))
        pool = stack.enter_context(ThreadPoolExecutor(LANES))
        room: SimpleQueue[None] = SimpleQueue()

        def put_through(case: Case) -> None:
            lane = lanes.get()
            try:
                direct = lane.take(case.data)
                served = site.take(case.data) if case.http else None
                with lock:
                    report.add(case, direct, served)
            finally:
                lanes.put(lane)
                room.put(None)

        waiting = []
        for number, case in enumerate(cases(mutants, seed)):
            report.digest.update(hashlib.sha256(case.data).digest())
            if number >= 2 * LANES:
                room.get()  # or all files would lie in memory at once
            waiting.append(pool.submit(put_through, case))
        for one in waiting:
            one.result()
        report.faults += site.faults()
    return report


def told(report: Report, mutants: int, seed: int, seconds: float) -> dict[str, Any]:
    """Return what goes into the evidence."""
    packages = ("offload", "pyvips", "pyvips-binary")
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    libvips = ".".join(str(vips.version(part)) for part in range(3))
    return {
        "seed": seed,
        "crafted": len(CRAFTED),
        "mutants": mutants,
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "libvips": libvips,
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "seconds": round(seconds, 1),
        "sha256 of the files": report.digest.hexdigest(),
        "outcomes": dict(sorted(report.outcomes.items())),
        "of these over HTTP": dict(sorted(report.over_http.items())),
        "most memory of the decoder, MB": [report.largest[0] >> 20, report.largest[1]],
        "most processor time, s": [round(report.slowest[0], 2), report.slowest[1]],
        "faults": report.faults,
    }


def main() -> int:
    """Run, print, and keep the report if a file is named; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="put the mutant of this number through alone")
    parser.add_argument("--out", type=Path, help="a JSON file for the report")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="offload-fuzz-") as name:
        if options.only is not None:
            with Lane(Path(name)) as lane:
                print(lane.take(mutant(options.seed, options.only)))  # noqa: T201 - its answer
            return 0
        report = run(options.mutants, options.seed, Path(name))
    found = told(report, options.mutants, options.seed, time.monotonic() - began)
    text = json.dumps(found, indent=2) + "\n"
    print(text)  # noqa: T201 - a command's report
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return int(bool(report.faults))


if __name__ == "__main__":
    sys.exit(main())
