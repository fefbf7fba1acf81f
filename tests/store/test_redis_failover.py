"""A replica is promoted under load: what is lost is what it lacked, and with WAIT nothing."""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

import pytest

from offload.core.errors import StoreUnavailable
from offload.core.states import Move
from offload.store.base import Beat
from offload.store.redis import RedisStore
from offload.testing.conformance.steps import WORKER, end, put, read, take
from tests.servers.proxy import Proxy, before
from tests.servers.valkey import ValkeyServer, ask, fresh

PRODUCERS = 4
FIRST, SECOND, ALL = 200, 400, 600
"""Acknowledged jobs before the replica falls behind, before the failover, and at the end."""


@dataclass
class Load:
    """Producers and a worker that note when each thing was acknowledged."""

    store: RedisStore
    enqueued: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    milestones: dict[int, asyncio.Event] = field(
        default_factory=lambda: {count: asyncio.Event() for count in (FIRST, SECOND)}
    )

    async def produce(self, name: int) -> None:
        """Enqueue one job after the other, each until it is acknowledged."""
        number = 0
        while len(self.enqueued) < ALL:
            try:
                await put(self.store, f"{name}-{number}")
            except StoreUnavailable:
                self.refused.set()
                continue
            self.enqueued[f"{name}-{number}"] = monotonic()
            number += 1
            if milestone := self.milestones.get(len(self.enqueued)):
                milestone.set()

    async def work(self) -> None:
        """Run what there is, for ever."""
        while True:
            with suppress(StoreUnavailable):
                await take(self.store, 4)
                for held in await self.store.heartbeat(Beat(WORKER, 30)):
                    job = await read(self.store, held.job_id)
                    if await end(self.store, job, Move.COMPLETE):
                        self.ended[job.id] = monotonic()


class Pair:
    """A primary and its replica, with what leads to them and what lies between them."""

    def __init__(self, front: Proxy, between: Proxy, servers: list[ValkeyServer]) -> None:
        """Take them as they run."""
        self.front = front
        self.between = between
        self.primary, self.replica = servers
        self._servers = servers

    async def level(self) -> None:
        """Wait until the replica has all that the primary has now."""
        wanted = int((await told(self.primary))["master_repl_offset"])
        while int((await told(self.replica))["slave_repl_offset"]) < wanted:
            pass

    async def fail_over(self) -> float:
        """Kill the primary, promote the replica, and return when the primary was gone."""
        await asyncio.to_thread(self.primary.stop, signal.SIGKILL)
        gone = monotonic()
        self.between.reset()
        ask(self.replica.port, "REPLICAOF", "NO", "ONE")
        self.front.target = ("127.0.0.1", self.replica.port)
        self.front.reset()
        heir = ValkeyServer(replicaof=f"127.0.0.1 {self.replica.port}", **QUICK)
        self._servers.append(heir)
        await asyncio.to_thread(heir.start)
        return gone


QUICK = {"repl_diskless_sync_delay": "0"}


async def told(server: ValkeyServer) -> dict[str, str]:
    """Return what a server says of its replication."""
    lines = await asyncio.to_thread(ask, server.port, "INFO", "replication")
    assert isinstance(lines, bytes)
    return dict(line.split(":", 1) for line in lines.decode().split() if ":" in line)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Pair, int]]:
    """Yield the two, and the port that leads to whoever is the primary."""
    async with AsyncExitStack() as stack:
        servers: list[ValkeyServer] = []
        stack.callback(lambda: deque(map(ValkeyServer.remove, servers), maxlen=0))
        servers.append(ValkeyServer(appendonly="yes", **QUICK))
        servers[0].start()
        between, port = await stack.enter_async_context(before("127.0.0.1", servers[0].port))
        front, way = await stack.enter_async_context(before("127.0.0.1", servers[0].port))
        servers.append(ValkeyServer(replicaof=f"127.0.0.1 {port}", **QUICK))
        await asyncio.to_thread(servers[1].start)
        while (await told(servers[1]))["master_link_status"] != "up":
            pass
        yield Pair(front, between, servers), way


@pytest.mark.parametrize(
    ("replicas", "lags"), [(0, False), (0, True), (1, True)], ids=["none", "lags", "wait"]
)
async def test_a_failover_under_load(replicas: int, lags: bool) -> None:  # noqa: FBT001 - as above
    async with pair() as (servers, way), asyncio.timeout(50):
        url = fresh(f"redis://127.0.0.1:{way}/0") + f"&replicas={replicas}&replica_timeout=0.3"
        store = RedisStore(url)
        await store.open()
        load = Load(store)
        working = asyncio.create_task(load.work())
        producing = asyncio.gather(*map(load.produce, range(PRODUCERS)))
        await load.milestones[FIRST].wait()
        safe = {*load.enqueued}, {*load.ended}
        await servers.level()
        if lags:
            servers.between.freeze()
        await (load.refused if replicas else load.milestones[SECOND]).wait()
        gone = await servers.fail_over()
        await producing
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        found = dict(zip(load.enqueued, await store.get([*load.enqueued]), strict=True))
        lost = {job_id for job_id, job in found.items() if job is None}
        undone = {job_id for job_id in load.ended if (job := found[job_id]) and not job.is_final}
        await store.close()
    window = [gone - load.enqueued[job_id] for job_id in lost]
    sys.stdout.write(
        f"replicas={replicas} lags={lags}: {len(lost)} of {len(load.enqueued)} acknowledged jobs "
        f"lost, acknowledged at most {1000 * max(window, default=0):.1f} ms before the primary "
        f"was gone; {len(undone)} of {len(load.ended)} ends undone\n"
    )
    assert not lost & safe[0]
    assert not undone & safe[1]
    if replicas:
        assert not lost
        assert not undone
    elif lags:
        assert lost
