"""The progress of several uploads as one stream."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import Response

from imaging import views
from imaging.finding import Job
from offload.fastapi import event_stream

# Each event is news for a person to look at.
_INTERVAL = 0.2


def stream(batch: str, jobs: Sequence[Job]) -> Response:
    """Tell of each change, merged if they come fast, until all are over."""
    return event_stream(_events(batch, jobs))


async def _events(batch: str, jobs: Sequence[Job]) -> AsyncGenerator[str]:
    newest = {job.id: job for job in jobs}
    changed = asyncio.Event()
    watches = [asyncio.create_task(_watch(job, newest, changed)) for job in jobs]
    try:
        last = ""
        while not all(watch.done() for watch in watches):
            shown = _shown(batch, newest)
            if shown != last:
                yield f"event: progress\ndata: {shown}\n\n"
            last = shown
            await changed.wait()
            # Several that change one after the other are one event; the end does not wait.
            await asyncio.wait(watches, timeout=_INTERVAL)
            changed.clear()
        yield f"event: done\ndata: {_shown(batch, newest)}\n\n"
    finally:
        for watch in watches:
            watch.cancel()


async def _watch(job: Job, newest: dict[str, Job], changed: asyncio.Event) -> None:
    """Keep the newest state of one upload at hand."""
    try:
        async with aclosing(job.awatch()) as states:
            async for state in states:
                newest[job.id] = state
                changed.set()
    finally:
        # It has ended: the last one to do so ends the stream.
        changed.set()


def _shown(batch: str, newest: dict[str, Job]) -> str:
    return views.batch_progress(batch, list(newest.values())).model_dump_json()
