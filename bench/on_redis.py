"""offload on Redis, on one Valkey server: `python -m bench.on_redis`.

Its log is synced each second. The server is that which the tests would find, and nobody else's:
it is emptied again and again.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from functools import partial

from bench import library, raw_redis
from bench.served import SLICE, Figures, Pair, Peer, Served, Span, command, figures, markdown
from offload.core.records import Finish
from offload.core.states import Move
from offload.store.base import Beat
from offload.store.open import open_store
from tests.servers.valkey import ValkeyServer, ask

PAIRS = (
    Pair("single enqueue", library.single, raw_redis.insert_singly, 5_000),
    Pair("map", library.batch, raw_redis.insert_batch, 50_000),
    Pair("no-op jobs, one worker process", library.drain, raw_redis.drain, 50_000),
)
PEERS = (
    Peer("streaQ", "redis_streaq.py", 5_000, ["64"]),
    Peer("dramatiq, no results", "redis_dramatiq.py", 3_000, ["8"]),
    Peer("SAQ", "saq_drain.py", 1_000, ["50"]),
    Peer("taskiq", "redis_taskiq.py", 1_000, ["100"]),
    Peer("arq", "redis_arq.py", 1_000, ["100"]),
    Peer("Celery, no results", "redis_celery.py", 1_000, ["64"]),
    Peer("RQ", "redis_rq.py", 500, []),
)

WORKER = "bench"
AT_ONCE = 1_000


def finish_all(place: str) -> None:
    """Claim and end all that is pending, without a program that runs it."""
    asyncio.run(_finish_all(place))


async def _finish_all(place: str) -> None:
    store = open_store(place)
    await store.open()
    await store.heartbeat(Beat(WORKER, 600.0))
    while jobs := (await store.claim(WORKER, None, AT_ONCE)).jobs:
        ends = [Finish(job.id, job.lease, Move.COMPLETE, result=b"null", ran=0.0) for job in jobs]
        assert all(await store.finish(ends))
    await store.retire(WORKER)
    await store.close()


def ended(port: int, place: str, since: int) -> Span:
    """Return how many jobs have ended last, and when, once as many have begun after an instant."""
    found = ask(port, "LRANGE", "{offload}:ends", -SLICE, -1)
    assert isinstance(found, list)
    ids = [each.decode() for each in found]
    if len(ids) < SLICE or asyncio.run(library.stamps(place, ids[:1]))[0] <= since:
        return 0, 0, 0
    return len(ids), *asyncio.run(library.stamps(place, ids))


def operations(port: int, place: str) -> int:
    """Return how often the server was asked so far; what one script does is one operation."""
    assert place
    info = ask(port, "INFO", "stats")
    assert isinstance(info, bytes)
    facts = dict(line.split(b":") for line in info.splitlines() if b":" in line)
    return int(facts[b"total_reads_processed"])


@contextmanager
def empty(server: ValkeyServer) -> Iterator[str]:
    """Yield the server with nothing on it."""
    ask(server.port, "FLUSHALL")
    yield server.url


def served(server: ValkeyServer) -> Served:
    """Return what is measured on this server."""
    return Served(
        "Valkey",
        PAIRS,
        PEERS,
        fresh=partial(empty, server),
        operations=partial(operations, server.port),
        finish_all=finish_all,
        ended=partial(ended, server.port),
    )


def version(port: int) -> str:
    """Return the server's version."""
    info = ask(port, "INFO", "server")
    assert isinstance(info, bytes)
    facts = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    return facts.get(b"valkey_version", facts[b"redis_version"]).decode()


def with_jemalloc() -> Sequence[str]:
    """Return how a server begins that allocates as released ones do, where that is installed.

    A package's may have the C library's, which takes three times as long in a large heap.
    """
    library_ = find_library("jemalloc")
    return () if library_ is None else ("env", f"LD_PRELOAD={library_}")


def measured(rounds: int, samples: int, rows: int) -> tuple[Figures, str]:
    """Return the figures, and as tables."""
    # A log that is rewritten takes a core for seconds, from whoever happens to be measured then.
    prefix = with_jemalloc()
    log = {"appendonly": "yes", "appendfsync": "everysec", "auto_aof_rewrite_percentage": "0"}
    server = ValkeyServer(prefix=prefix, **log)
    server.start()
    try:
        described = served(server)
        found = figures(described, rounds=rounds, samples=samples, rows=rows)
        said = {"server": version(server.port), "preloaded": "".join(prefix[1:])}
        return said | found, markdown(described, found)
    finally:
        server.remove()


if __name__ == "__main__":
    command(__doc__, measured)
