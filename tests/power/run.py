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
from itertools import groupby
from pathlib import Path

import apsw
from rich.console import Console
from rich.progress import Progress

from tests.power.check import Bench, Verdict, checksum, judged
from tests.power.disk import Disk, Fate, Image
from tests.power.history import record
from tests.power.log import Log, Sync

EACH = 500
"""Images of one history."""

Recorder = Callable[[str, Path], Awaitable[Log]]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the power fails, and what becomes of what was under way."""

    number: int
    position: int
    fate: Fate


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
    synchronous: str
    images: int = 0
    distinct_images: int = 0
    histories: int = 0
    events: int = 0
    sync_points: int = 0
    sync_points_cut: int = 0
    promises_checked: int = 0
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    findings: list[Finding] = field(default_factory=list)
    digest: str = ""


def cut_of(log: Log, seed: int, number: int) -> Cut:
    """Return the cut that a number stands for: every other one is beside a sync, in turn."""
    rng = random.Random(f"{seed}/{number}/cut")
    syncs = sync_points(log)
    if number % 2:
        position = rng.randrange(len(log.events) + 1)
    else:
        position = syncs[number % EACH // 2 % len(syncs)] + rng.choice((0, 0, 0, 1))
    return Cut(number, position, rng.choice(list(Fate)))


def sync_points(log: Log) -> list[int]:
    """Return where the log has its syncs."""
    return [place for place, event in enumerate(log.events) if isinstance(event, Sync)]


def images_of(log: Log, seed: int, numbers: Iterable[int]) -> Iterator[tuple[Cut, Image]]:
    """Return the images that belong to one history, in the order of their cuts."""
    disk, place = Disk(), 0
    cuts = [cut_of(log, seed, number) for number in numbers]
    for cut in sorted(cuts, key=lambda cut: cut.position):
        for event in log.events[place : cut.position]:
            disk.follow(event)
        place = cut.position
        yield cut, disk.image(cut.fate, random.Random(f"{seed}/{cut.number}/disk"))


async def campaign(
    seed: int,
    numbers: Iterable[int],
    *,
    synchronous: str = "FULL",
    recorder: Recorder | None = None,
    done: Callable[[], None] = lambda: None,
) -> Report:
    """Check the images with these numbers; `done` is called after each."""
    report = Report(seed, synchronous)
    sums: dict[int, str] = {}
    for history, group in groupby(sorted(numbers), key=lambda number: number // EACH):
        with scratch() as folder:
            log = await (recorder or _recorder(synchronous))(f"{seed}/{history}", folder / "live")
            await _examined(report, log, list(group), folder / "found", sums, done)
    report.digest = hashlib.sha256("".join(sums[key] for key in sorted(sums)).encode()).hexdigest()
    return report


def _recorder(synchronous: str) -> Recorder:
    return lambda seed, folder: record(seed, folder, synchronous=synchronous)


async def _examined(
    report: Report,
    log: Log,
    numbers: list[int],
    folder: Path,
    sums: dict[int, str],
    done: Callable[[], None],
) -> None:
    bench, cuts = Bench(folder, log.now), set()
    for cut, image in images_of(log, report.seed, numbers):
        verdict, problem = judged(log, cut.position, await bench.found(image))
        if verdict is not Verdict.SOUND:
            finding = Finding(cut.number, cut.position, cut.fate, verdict, problem)
            report.findings.append(finding)
        sums[cut.number] = checksum(image)
        cuts |= {cut.position, cut.position - 1}
        report.fates[cut.fate] += 1
        report.verdicts[verdict] += 1
        report.promises_checked += len(log.states[log.bounds(cut.position)[0]])
        done()
    report.images += len(numbers)
    report.distinct_images += bench.distinct
    report.histories += 1
    report.events += len(log.events)
    report.sync_points += len(sync_points(log))
    report.sync_points_cut += len(cuts.intersection(sync_points(log)))


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder, in memory where there is one: no disk takes part in this."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


# --- the command ---------------------------------------------------------------------------


def described(report: Report) -> dict[str, object]:
    """Return the report with all that is needed to get the same again."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "apsw": apsw.apsw_version(),
        "sqlite": apsw.sqlite_lib_version(),
        **asdict(report),
    }


def _git(*command: str) -> str:
    where = Path(__file__).parent
    run = subprocess.run(["git", *command], cwd=where, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def main() -> int:
    """Run a campaign, write its report, and fail if anything was lost or broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="look at this image alone")
    parser.add_argument("--out", type=Path, help="write the report here")
    options = parser.parse_args()
    numbers = range(options.images) if options.only is None else [options.only]
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("power cuts", total=len(numbers))
        report = asyncio.run(
            campaign(options.seed, numbers, done=lambda: progress.advance(task))
        )
    text = json.dumps(described(report), indent=2)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    console.print_json(text)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
