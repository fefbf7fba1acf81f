"""The process that beats for a worker; when its pipe closes, it takes the worker's jobs over.

    python -m offload.worker.heart < one line of JSON, then silence

The worker is dead then (one that ends in good order kills its heart first), and its jobs need
not wait for a lease to run out.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from offload.core.errors import StoreError
from offload.store.base import Beat, Store
from offload.store.open import open_store
from offload.worker.janitor import take_over


async def beat_until_alone(order: dict[str, Any], pipe: asyncio.StreamReader) -> None:
    """Beat until the worker is gone, then take over what it left."""
    store = open_store(order["url"])
    queues = order["beat"].pop("queues")
    beat = Beat(**order["beat"], queues=None if queues is None else tuple(queues))
    await store.open()
    beating = asyncio.create_task(_beat(store, beat, order["interval"]))
    await _gone(beat.pid, pipe)
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    await store.retire(beat.worker)
    await take_over(store, beat.worker)
    await store.close()


async def _gone(pid: int, pipe: asyncio.StreamReader) -> None:
    """Wait for the end of the pipe or, where the system tells, of the process `pid`.

    A fork of the worker holds the pipe open as well, and must not pass for it.
    """
    waits: list[asyncio.Task[object]] = [asyncio.create_task(pipe.read())]
    if hasattr(os, "pidfd_open"):
        ended = asyncio.Event()
        try:
            asyncio.get_running_loop().add_reader(os.pidfd_open(pid), ended.set)
        except ProcessLookupError:
            return
        waits.append(asyncio.create_task(ended.wait()))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)


async def _beat(store: Store, beat: Beat, interval: float) -> None:
    while True:
        # A worker that somebody has stopped must not look alive for ever.
        if not _is_stopped(beat.pid):
            try:
                await store.heartbeat(beat)
            except StoreError as error:
                print(f"offload: no heartbeat for now: {error}", file=sys.stderr)  # noqa: T201
        await asyncio.sleep(interval)


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "T"


async def main() -> None:
    """Read the order from standard input and follow it."""
    loop = asyncio.get_running_loop()
    pipe = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    order = await pipe.readline()
    if order:  # else the worker was gone before it could say anything
        await beat_until_alone(json.loads(order), pipe)


if __name__ == "__main__":
    # The worker decides when this ends: Ctrl-C reaches the whole group of the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
