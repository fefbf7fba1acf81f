"""A producer: `python -m tests.kill.producer SEED FIRST SHARD SHARDS`.

It reads numbers from its standard input and enqueues the jobs of its shard up to each. When it
was killed, another starts at the first job whose enqueue is not known to have returned, with
the same ids.
"""

import asyncio
import sys
from contextlib import suppress

from offload.core.errors import StoreError
from tests.kill.app import LEASE, TASKS, pen
from tests.kill.history import Asked, Cancelled, Stored
from tests.kill.plan import BACKOFF, Wish, wish

WAVE = 8
"""Jobs that are enqueued at a time, so that several share a commit."""


async def ask(wanted: Wish) -> None:
    """Enqueue a job, for as long as it takes."""
    pen.write(
        Asked(
            job=wanted.job,
            attempts=wanted.attempts,
            delay=wanted.options.get("delay", 0.0),
            backoff=BACKOFF,
            key=wanted.options.get("unique_key"),
            may_be_cancelled=wanted.kind == "cancelled",
            is_poison=wanted.kind == "poison",
        )
    )
    task = TASKS[wanted.task]
    try:
        job = await task.aapply_async([wanted.kind, wanted.seconds], **wanted.options)
    except StoreError:  # it may be stored or not: as after a death, it is asked for again
        await ask(wanted)
        return
    pen.write(Stored(job=wanted.job, to=job.id))
    if wanted.kind == "cancelled":
        with suppress(StoreError):  # it may be cancelled or not
            pen.write(Cancelled(job=wanted.job, done=await job.acancel()))


async def produce(seed: int, first: int, shard: int, shards: int) -> None:
    """Enqueue the shard's jobs from number `first` on, up to each number that is read."""
    number = first
    while line := await asyncio.to_thread(sys.stdin.readline):
        upto = int(line)
        while number < upto:
            wave = range(number, min(number + WAVE * shards, upto))
            number = wave.stop
            mine = [each for each in wave if each % shards == shard]
            await asyncio.gather(*(ask(wish(seed, each, LEASE)) for each in mine))


if __name__ == "__main__":
    asyncio.run(produce(*map(int, sys.argv[1:])))
