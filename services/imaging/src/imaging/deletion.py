"""Taking uploads away: the record at once, its files by a task that is tried again."""

from typing import Any

from imaging import keeping, marks, views
from imaging.jobs import queue
from offload import JobHandle


@queue.task(queue="images", max_retries=10, retry_backoff=5.0)
async def forget(sha256: str) -> bool:
    """Remove the files of a picture, unless another upload is of the same bytes; say whether."""
    return await keeping.remove_unused(sha256)


async def delete(job: JobHandle[Any]) -> None:
    """Stop the upload if it is not over, let nobody see it any more, and remove its files."""
    await forget.aapply_async(
        args=(views.meta_of(job)["sha256"],),
        job_id=marks.mark_of(job.id),
        # Its files are in use until it is over.
        depends_on=job.id,
        on_parent_failure="run",
        tags=("deletion",),
    )
    if not await queue.acancel_job(job.id):
        await queue.acancel_running_job(job.id)
