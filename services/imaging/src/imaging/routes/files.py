"""Files on their way out."""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from imaging import finding, views
from imaging.errors import Refused, problems
from imaging.finding import Job
from imaging.jobs import VARIANTS, output_key, storage
from imaging.links import Allowed, Reader
from imaging.schemas import UploadStatus

_REFUSALS = problems("unauthorized", "not_found", "range_not_satisfiable", "queue_unavailable")
# An id's files never change.
_KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}

router = APIRouter()


@router.get("/upload/{upload_id}/original", response_class=FileResponse, responses=_REFUSALS)
async def original(upload_id: str, reader: Allowed) -> FileResponse:
    """Give the file as it was sent: as a download, for nobody has looked at all of its bytes."""
    job = await _find(upload_id, reader)
    meta = views.meta_of(job)
    found = await _stored(f"originals/{meta['source']}")
    return FileResponse(
        found,
        media_type=meta["content_type"],
        filename=meta["filename"],
        headers=_KEEP,
    )


@router.get("/files/{path:path}", response_class=FileResponse, responses=_REFUSALS)
async def files(path: str, reader: Allowed) -> FileResponse:
    """Serve an output under the name its upload gave it.

    The path is looked up, never joined: the id finds the job, the job knows the only
    names that exist, and where the bytes lie is ours.
    """
    folder, _, rest = path.partition("/")
    upload_id, _, name = rest.partition("/")
    if folder != "processed":
        raise _no_file()
    job = await _find(upload_id, reader)
    served = {views.served_name(job, variant): variant for variant in VARIANTS}
    if name not in served or views.status_of(job) is not UploadStatus.SUCCESS:
        raise _no_file()
    found = await _stored(output_key(views.meta_of(job)["source"], served[name]))
    return FileResponse(
        found,
        media_type="image/jpeg",
        filename=name,
        content_disposition_type="inline",
        headers=_KEEP,
    )


async def _find(upload_id: str, reader: Reader) -> Job:
    if reader.anybody:
        return await finding.known(upload_id)
    return await finding.find(upload_id, reader.owner)


async def _stored(key: str) -> Path:
    if found := await asyncio.to_thread(storage().path, key):
        return found
    raise _no_file()


def _no_file() -> Refused:
    return Refused(404, "not_found", "There is no such file.")
