"""What is tried on several hosts: `python -m tests.hosts.scene STORE FOLDER NETWORK`.

It runs where all of them can be reached, and prints what it found as JSON.
"""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.hosts.network import Loopback, network
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer
from tests.worker.staging import PATIENCE, ROOT, Stage

LEASE = 2.0
TIMES = 15
"""How often a job reports."""
CROWD = 50
"""Clients of one web process."""
NARROW, SLOW = 40, 12
"""Jobs under a limit."""


class Scene:
    """The hosts, and what was found."""

    def __init__(self, hosts: Loopback, url: str, stage: Stage) -> None:
        """Play on these hosts."""
        self._hosts = hosts
        self._url = url
        self._stage = stage
        self.found: dict[str, Any] = {"network": hosts.kind}

    @asynccontextmanager
    async def program(self, host: str, *words: str) -> AsyncIterator[Process]:
        """Run Python on a host, until the block ends."""
        environment = os.environ | {
            "OFFLOAD_TEST_HOST": host,
            "OFFLOAD_TEST_URL": await self._hosts.way(host, self._url),
        }
        with (self._stage.folder / f"log-{host}").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._hosts.on(host), sys.executable, "-m", *words,
                cwd=ROOT, env=environment, stdin=DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            await process.wait()

    def worker(self, host: str, queues: str) -> Any:
        """Run a worker on a host."""
        words = ["offload", "worker", "--app", "tests.hosts.app:queue", "--queues", queues]
        return self.program(host, *words, "--grace", "1")

    async def play(self) -> None:
        """Try all."""
        async with AsyncExitStack() as stack:
            webs = []
            for host in ("web1", "web2"):
                address = self._hosts.address(host)
                await stack.enter_async_context(self.program(host, "tests.hosts.web", address))
                word, said, port = await self._stage.heard()
                assert (word, said) == ("listens", host)
                client = httpx.AsyncClient(base_url=f"http://{address}:{port}", timeout=PATIENCE)
                webs.append(await stack.enter_async_context(client))
            far = await stack.enter_async_context(self.worker("far", "default,far,ticks"))
            await self._partition(stack, far)
            await self._limits()
            await self._stream(*webs)

    # --- cut off -------------------------------------------------------------------------

    async def _partition(self, stack: AsyncExitStack, far: Process) -> None:
        """Cut a worker off for longer than its lease while it has a job, then let it come back."""
        from tests.hosts import app  # noqa: PLC0415 - the environment says where its queue is

        held = await app.hold.adelay()
        await self._stage.started()
        first = (await held.arefresh()).job.lease
        near = await stack.enter_async_context(self.worker("near", "default,ticks"))
        self._hosts.cut()
        await self._stage.started()
        second = (await held.arefresh()).job.lease
        passed = []
        for lease in (first, second):
            self._stage.open_gate(lease)
            passed.append(await self._stage.heard())
        self.found["ended by"] = passed
        self.found["result"] = await held.aresult(timeout=PATIENCE)
        self._hosts.mend()
        again = await app.in_thread.aapply_async(["return"], queue="far")
        self.found["works on"] = await again.aresult(timeout=PATIENCE)
        ended = (await held.arefresh()).job
        self.found["leases"] = [first, second, ended.lease]
        self.found["result afterwards"] = await held.aresult(timeout=PATIENCE)
        self.found["exits"] = [near.returncode, far.returncode]

    def _effects(self, word: str) -> list[list[str]]:
        return [effect for effect in self._stage.effects if effect[0] == word]

    # --- limits --------------------------------------------------------------------------

    async def _limits(self) -> None:
        """Run what is limited on both workers."""
        from tests.hosts import app  # noqa: PLC0415 - see above

        hosts: set[str] = set()
        slow = []
        while len(hosts) < len(("near", "far")):  # one of them may be quicker for a while
            narrow = [await app.narrow.adelay() for _ in range(NARROW)]
            slow += [await app.slow.adelay() for _ in range(SLOW)]
            hosts |= {await job.aresult(timeout=PATIENCE) for job in (*narrow, *slow)}
        self.found["limited on"] = sorted(hosts)
        moments = sorted(
            (float(effect[2]), 1 if effect[0] == "in" else -1)
            for effect in (*self._effects("in"), *self._effects("out"))
        )
        at_once = most = 0
        for _, step in moments:
            at_once += step
            most = max(most, at_once)
        self.found["most at once"] = most
        starts = sorted([(await job.arefresh()).job.started_at or 0 for job in slow])
        gaps = (later - earlier for earlier, later in pairwise(starts))
        self.found["shortest gap, ms"] = min(gaps)

    # --- streams -------------------------------------------------------------------------

    async def _stream(self, one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        """Start a job on one web process, watch it on the other, alone and in a crowd."""
        from tests.hosts import app  # noqa: PLC0415 - see above

        for clients in (1, CROWD):
            job = (await one.post("/tell", params={"times": TIMES})).json()
            await self._stage.started()
            streams = [
                Stream(other.base_url.host, other.base_url.port or 80) for _ in range(clients)
            ]
            await asyncio.gather(*(stream.open(job) for stream in streams))
            before = await how_often(other)
            handle = await app.queue.aget_job(job)
            assert handle is not None
            self._stage.open_gate(handle.job.lease)
            heard = await asyncio.gather(*(stream.listen() for stream in streams))
            asked = await how_often(other) - before
            told = {int(e[1]): float(e[2]) for e in self._effects("told") if e[3] == job}
            late = [at - told[number] for each in heard for number, at in each.items()]
            self.found[f"for {clients}"] = {
                "reports heard": min(map(len, heard)),
                "latency, ms, median": round(1000 * median(late), 1),
                "store operations": asked,
            }


async def how_often(web: httpx.AsyncClient) -> int:
    """Return how often this web process has asked the store for something."""
    counts: dict[str, int] = (await web.get("/asked")).json()
    return sum(counts.values())


class Stream:
    """A client of one stream; many of them must be cheap, for the machine is shared."""

    def __init__(self, host: str, port: int) -> None:
        """Watch on this web process."""
        self._place = (host, port)

    async def open(self, job: str) -> None:
        """Begin to watch a job, and hear of its state."""
        self._reader, self._writer = await asyncio.open_connection(*self._place)
        request = (
            f"GET /tasks/jobs/{job}/progress HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
        )
        self._writer.write(request.encode())
        await self._reader.readuntil(b"data: ")

    async def listen(self) -> dict[int, float]:
        """Return when each report was heard, to the end of the job."""
        heard: dict[int, float] = {}
        async for line in self._reader:
            if line.startswith(b"data: "):
                data = json.loads(line.removeprefix(b"data: "))
                if data["status"] == "running" and data["progress"]:
                    heard.setdefault(data["progress"], time.monotonic())
        self._writer.close()
        return heard


async def main(store: str, folder: Path, kind: str) -> None:
    """Play, and print what was found."""
    async with network(kind) as hosts:
        host, prefix = hosts.address("store"), hosts.server_on("store")
        server: PostgresServer | ValkeyServer = (
            PostgresServer(host=host, prefix=prefix)
            if store == "postgres"
            else ValkeyServer(host=host, prefix=prefix, protected_mode="no")
        )
        stage = Stage(folder)
        try:
            server.start()
            os.environ["OFFLOAD_TEST_URL"] = server.url
            scene = Scene(hosts, server.url, stage)
            await scene.play()
            ticks = [effect[1] for effect in stage.effects if effect[0] == "tick"]
            scene.found |= {"ticks": len(ticks), "different ticks": len(set(ticks))}
        finally:
            stage.close()
            server.remove()
    sys.stdout.write(json.dumps(scene.found))


if __name__ == "__main__":
    os.environ |= {"OFFLOAD_TEST_FOLDER": sys.argv[2], "OFFLOAD_TEST_LEASE": str(LEASE)}
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
