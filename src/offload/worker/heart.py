"""The process that beats for a worker; when its pipe closes, it takes the worker's jobs over.

    python -m offload.worker.heart < one line of JSON, then silence

The worker is dead then (one that ends in good order kills its heart first), and its jobs need
not wait for a lease to run out.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from offload.core.errors import StoreError, StoreUnavailable
from offload.store.base import Beat, Store
from offload.store.open import open_store
from offload.worker.janitor import take_over
from offload.worker.proc import is_stopped


class Heart:
    """Beats for one worker, which it watches through a pipe."""

    def __init__(self, store: Store, beat: Beat, interval: float, *, blames: bool) -> None:
        """Send `beat` to `store` every `interval` seconds.

        `blames` says that the worker's functions run in it, and may be the death of it.
        """
        self._store = store
        self._beat = beat
        self._interval = interval
        self._heard = time.monotonic()
        self._blames = blames
        self._kin: list[int] = []

    async def run(self, pipe: asyncio.StreamReader) -> None:
        """Beat until the worker is gone, then take over what it left."""
        await self._store.open()
        beating = asyncio.create_task(self._keep_beating())
        await self._gone(pipe)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        self._end_kin()
        await self._store.retire(self._beat.worker)
        await take_over(self._store, self._beat.worker, crashed=self._blames)
        await self._store.close()

    async def _gone(self, pipe: asyncio.StreamReader) -> None:
        """Wait for the end of the pipe or, where the system tells, of the worker's process.

        A fork of the worker holds the pipe open as well, and must not pass for it.
        """
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._listen(pipe))]
        if hasattr(os, "pidfd_open"):
            ended = asyncio.Event()
            try:
                descriptor = os.pidfd_open(self._beat.pid)
            except ProcessLookupError:
                return
            asyncio.get_running_loop().add_reader(descriptor, ended.set)
            waits.append(asyncio.create_task(ended.wait()))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    async def _listen(self, pipe: asyncio.StreamReader) -> None:
        while line := await pipe.readline():
            self._heard = time.monotonic()
            self._kin = [int(pid) for pid in line.split()]

    def _end_kin(self) -> None:
        """Kill what the worker's processes have started: the kernel kills only those."""
        for pid in self._kin:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    async def _keep_beating(self) -> None:
        while True:
            # A worker that somebody has stopped must not look alive for ever.
            if not is_stopped(self._beat.pid):
                try:
                    await self._store.heartbeat(self._beat)
                except StoreUnavailable:
                    self._unblock()
                except StoreError as error:
                    print(f"offload: no heartbeat for now: {error}", file=sys.stderr)  # noqa: T201
            await asyncio.sleep(self._interval)

    def _unblock(self) -> None:
        """Kill a worker that blocks the store for everybody and cannot help it.

        A function that hogs the interpreter's lock, begun while the worker was writing, keeps
        the store's lock too, for as long as it likes.
        """
        if time.monotonic() - self._heard > self._beat.lease:
            print("offload: the worker hangs and blocks the store: killed", file=sys.stderr)  # noqa: T201
            os.kill(self._beat.pid, signal.SIGKILL)


def heart_of(order: dict[str, Any]) -> Heart:
    """Return the heart that a worker ordered; see `Pulse`."""
    queues = order["beat"].pop("queues")
    beat = Beat(**order["beat"], queues=None if queues is None else tuple(queues))
    return Heart(open_store(order["url"]), beat, order["interval"], blames=order["blames"])


async def main() -> None:
    """Read the order from standard input and follow it."""
    loop = asyncio.get_running_loop()
    pipe = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    order = await pipe.readline()
    if order:  # else the worker was gone before it could say anything
        try:
            await heart_of(json.loads(order)).run(pipe)
        except StoreUnavailable as error:  # the jobs of a worker that is gone lapse with its lease
            print(f"offload: the heart ends: {error}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    # The worker decides when this ends: Ctrl-C reaches the whole group of the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
