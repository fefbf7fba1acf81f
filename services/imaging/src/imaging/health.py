"""How the service is: for whoever routes requests to it, and for whoever watches it."""

import asyncio
import logging
from collections.abc import Awaitable

from imaging.jobs import queue, storage
from imaging.schemas import Checks, Readiness

log = logging.getLogger(__name__)

# What is ready answers in this time.
_SECONDS = 3.0


async def readiness() -> Readiness:
    """Look at what uploads need.  Without a worker they are taken all the same, and wait."""
    queue_works, storage_works, workers = await asyncio.gather(
        _works("queue", queue.aqueues()),
        _works("storage", asyncio.to_thread(storage().check)),
        _works("workers", _alive()),
    )
    checks = Checks(
        queue="ok" if queue_works else "failed",
        storage="ok" if storage_works else "failed",
        workers="ok" if workers else "none",
    )
    if not (queue_works and storage_works):
        return Readiness(status="unready", checks=checks)
    return Readiness(status="ready" if workers else "degraded", checks=checks)


async def _works(what: str, look: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            await look
    except Exception as error:  # noqa: BLE001 -- whatever it is, it does not work now
        log.warning("not ready: %s: %r", what, error)
        return False
    return True


async def _alive() -> None:
    workers = await queue.alist_workers()
    if not any(worker.alive for worker in workers):
        raise LookupError("no worker is alive")
