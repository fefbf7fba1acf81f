"""What can be done with an upload once it is there."""

from fastapi import APIRouter

from imaging import deletion, finding, uploads
from imaging.errors import problems, refused
from imaging.jobs import queue
from imaging.owners import Asker
from imaging.schemas import Cancelled, Upload

_COMMON = ("unauthorized", "cross_site", "not_found", "queue_unavailable")

router = APIRouter()


@router.post("/upload/{upload_id}/cancel", responses=problems(*_COMMON))
async def cancel(upload_id: str, owner: Asker) -> Cancelled:
    """Stop an upload that waits or is being processed; false if it was already over."""
    job = await finding.find(upload_id, owner)
    cancelled = await queue.acancel_job(job.id) or await queue.acancel_running_job(job.id)
    return Cancelled(cancelled=cancelled)


@router.post(
    "/upload/{upload_id}/retry",
    status_code=202,
    responses=problems(*_COMMON, "not_retryable", "too_busy"),
)
async def retry(upload_id: str, owner: Asker) -> Upload:
    """Try an upload that failed or was cancelled once more, under an id of its own."""
    await uploads.admit()
    fresh = await uploads.again(await finding.find(upload_id, owner))
    if fresh is None:
        raise refused("not_retryable")
    return fresh


@router.delete(
    "/upload/{upload_id}", status_code=204, responses=problems(*_COMMON, "storage_unavailable")
)
async def delete(upload_id: str, owner: Asker) -> None:
    """Stop the upload if it is not over, forget it, and remove its files."""
    await deletion.delete(await finding.find(upload_id, owner))
