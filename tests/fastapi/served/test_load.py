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
from tests.fastapi.served.server import Server, serving

Answers = Counter[tuple[int, str | None]]
"""How many there were, by status and Retry-After."""

PATIENCE = 150
"""Seconds after which a server counts as hanging; the slowest test takes ten where it is alone."""
OPEN = 1_000
"""Connections at once; each asks again when it is answered."""
RELEASED = "/start/after_response/waits"

pytestmark = pytest.mark.timeout(4 * PATIENCE)


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
        self.fifty = asyncio.Event()
        """Whether so many answers have come."""

    async def ask(self) -> Answers:
        """Return the answers, when all have come."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as clients:
            for _ in range(min(OPEN, self._left)):
                clients.create_task(self._client())
        return self.answers

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while self._left:
            self._left -= 1
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:-1])
            await reader.readexactly(int(headers["content-length"]))
            self.answers[int(head.split()[1]), headers.get("retry-after")] += 1
            if self.answers.total() == 50:
                self.fifty.set()
        writer.close()
        await writer.wait_closed()


def release(client: httpx.Client) -> dict[str, int]:
    """Let all tasks end, and return how they did."""
    said = client.post("/release").json()
    assert (said["active"], said["pending"]) == (0, 0)
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
        assert release(client) == {"succeeded": 10_000}
        assert server.effects() == ["waits"] * 10_000


def test_what_has_ended_takes_no_room(tmp_path: Path) -> None:
    with serving(tmp_path, max_records=100) as (server, client):
        release(client)
        asyncio.run(Crowd(server, RELEASED, 2_000).ask())
        release(client)
        before = client.get("/memory").json()
        asyncio.run(Crowd(server, RELEASED, 4_000).ask())
        assert release(client) == {"succeeded": 6_000}
        assert client.get("/memory").json() - before < 10


def test_what_there_is_no_room_for_is_answered_503(tmp_path: Path) -> None:
    limits = {"max_concurrency": 100, "max_pending": 400, "retry_after": 7}
    with serving(tmp_path, **limits) as (server, client):
        answers = asyncio.run(Crowd(server, RELEASED, 2_000).ask())
        assert answers == {(200, None): 500, (503, "7"): 1_500}
        assert release(client) == {"succeeded": 500, "rejected": 1_500}
        assert server.effects() == ["waits"] * 500


def test_requests_wait_for_room_and_none_is_refused(tmp_path: Path) -> None:
    limits = {"max_concurrency": 10, "max_pending": 40, "overflow": "wait"}

    async def crowded(server: Server, client: httpx.Client) -> Answers:
        crowd = Crowd(server, RELEASED, OPEN)
        asking = asyncio.create_task(crowd.ask())
        async with asyncio.timeout(PATIENCE):
            await crowd.fifty.wait()
        held = await asyncio.to_thread(lambda: client.get("/stats").json())
        # Plain functions, 16 at once, are counted as room as well: who comes is not known yet.
        assert (held["active"], held["ended"]) == (10, {})
        await asyncio.to_thread(client.post, "/release")
        return await asking

    with serving(tmp_path, **limits) as (server, client):
        assert asyncio.run(crowded(server, client)) == {(200, None): OPEN}
        assert release(client) == {"succeeded": OPEN}
        assert server.effects() == ["waits"] * OPEN


@pytest.mark.parametrize("mode", ["now", "after_response"])
def test_what_there_is_no_room_for_becomes_jobs(tmp_path: Path, mode: str) -> None:
    limits = {"max_concurrency": 10, "max_pending": 90, "overflow": "spill"}
    path = f"/start/{mode}/spills?options=%7B%22durable%22:false%7D"
    with serving(tmp_path, **limits) as (server, client):
        answers = asyncio.run(Crowd(server, path, 2_000).ask())
        assert answers == {(200, None): 2_000}
        assert release(client) == {"succeeded": 100, "spilled": 1_900}
        assert server.effects() == ["spills"] * 100
    with contextlib.closing(Queue(db_path=str(tmp_path / "jobs.db"))) as queue:
        assert queue.stats()["pending"] == 1_900
