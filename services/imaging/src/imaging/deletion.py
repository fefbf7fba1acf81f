"""Taking uploads away: the record at once, its files by a task that is tried again.

A job cannot be taken out of the queue before its time, so a second one marks it: an upload
whose mark exists is unknown to everybody.  That second job is also what removes the files.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from imaging import views
from imaging.jobs import output_key, queue, storage
from offload import JobHandle

TAG = "deletion"


@queue.task(queue="images", max_retries=10, retry_backoff=5.0)
async def forget(sha256: str, source: str) -> bool:
    """Remove the files of an upload, unless another one is of the same bytes; say whether."""
    if await _others(sha256):
        return False
    await asyncio.to_thread(storage().delete, f"originals/{source}")
    await asyncio.to_thread(storage().delete, output_key(source, "").rpartition("/")[0])
    return True


async def delete(job: JobHandle[Any]) -> None:
    """Stop the upload if it is not over, let nobody see it any more, and remove its files."""
    meta = views.meta_of(job)
    await forget.aapply_async(
        args=(meta["sha256"], meta["source"]),
        job_id=_mark(job.id),
        # Its files are in use until it is over.
        depends_on=job.id,
        on_parent_failure="run",
        tags=(TAG,),
    )
    if not await queue.acancel_job(job.id):
        await queue.acancel_running_job(job.id)


async def remaining(jobs: Sequence[JobHandle[Any]]) -> list[JobHandle[Any]]:
    """Leave out those that were deleted."""
    marks = await queue.aget_jobs([_mark(job.id) for job in jobs])
    return [job for job, mark in zip(jobs, marks, strict=True) if mark is None]


async def _others(sha256: str) -> list[JobHandle[Any]]:
    """List the uploads of the same bytes that were not deleted."""
    before, found = None, list[JobHandle[Any]]()
    while jobs := await queue.alist_jobs(tag=f"sha:{sha256}", before=before, limit=100):
        found += await remaining(jobs)
        before = jobs[-1].id
    return found


def _mark(upload_id: str) -> str:
    return f"deleted-{upload_id}"
