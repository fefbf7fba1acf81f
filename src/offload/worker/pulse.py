"""The worker's side of its heart: a tiny process that beats for it, so that no task can stop it.

A function that hogs the interpreter's lock stops every thread of its process, a beat of its own
among them. The heart (`heart.py`) shares nothing with the worker but a pipe.
"""

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

from offload.store.base import Beat

HEART = "offload.worker.heart"


class Pulse:
    """Starts the heart and keeps it beating."""

    def __init__(self, url: str, beat: Beat, interval: float, *, blames: bool) -> None:
        """Beat for `beat.worker` on the store at `url`; see `Heart` for `blames`."""
        order = {"url": url, "interval": interval, "blames": blames, "beat": asdict(beat)}
        self._order = json.dumps(order).encode() + b"\n"
        self._kin = b"\n"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", HEART,
            stdin=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._process.stdin.write(self._order + self._kin)

    async def keep(self) -> None:
        """Start the process again whenever it ends, until cancelled."""
        while self._process is not None:
            await self._process.wait()
            await asyncio.sleep(1.0)  # what kills it at once would do so again
            await self.start()

    def ping(self, kin: Iterable[int]) -> None:
        """Tell the heart that the control loop turns, whatever the store does.

        `kin` are the processes that must not outlive the worker, each the head of a group.
        """
        self._kin = " ".join(map(str, kin)).encode() + b"\n"
        process = self._process
        if process is not None and process.stdin is not None and process.returncode is None:
            process.stdin.write(self._kin)

    async def stop(self) -> None:
        """Kill the process: what it would do at the end of the pipe is only for a dead worker."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
