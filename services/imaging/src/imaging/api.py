"""The HTTP interface.  Each endpoint finds the job that is the upload, and shows it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from imaging import names, uploads, views
from imaging.errors import Refused, unknown_upload
from imaging.formats import ACCEPTED
from imaging.jobs import manifest_of, queue, storage
from imaging.receive import Part
from imaging.schemas import (
    Accepts,
    Batch,
    Cancelled,
    Gallery,
    GalleryItem,
    Health,
    Problem,
    RefusedUpload,
    Result,
    Status,
    Upload,
    UploadStatus,
)
from imaging.settings import settings
from offload import JobHandle
from offload.fastapi import job_events

router = APIRouter(tags=["imaging"])

_STARTED = "File uploaded successfully. Processing started in the background."

_LIMITS = {"max_bytes", "max_pixels", "max_side", "max_files"}

# The multipart body is read by hand (see receive), so its form is described by hand.
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One picture, or the field repeated for several.",
                        }
                    },
                }
            }
        },
    }
}


@router.post("/upload", status_code=202, response_model=Upload | Batch, openapi_extra=_FORM)
async def upload(request: Request) -> Upload | Batch:
    """Take one picture or several.

    202, because the work is accepted and not done.  One file that is refused is an error
    response; in a batch each file is answered by itself.
    """
    async with uploads.received(request) as parts:
        if len(parts) > 1:
            return await _batch(parts)
        outcome = await uploads.accept(parts[0])
    if isinstance(outcome, uploads.Rejected):
        raise outcome.reason
    return _taken(outcome)


@router.get("/upload/{upload_id}/status")
async def status(upload_id: str) -> Status:
    """Say where an upload stands: PENDING, PROGRESS, then SUCCESS, FAILURE or REVOKED."""
    return views.status_view(await _find(upload_id))


@router.get("/upload/{upload_id}/result", response_model_exclude_unset=True)
async def result(upload_id: str, response: Response) -> Result:
    """Give the addresses of the outputs; 202 with a null result until there are any."""
    job = await _find(upload_id)
    state = views.status_of(job)
    if state is UploadStatus.FAILURE:
        return Result(status=state, result=None, error=views.problem_of(job))
    if state in {UploadStatus.PENDING, UploadStatus.PROGRESS}:
        response.status_code = 202
    return Result(status=state, result=views.links(job))


@router.get("/upload/{upload_id}/events")
async def events(upload_id: str, request: Request) -> Response:
    """Stream progress as server-sent events until the upload is done."""
    job = await _find(upload_id)
    return await job_events(queue, job.id, request)


@router.post("/upload/{upload_id}/cancel")
async def cancel(upload_id: str) -> Cancelled:
    """Stop an upload that waits or is being processed; false if it was already over."""
    job = await _find(upload_id)
    cancelled = await queue.acancel_job(job.id) or await queue.acancel_running_job(job.id)
    return Cancelled(cancelled=cancelled)


@router.get("/uploads")
async def recent(
    limit: Annotated[int, Query(ge=1, le=100)] = 24, before: str | None = None
) -> Gallery:
    """List uploads, newest first."""
    if before is not None and not names.is_id(before):
        raise Refused(422, "invalid_request", "`before` must be the id of an upload.")
    # One more than asked for tells whether there is another page.
    jobs = await queue.alist_jobs(tag=uploads.TAG, limit=limit + 1, before=before)
    shown = jobs[:limit]
    items = await asyncio.gather(*(_gallery_item(job) for job in shown))
    return Gallery(uploads=items, next=shown[-1].id if len(jobs) > limit else None)


@router.get("/uploads/{upload_id}")
async def one(upload_id: str) -> GalleryItem:
    """Show one upload as the list does."""
    return await _gallery_item(await _find(upload_id))


@router.get("/files/{path:path}")
async def files(path: str) -> FileResponse:
    """Serve an output under the name its upload gave it.

    The path is looked up, never joined: the id finds the job, the job knows the only
    names that exist, and where the bytes lie is ours.
    """
    folder, _, rest = path.partition("/")
    upload_id, _, name = rest.partition("/")
    if folder != "processed":
        raise _no_file()
    job = await _find(upload_id)
    manifest = await manifest_of(job)
    variants = manifest.variants if manifest else {}
    served = {views.served_name(job, v, made.format): made for v, made in variants.items()}
    if name not in served:
        raise _no_file()
    found = await asyncio.to_thread(storage().path, served[name].key)
    if found is None:
        raise _no_file()
    return FileResponse(
        found,
        media_type=f"image/{served[name].format}",
        filename=name,
        content_disposition_type="inline",
        # An id's outputs never change.
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )


@router.get("/limits")
async def limits() -> Accepts:
    """Say what is accepted."""
    return Accepts(types=list(ACCEPTED), **settings().model_dump(include=_LIMITS))


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process answers."""
    return Health()


async def _find(upload_id: str) -> JobHandle[Any]:
    # Checked first, so that odd ids (NUL, surrogates, megabytes) never reach a driver.
    job = await queue.aget_job(upload_id) if names.is_id(upload_id) else None
    # The queue may hold other jobs one day; only those with a file are uploads.
    if job is None or "stem" not in (job.metadata or {}):
        raise unknown_upload()
    return job


async def _batch(parts: list[Part]) -> Batch:
    batch = names.new_id()
    outcomes = [await uploads.accept(part, batch=batch) for part in parts]
    return Batch(batch_id=batch, uploads=[_outcome(outcome) for outcome in outcomes])


def _outcome(outcome: uploads.Accepted | uploads.Rejected) -> Upload | RefusedUpload:
    if isinstance(outcome, uploads.Accepted):
        return _taken(outcome)
    reason = outcome.reason
    return RefusedUpload(
        filename=outcome.filename, error=Problem(code=reason.code, detail=reason.detail)
    )


def _taken(accepted: uploads.Accepted) -> Upload:
    base = f"/upload/{accepted.id}"
    return Upload(
        id=accepted.id,
        task_id=accepted.id,
        filename=accepted.filename,
        status_url=f"{base}/status",
        result_url=f"{base}/result",
        message=_STARTED,
    )


async def _gallery_item(job: JobHandle[Any]) -> GalleryItem:
    return views.gallery_item(job, await manifest_of(job))


def _no_file() -> Refused:
    return Refused(404, "not_found", "There is no such file.")
