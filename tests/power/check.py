"""What is left after a power cut, and whether that is what was promised."""

import hashlib
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import apsw

from offload.core.decide import Lapsed, decide
from offload.core.job import NewJob
from offload.core.records import Finish
from offload.core.states import Move, State
from offload.store.base import Store
from offload.store.loop import IOLoop
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from tests.power.disk import Image
from tests.power.log import Log, Records
from tests.power.reading import MOST, merged, records, tokens

FILE = "jobs.db"
WIDTH = 100
"""Of a record in a finding: enough to see which job it is, and how it stood."""
RESULT = b'"power is back"'


class Verdict(StrEnum):
    """How an image fared."""

    SOUND = "sound"
    """All that was acknowledged is there, and nothing by halves."""
    LOST = "lost"
    """The store as it was at an earlier moment: whole, but later acknowledgements were broken."""
    BROKEN = "broken"
    """Damaged, or a state in which the store never was, or work does not go on."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a store made of an image: its records, or what went wrong."""

    records: Records = ()
    problem: str | None = None


def checksum(image: Image) -> str:
    """Return what tells this image from any other."""
    digest = hashlib.sha256()
    for name, content in sorted(image.items()):
        digest.update(f"{name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def judged(log: Log, cut: int, found: Found) -> tuple[Verdict, str]:
    """Compare what was found with what was owed at `cut`; say what is missing."""
    if found.problem is not None:
        return Verdict.BROKEN, found.problem
    answered, issued = log.bounds(cut)
    if found.records in log.states[answered : issued + 1]:
        return Verdict.SOUND, ""
    owed, there = set(log.states[answered]), set(found.records)
    verdict = Verdict.LOST if found.records in log.states[:answered] else Verdict.BROKEN
    lacks, has = _short(owed - there), _short(there - owed)
    last = log.answers[answered][:WIDTH]
    return verdict, f"after operation {answered} ({last}) it lacks {lacks} and has instead {has}"


def _short(records: set[str]) -> list[str]:
    return [record[:WIDTH] for record in sorted(records)]


class Bench:
    """Puts images on a disk and the power back on, one after the other in the same folder."""

    def __init__(self, folder: Path, now: int) -> None:
        """Use `folder` for the images; the machine is up again at `now`, under another boot id."""
        self._folder = folder
        self._clock = ManualClock(now)
        self._clock.reboot()
        self._seen: dict[str, Found] = {}

    @property
    def distinct(self) -> int:
        """How many different images there were."""
        return len(self._seen)

    async def found(self, image: Image) -> Found:
        """Open what is left with the real store, read all of it and do some work."""
        key = checksum(image)
        if key not in self._seen:
            self._lay(image)
            self._seen[key] = await self._opened()
        return self._seen[key]

    def _lay(self, image: Image) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for name, content in image.items():
            (self._folder / name).write_bytes(content)

    async def _opened(self) -> Found:
        store = SQLiteStore(self._folder / FILE, clock=self._clock)
        try:
            await store.open()
            self._sound()
            found = IOLoop().drive(_looked(store))
            self._sound()
        except Exception as error:  # noqa: BLE001 - a damaged file may show itself in any way
            return Found(problem=f"{type(error).__name__}: {error}")
        finally:
            await store.close()
        return Found(found)

    def _sound(self) -> None:
        connection = apsw.Connection(str(self._folder / FILE))
        try:
            told = connection.pragma("integrity_check")
        finally:
            connection.close()
        assert told == "ok", f"integrity_check: {told}"


async def _looked(store: Store) -> Records:
    """Return what is there, and do some work; driven, for a thread's turn for each read is slow."""
    found = merged(await records(store), await tokens(store))
    await resumed(store)
    return found


async def resumed(store: Store) -> None:
    """Take over what was running when the power went, and see one job through."""
    lapses = await store.lapsed(MOST)
    assert len(lapses) == (await store.stats())[State.RUNNING], "a job still runs on a dead machine"
    ends = [decide(each.job, Lapsed(each.reason), lambda: 0.5) for each in lapses]
    assert all(await store.finish(ends)), "a dead machine's job cannot be taken over"
    await store.enqueue([NewJob("afterwards", "t", priority=100)])
    [job] = (await store.claim("survivor", None, 1)).jobs
    assert await store.finish([Finish(job.id, job.lease, Move.COMPLETE, result=RESULT)]) == [True]
    [done] = await store.get(["afterwards"])
    assert done is not None, "the job that was seen through is gone"
    assert (done.state, done.result) == (State.COMPLETE, RESULT)
