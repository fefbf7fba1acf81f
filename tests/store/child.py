"""The other process: `python -m tests.store.child WHAT PATH` does one of the things below.

Each prints a line for every call that has returned, as soon as it has: what stands there was
acknowledged.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw

from offload.core.errors import StoreError
from offload.core.job import NewJob
from offload.core.records import Finish
from offload.core.states import Move, State
from offload.core.unique import UniqueKey
from offload.store.sqlite import SQLiteStore

BUSY = 8
NOBODY = 65534


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def follow(store: SQLiteStore) -> None:
    """Enqueue each id that is read, until there are no more."""
    await store.open()
    say("open")
    while line := await asyncio.to_thread(sys.stdin.readline):
        await store.enqueue([NewJob(line.strip(), "child")])
        say("enqueued", line.strip())
    await store.close()


async def live(store: SQLiteStore) -> None:
    """Enqueue, claim and finish for ever, several at a time."""
    await store.open()

    async def producer(name: int) -> None:
        for number in range(10**9):
            job_id = f"{name}-{number}"
            await store.enqueue([NewJob(job_id, "child", unique=UniqueKey(job_id))])
            say("enqueued", job_id)

    async def worker(name: str) -> None:
        while True:
            for job in (await store.claim(name, None, 2)).jobs:
                say("claimed", job.id, job.lease)
                result = job.id.encode()
                await store.finish([Finish(job.id, job.lease, Move.COMPLETE, result=result)])
                say("finished", job.id)

    async with asyncio.TaskGroup() as group:
        for number in range(BUSY):
            group.create_task(producer(number))
            group.create_task(worker(f"w{number}"))


async def fall(store: SQLiteStore) -> None:
    """Live for a while, then end in the middle of it, without any goodbye."""

    async def end() -> None:
        while (await store.stats())[State.COMPLETE] < 50:
            pass
        os._exit(7)

    await store.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(live(store))
        group.create_task(end())


async def fill(store: SQLiteStore) -> None:
    """Write until no file may grow any more, then go on when it may again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    await store.open()

    async def batch(number: int) -> None:
        ids = [f"{number}-{part}" for part in range(4)]
        await store.enqueue([NewJob(job_id, "child", payload=bytes(5000)) for job_id in ids])
        say("enqueued", *ids)

    number = 0
    try:
        while True:
            await batch(number)
            number += 1
    except StoreError as error:
        say("refused", type(error).__name__, number)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await batch(number)
    await store.close()


async def hold(store: SQLiteStore) -> None:
    """Hold the write lock until a line is read."""
    connection = apsw.Connection(str(store.path))
    connection.execute("BEGIN IMMEDIATE")
    say("held")
    await asyncio.to_thread(sys.stdin.readline)
    connection.execute("ROLLBACK")
    connection.close()
    say("free")


async def peep(store: SQLiteStore) -> None:
    """Try to work on a file, as somebody who may only read it."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        await store.open()
        await store.enqueue([NewJob("a", "child")])
    except StoreError as error:
        say("refused", type(error).__name__, error)
    else:
        say("enqueued a")
    os._exit(0)


if __name__ == "__main__":
    deeds: dict[str, Callable[[SQLiteStore], Awaitable[None]]] = {
        deed.__name__: deed for deed in (follow, live, fall, fill, hold, peep)
    }
    asyncio.run(deeds[sys.argv[1]](SQLiteStore(Path(sys.argv[2]))))  # type: ignore[arg-type]
