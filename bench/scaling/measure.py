"""What calls cost a real server and a real worker, and how fast a few workers are on one server."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import library
from bench.scaling.model import Cost, Costs
from offload.core.job import NewJob
from offload.core.records import Finish
from offload.core.states import Move
from offload.store.base import Beat, Store
from offload.store.open import open_store
from tests.servers import postgres, valkey

FEW, MANY = 4, 256
"""Jobs in a call, from which its own cost and that of each job are told apart."""
CALLS = {FEW: 400, MANY: 40}
WORKERS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Server:
    """A server that is running: where, and its process."""

    url: str
    pid: int


@contextmanager
def running(name: str) -> Iterator[Server]:
    """Start a server as it is run in production: what it has acknowledged, it has on disk."""
    if name == "postgres":
        with postgres.running(fsync="on") as url, postgres.database(url) as place:
            with psycopg.connect(url) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
            assert row is not None
            yield Server(place, int(Path(row[0], "postmaster.pid").read_text().split()[0]))
        return
    server = valkey.ValkeyServer(
        appendonly="yes", appendfsync="everysec", auto_aof_rewrite_percentage="0"
    )
    try:
        server.start()
        info = valkey.ask(server.port, "INFO", "server")
        assert isinstance(info, bytes)
        pid = int(info.partition(b"process_id:")[2].split()[0])
        yield Server(valkey.fresh(server.url), pid)
    finally:
        server.remove()


@dataclass
class _Meter:
    """Processor seconds of the server and of this process, and seconds of the clock."""

    pid: int

    def read(self) -> tuple[float, float, float]:
        """Return all three, so far."""
        return library.processor_time(self.pid), time.process_time(), time.monotonic()


async def calls(server: Server) -> dict[str, tuple[Cost, Cost, float]]:
    """Return, by call, what it costs the server, what this process, and its seconds in all."""
    store = open_store(server.url)
    await store.open()
    found: dict[int, dict[str, tuple[float, float, float]]] = {}
    for size in (FEW, MANY, FEW, MANY):  # the first of each warms up
        found[size] = await _calls_of(store, _Meter(server.pid), size)
    await store.close()
    return {name: _cost(found[FEW][name], found[MANY][name]) for name in found[FEW]}


async def _calls_of(
    store: Store, meter: _Meter, size: int
) -> dict[str, tuple[float, float, float]]:
    """Return the seconds of each call for `size` jobs: the server's, ours, and in all."""
    count, spent = CALLS[size], {}
    await store.heartbeat(Beat("measuring", 3600.0))

    marks = [meter.read()]
    for number in range(count):
        await store.enqueue([NewJob(f"{time.time_ns()}-{number}-{n}", "t") for n in range(size)])
    marks.append(meter.read())
    claimed = [(await store.claim("measuring", None, size)).jobs for _ in range(count)]
    marks.append(meter.read())
    for jobs in claimed:
        await store.finish(
            [Finish(job.id, job.lease, Move.COMPLETE, result=b"null", ran=0.0) for job in jobs]
        )
    marks.append(meter.read())
    for name, before, after in zip(("enqueue", "claim", "finish"), marks, marks[1:], strict=False):
        server, ours, clock = (b - a for a, b in zip(before, after, strict=True))
        spent[name] = (server / count, ours / count, clock / count)
    return spent


def _cost(
    few: tuple[float, float, float], many: tuple[float, float, float]
) -> tuple[Cost, Cost, float]:
    """Tell a call's own cost from that of its jobs."""
    costs = []
    for kind in (0, 1):
        job = max(0.0, (many[kind] - few[kind]) / (MANY - FEW))
        costs.append(Cost(max(0.0, few[kind] - FEW * job), job))
    return costs[0], costs[1], few[2]


@dataclass(frozen=True)
class Drained:
    """Jobs a second, and processor seconds a job of supervisors and of members."""

    rate: float
    supervisor: float
    member: float


def drain(server: Server, workers: int, jobs: int) -> Drained:
    """Let so many workers, each a command of its own, drain a queue of empty jobs."""
    with ExitStack() as stack:
        bench = stack.enter_context(library.opened(server.url))
        running = [stack.enter_context(bench.worker()) for _ in range(workers)]
        # They learn to claim ahead, and the server's memory has been used once.
        library.drained(bench, jobs)
        before = [
            (library.own_time(each.pid), library.processor_time(each.pid)) for each in running
        ]
        rate = library.drained(bench, jobs)
        after = [(library.own_time(each.pid), library.processor_time(each.pid)) for each in running]
    own = sum(b[0] - a[0] for a, b in zip(before, after, strict=True))
    everything = sum(b[1] - a[1] for a, b in zip(before, after, strict=True))
    return Drained(rate, own / jobs, (everything - own) / jobs)


def costs(found: dict[str, tuple[Cost, Cost, float]], alone: Drained) -> Costs:
    """Return the model's costs: calls as they were measured, the rest from one worker's drain."""
    ours = found["claim"][1].job + found["finish"][1].job
    rest = max(0.0, alone.supervisor - ours)
    claim_here, finish_here = found["claim"][1], found["finish"][1]
    return Costs(
        enqueue=found["enqueue"][0],
        claim=found["claim"][0],
        finish=found["finish"][0],
        claim_here=Cost(claim_here.call, claim_here.job + rest / 2),
        finish_here=Cost(finish_here.call, finish_here.job + rest / 2),
        member=alone.member,
        wait=max(0.0, found["claim"][2] - found["claim"][0].of(FEW) - claim_here.of(FEW)),
    )
