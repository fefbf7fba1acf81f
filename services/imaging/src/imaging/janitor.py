"""Removes what requests and tasks left behind that were killed.

A periodic task: however many processes there are, each tick is one job.  The other way
round, a job whose original is gone, needs no sweep: the task says so and fails.
"""

import asyncio
import logging
import time

from imaging import keeping
from imaging.jobs import queue, storage
from imaging.settings import settings
from imaging.storage import STRAY_SECONDS
from offload import current_job

log = logging.getLogger(__name__)


@queue.periodic(every=settings().sweep_seconds, overlap="skip", max_retries=0, result_ttl=24 * 3600)
async def sweep() -> int:
    """Remove objects that no job needs and temporary files; give the number of pictures.

    Nothing that is younger than an hour is touched: it may belong to a request under way.
    """
    # The tick and not the clock: a late sweep must not take more than a punctual one.
    tick = current_job.tick
    before = (tick.timestamp() if tick else time.time()) - STRAY_SECONDS
    removed = 0
    for sha256 in await asyncio.to_thread(lambda: list(keeping.pictures(before))):
        if await keeping.remove_unused(sha256, before=before):
            log.warning("removed a picture that no upload needs: %s", sha256)
            removed += 1
    await asyncio.to_thread(storage().sweep_temporary, before)
    return removed
