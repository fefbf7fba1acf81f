"""Thousands of requests at once, each of which schedules work, on a real server."""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from offload import Queue
from tests.fastapi.served.server import PATIENCE, Server, serving

Answers = Counter[tuple[int, str | None]]
"""How many there were, by status and Retry-After."""

OPEN = 1_000
"""Connections at once; each asks again when it is answered."""
RELEASED = "/start/after_response/waits"


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * OPEN), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Clients that ask a server at once."""

    def __init__(self, server: Server, path: str, total: int) -> None:
        self.answers: Answers = Counter()
        self._left = total
        self._port = int(server.address.rpartition(":")[2])
        self._request = f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n".encode()
        self._changed = asyncio.Condition()

    async def ask(self) -> Answers:
        """Return the answers, when all have come."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as clients:
            for _ in range(min(OPEN, self._left)):
                clients.create_task(self._client())
        return self.answers

    async def answered(self, count: int) -> None:
        """Return when so many answers have come."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.answers.total() >= count)

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while self._left:
            self._left -= 1
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:-1])
            await reader.readexactly(int(headers["content-length"]))
            async with self._changed:
                self.answers[int(head.split()[1]), headers.get("retry-after")] += 1
                self._changed.notify_all()
        writer.close()
        await writer.wait_closed()


def settled(client: httpx.Client) -> dict[str, int]:
    """Return how tasks have ended, when none is left; the look is what lets the server work."""
    while True:
        said = client.get("/stats").json()
        if not said["active"] + said["pending"]:
            ended: dict[str, int] = said["ended"]
            return ended


def test_ten_thousand_requests_with_work(tmp_path: Path) -> None:
    with serving(tmp_path, max_pending=10_000, max_records=1_000) as (server, client):
        before = client.get("/memory").json()
        answers = asyncio.run(Crowd(server, RELEASED, 10_000).ask())
        assert answers == {(200, None): 10_000}
        held = client.get("/stats").json()
        assert (held["active"], held["pending"]) == (100, 9_900)
        assert client.get("/memory").json() - before < 200
        client.post("/release")
        assert settled(client) == {"succeeded": 10_000}
        assert server.effects() == ["waits"] * 10_000


def test_what_has_ended_takes_no_room(tmp_path: Path) -> None:
    with serving(tmp_path, max_records=100) as (server, client):
        client.post("/release")
        asyncio.run(Crowd(server, RELEASED, 2_000).ask())
        settled(client)
        before = client.get("/memory").json()
        asyncio.run(Crowd(server, RELEASED, 4_000).ask())
        assert settled(client) == {"succeeded": 6_000}
        assert client.get("/memory").json() - before < 10


def test_what_there_is_no_room_for_is_answered_503(tmp_path: Path) -> None:
    limits = {"max_concurrency": 100, "max_pending": 400, "retry_after": 7}
    with serving(tmp_path, **limits) as (server, client):
        answers = asyncio.run(Crowd(server, RELEASED, 2_000).ask())
        assert answers == {(200, None): 500, (503, "7"): 1_500}
        client.post("/release")
        assert settled(client) == {"succeeded": 500, "rejected": 1_500}
        assert server.effects() == ["waits"] * 500


def test_requests_wait_for_room_and_none_is_refused(tmp_path: Path) -> None:
    limits = {"max_concurrency": 10, "max_pending": 40, "overflow": "wait"}

    async def crowded(server: Server, client: httpx.Client) -> Answers:
        crowd = Crowd(server, RELEASED, OPEN)
        asking = asyncio.create_task(crowd.ask())
        await crowd.answered(50)
        held = await asyncio.to_thread(lambda: client.get("/stats").json())
        # Plain functions, 16 at once, are counted as room as well: who comes is not known yet.
        assert (held["active"], held["ended"]) == (10, {})
        await asyncio.to_thread(client.post, "/release")
        return await asking

    with serving(tmp_path, **limits) as (server, client):
        assert asyncio.run(crowded(server, client)) == {(200, None): OPEN}
        assert settled(client) == {"succeeded": OPEN}
        assert server.effects() == ["waits"] * OPEN


@pytest.mark.parametrize("mode", ["now", "after_response"])
def test_what_there_is_no_room_for_becomes_jobs(tmp_path: Path, mode: str) -> None:
    limits = {"max_concurrency": 10, "max_pending": 90, "overflow": "spill"}
    path = f"/start/{mode}/waits?options=%7B%22durable%22:false%7D"
    with serving(tmp_path, **limits) as (server, client):
        answers = asyncio.run(Crowd(server, path, 2_000).ask())
        assert answers == {(200, None): 2_000}
        client.post("/release")
        assert settled(client) == {"succeeded": 100, "spilled": 1_900}
        assert server.effects() == ["waits"] * 100
    with contextlib.closing(Queue(db_path=str(tmp_path / "jobs.db"))) as queue:
        assert queue.stats()["pending"] == 1_900
