"""Two hundred people watch one picture: each is told all of it, and the service hardly notices."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.counted import counted
from services.imaging.tests.running import OVER, Running

pytestmark = pytest.mark.timeout(200)

CLIENTS = 200
MOST_BYTES_A_CLIENT = 300_000


@dataclass(frozen=True)
class Event:
    """One event as it was sent."""

    id: int
    status: str
    progress: int


class Watcher:
    """A client of one upload's stream, which may leave and come back."""

    def __init__(self, service: Running, upload_id: str) -> None:
        self.seen: list[Event] = []
        self._port = service.port
        self._path = f"/upload/{upload_id}/events"

    async def connect(self) -> None:
        """Connect, naming what was seen last, as a browser does."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        last = f"Last-Event-ID: {self.seen[-1].id}\r\n" if self.seen else ""
        self._writer.write(f"GET {self._path} HTTP/1.1\r\nHost: x\r\n{last}\r\n".encode())
        self.answer = int((await self._reader.readline()).split()[1])

    async def read_until(self, enough: Callable[[Event], bool]) -> None:
        """Read events until one is enough, or there are no more."""
        async for event in self._events():
            self.seen.append(event)
            if enough(event):
                return

    async def leave(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _events(self) -> AsyncIterator[Event]:
        number = 0
        # What is neither is the size of a chunk: each event is sent as one.
        async for line in self._reader:
            if line.startswith(b"id: "):
                number = int(line[4:])
            elif line.startswith(b"data: "):
                yield Event(number, **json.loads(line[6:]))


def any_event(_event: Event) -> bool:
    return True


def running(event: Event) -> bool:
    return event.status != "pending"


def over(event: Event) -> bool:
    return event.status in OVER


def memory(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def assert_told_in_order(watcher: Watcher) -> None:
    ids = [event.id for event in watcher.seen]
    assert ids == sorted(set(ids)), "an event came twice, or late"
    progress = [event.progress for event in watcher.seen]
    assert progress == sorted(progress)
    assert [event.status for event in watcher.seen if over(event)] == ["complete"]
    assert over(watcher.seen[-1])


async def gathered(service: Running, upload_id: str, count: int) -> list[Watcher]:
    """Connect so many, and have each told where the upload stands."""
    watchers = [Watcher(service, upload_id) for _ in range(count)]
    for watcher in watchers:
        await watcher.connect()
        await watcher.read_until(any_event)
    assert all(watcher.seen[0].status == "pending" for watcher in watchers)
    return watchers


async def to_the_end(service: Running, watchers: list[Watcher], statements: Path) -> int:
    """Have the picture processed before all their eyes; the web process's statements for that."""
    before = counted(statements)
    worker = service.start_worker()
    await asyncio.gather(*(watcher.read_until(over) for watcher in watchers))
    found = counted(statements) - before
    worker.terminate()
    await asyncio.to_thread(worker.wait)
    return found


def test_two_hundred_watch_for_the_price_of_one(own_service: Running, tmp_path: Path) -> None:
    statements = tmp_path / "statements"
    web = own_service.start(
        server="services.imaging.tests.counted",
        IMAGING_WORKER="false",
        STATEMENTS=str(statements),
    ).pid
    one = own_service.accepted("one.png", pictures.slow_png())
    alone = asyncio.run(_watched(own_service, one, 1, statements))
    before = memory(web, "VmRSS")
    many = own_service.accepted("many.png", pictures.slow_png() + b"another")
    together = asyncio.run(_watched(own_service, many, CLIENTS, statements))

    growth = memory(web, "VmHWM") - before
    print(f"{growth / 1e6:.0f} MB for {CLIENTS} clients; statements: {alone}, {together}")  # noqa: T201
    assert growth < CLIENTS * MOST_BYTES_A_CLIENT
    # If each looked for itself, it would be two hundred times as many.
    assert together < 5 * alone


async def _watched(service: Running, upload_id: str, count: int, statements: Path) -> int:
    watchers = await gathered(service, upload_id, count)
    found = await to_the_end(service, watchers, statements)
    for watcher in watchers:
        assert_told_in_order(watcher)
        await watcher.leave()
    return found


def test_whoever_comes_back_has_missed_nothing(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false")
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    asyncio.run(_coming_back(own_service, upload_id))


async def _coming_back(service: Running, upload_id: str) -> None:
    watchers = await gathered(service, upload_id, CLIENTS)
    worker = service.start_worker()
    leaving, away = watchers[: CLIENTS // 2], watchers[CLIENTS // 2 :]
    # Some leave in the middle and come back at once, the others when all is over.
    for watcher in away:
        await watcher.leave()
    await asyncio.gather(*(_back_at_once(watcher) for watcher in leaving))
    for watcher in away:
        await watcher.connect()
        await watcher.read_until(over)
    for watcher in watchers:
        assert_told_in_order(watcher)
        await watcher.leave()
        await watcher.connect()
        assert watcher.answer == 204, "there is nothing that it has not seen"
        await watcher.leave()
    worker.terminate()
    await asyncio.to_thread(worker.wait)


async def _back_at_once(watcher: Watcher) -> None:
    await watcher.read_until(running)
    await watcher.leave()
    if not over(watcher.seen[-1]):
        await watcher.connect()
        await watcher.read_until(over)
