"""Starts and ends what a queue needs inside a web process.

`FastAPI(lifespan=lifespan(queue, worker=True))`, or in a lifespan of your own:
`async with lifespan(queue)(app): yield`. Every process of a server (`--workers 4`) then has
its own connection to the store and, if asked for, its own worker; the work is still shared
out once.
"""

import asyncio
import contextlib
import functools
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from offload.fastapi.stopping import STOPPING
from offload.queue import Queue

DRAIN_MARGIN = 10.0
"""Seconds after the grace in which an embedded worker must have ended, or is left behind."""

_logger = logging.getLogger("offload.fastapi")
_failed: weakref.WeakSet[Queue] = weakref.WeakSet()


def lifespan(
    queue: Queue, *, worker: bool = False, grace: float = 30.0
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens the queue, and closes it when the application ends.

    With `worker`, the process also runs jobs: simple for development and small sites. At the
    end, running jobs have `grace` seconds; what is left is given back without using an
    attempt. If the worker dies of an error, that is logged, the site goes on without it, and
    `/readiness` says so.
    """

    @contextlib.asynccontextmanager
    async def running(_app: object) -> AsyncIterator[None]:
        with STOPPING.watched():
            await queue.aopen()
            try:
                async with _embedded(queue, grace) if worker else contextlib.nullcontext():
                    yield
            finally:
                await queue.aclose()

    return running


def worker_failed(queue: Queue) -> bool:
    """Say whether this process was to run a worker for the queue, and has lost it."""
    return queue in _failed


@contextlib.asynccontextmanager
async def _embedded(queue: Queue, grace: float) -> AsyncIterator[None]:
    stop = asyncio.Event()
    _failed.discard(queue)
    run = queue.arun_worker(stop, grace=grace, install_signals=False)
    work = asyncio.create_task(run, name="offload worker")
    work.add_done_callback(functools.partial(_note_end, queue, stop))
    try:
        yield
    finally:
        stop.set()
        await _drain(work, grace + DRAIN_MARGIN)


def _note_end(queue: Queue, stop: asyncio.Event, work: "asyncio.Task[None]") -> None:
    error = None if work.cancelled() else work.exception()
    if error is None and stop.is_set():
        return
    _failed.add(queue)
    _logger.error("the embedded worker ended; this process runs no more jobs", exc_info=error)


async def _drain(work: "asyncio.Task[None]", limit: float) -> None:
    """Wait for the worker's own, orderly end; a server that cannot stop would be worse."""
    await asyncio.wait({work}, timeout=limit)
    if not work.done():
        _logger.error("the embedded worker did not drain in %g s: cancelled", limit)
        work.cancel()
        await asyncio.wait({work}, timeout=1)
