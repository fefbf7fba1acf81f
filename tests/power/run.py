"""The power-loss campaign: `python -m tests.power.run --images 50000 --seed 1 --out FILE`.

Image `number` of a seed is always the same: it belongs to history `number // EACH`, and its own
number decides where that is cut and what the disk had kept. `--only NUMBER` looks at one again.
"""

import argparse
import asyncio
import hashlib
import json
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

import apsw
from rich.console import Console
from rich.progress import Progress

from offload.store.sqlite.connection import SYNCHRONOUS
from tests.power.check import Bench, Verdict, checksum, judged
from tests.power.disk import Disk, Fate, Image
from tests.power.history import record
from tests.power.log import Log, Sync

EACH = 500
"""Images of one history."""

SHOWN = 100
"""Findings that a report shows in full; it counts all of them."""

Recorder = Callable[[str, Path], Awaitable[Log]]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the power fails, and what becomes of what was under way."""

    number: int
    position: int
    fate: Fate
    at_sync: bool
    """Whether it is one that was put just before a sync."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An image that is not as it should be."""

    image: int
    position: int
    fate: Fate
    verdict: Verdict
    problem: str


@dataclass(slots=True)
class Report:
    """What a campaign saw."""

    seed: int
    images: int = 0
    distinct_images: int = 0
    histories: int = 0
    events: int = 0
    sync_points: int = 0
    sync_points_cut: int = 0
    promises_checked: int = 0
    """Records that were owed, over all images."""
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    findings: list[Finding] = field(default_factory=list)
    digest: str = ""
    """Over the checksums of all images: the same again, or something is not the same."""

    def note(self, log: Log, cut: Cut, verdict: Verdict, problem: str) -> None:
        """Count one image."""
        answered, _ = log.bounds(cut.position)
        self.images += 1
        self.fates[cut.fate] += 1
        self.verdicts[verdict] += 1
        self.promises_checked += len(log.states[answered])
        self.sync_points_cut += cut.at_sync
        if verdict is not Verdict.SOUND:
            finding = Finding(cut.number, cut.position, cut.fate, verdict, problem)
            self.findings.append(finding)

    def close(self, log: Log, distinct: int) -> None:
        """Count one history, of which there were so many different images."""
        self.histories += 1
        self.distinct_images += distinct
        self.events += len(log.events)
        self.sync_points += len(sync_points(log))


def cut_of(log: Log, syncs: list[int], seed: int, number: int) -> Cut:
    """Return the cut that a number stands for: first each sync in turn, then anywhere."""
    rng = random.Random(f"{seed}/{number}/cut")
    place = number % EACH
    at_sync = place < len(syncs)
    position = syncs[place] if at_sync else rng.randrange(len(log.events) + 1)
    return Cut(number, position, rng.choice(list(Fate)), at_sync)


def sync_points(log: Log) -> list[int]:
    """Return where the log has its syncs."""
    return [place for place, event in enumerate(log.events) if isinstance(event, Sync)]


def images_of(log: Log, seed: int, numbers: Iterable[int]) -> Iterator[tuple[Cut, Image]]:
    """Return the images that belong to one history, in the order of their cuts."""
    disk, place = Disk(), 0
    syncs = sync_points(log)
    cuts = [cut_of(log, syncs, seed, number) for number in numbers]
    for cut in sorted(cuts, key=lambda cut: cut.position):
        for event in log.events[place : cut.position]:
            disk.follow(event)
        place = cut.position
        yield cut, disk.image(cut.fate, random.Random(f"{seed}/{cut.number}/disk"))


async def campaign(
    seed: int,
    numbers: Iterable[int],
    *,
    recorder: Recorder = record,
    done: Callable[[], None] = lambda: None,
) -> Report:
    """Check the images with these numbers; `done` is called after each."""
    report = Report(seed)
    digest = hashlib.sha256()
    for history, group in groupby(sorted(numbers), key=lambda number: number // EACH):
        with scratch() as folder:
            log = await recorder(f"{seed}/{history}", folder / "live")
            bench = Bench(folder / "found", log.now)
            for cut, image in images_of(log, seed, group):
                digest.update(f"{cut.number} {checksum(image)} ".encode())
                report.note(log, cut, *judged(log, cut.position, await bench.found(image)))
                done()
        report.close(log, bench.distinct)
    report.digest = digest.hexdigest()
    return report


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder, in memory where there is one: no disk takes part in this."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


# --- the command ---------------------------------------------------------------------------


def provenance() -> dict[str, object]:
    """Return what is running here; asked for at the start, for files may change meanwhile."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "apsw": apsw.apsw_version(),
        "sqlite": apsw.sqlite_lib_version(),
    }


def _git(*command: str) -> str:
    where = Path(__file__).parent
    run = subprocess.run(["git", *command], cwd=where, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def main() -> int:
    """Run a campaign, write its report, and fail if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--synchronous", choices=SYNCHRONOUS, default="FULL")
    parser.add_argument("--only", type=int, help="look at this image alone")
    parser.add_argument("--out", type=Path, help="write the report here")
    options = parser.parse_args()
    numbers = range(options.images) if options.only is None else [options.only]
    origin = provenance() | {"synchronous": options.synchronous}
    recorder = partial(record, synchronous=options.synchronous)
    with Progress() as progress:
        task = progress.add_task("power cuts", total=len(numbers))
        running = campaign(
            options.seed, numbers, recorder=recorder, done=lambda: progress.advance(task)
        )
        report = asyncio.run(running)
    findings = {"findings": [asdict(finding) for finding in report.findings[:SHOWN]]}
    text = json.dumps(origin | asdict(report) | findings, indent=2)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    Console().print_json(text)
    allowed = {Verdict.SOUND} if options.synchronous == "FULL" else {Verdict.SOUND, Verdict.LOST}
    return int(any(finding.verdict not in allowed for finding in report.findings))


if __name__ == "__main__":
    sys.exit(main())
