"""Uploads by what a client names them with, as far as whoever asks may see them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from imaging import marks, names, uploads, views
from imaging.errors import Refused, unknown_upload
from imaging.jobs import manifest_of, queue
from imaging.schemas import Item
from imaging.settings import settings
from offload import JobHandle

Job = JobHandle[Any]

# Of one upload, as far as a batch shows them.
_MOST_TRIES = 10


async def find(upload_id: str, owner: str | None) -> Job:
    """Find one upload.  That of another owner is as unknown as one that never was."""
    job = await known(upload_id)
    if views.owner_of(job) != owner:
        raise unknown_upload()
    return job


async def known(upload_id: str) -> Job:
    """Find one upload for whoever has a link to it."""
    # Checked first, so that odd ids (NUL, surrogates, megabytes) never reach a driver.
    if not names.is_id(upload_id):
        raise unknown_upload()
    # In one look, for clients ask where their upload stands more often than anything else.
    job, mark = await queue.aget_jobs([upload_id, marks.mark_of(upload_id)])
    if job is None or mark is not None or not views.is_upload(job):
        raise unknown_upload()
    return job


async def page(
    owner: str | None,
    *,
    limit: int,
    before: str | None = None,
    states: Sequence[str] = (),
    batch: str | None = None,
) -> list[Job]:
    """List an owner's uploads, newest first: fewer than `limit` only if there are no more."""
    tag = f"batch:{batch}" if batch else uploads.owner_tag(owner)
    found: list[Job] = []
    while len(found) < limit:
        jobs = await queue.alist_jobs(tag=tag, status=states, limit=limit, before=before)
        visible = [job for job in jobs if views.is_upload(job) and views.owner_of(job) == owner]
        found += await marks.remaining(visible)
        if len(jobs) < limit:
            break
        before = jobs[-1].id
    return found[:limit]


async def batch_of(batch: str, owner: str | None) -> list[Job]:
    """List what was uploaded together, in that order; each by its last try."""
    most = settings().max_files * _MOST_TRIES
    jobs = await page(owner, limit=most, batch=batch) if names.is_id(batch) else []
    if not jobs:
        raise Refused(404, "not_found", "There is no batch with this id.")
    retried = {job.origin for job in jobs}
    return [job for job in reversed(jobs) if job.id not in retried]


async def item(job: Job) -> Item:
    """Show one upload."""
    return views.item(job, await manifest_of(job))


async def items(jobs: Sequence[Job]) -> list[Item]:
    """Show several."""
    return await asyncio.gather(*map(item, jobs))
