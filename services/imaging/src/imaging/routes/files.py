"""Files on their way out."""

from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from imaging import finding, views
from imaging.errors import Refused, problems
from imaging.finding import Job
from imaging.jobs import manifest_of
from imaging.manifest import original_key
from imaging.readers import Allowed, Reader
from imaging.serving import File, served

_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **problems(
        "unauthorized",
        "not_found",
        "range_not_satisfiable",
        "queue_unavailable",
        "storage_unavailable",
    ),
    200: {"content": {"image/*": _FILE}, "description": "The file."},
    206: {"content": {"image/*": _FILE}, "description": "The part of it that was asked for."},
    304: {"description": "The client has it already."},
    307: {"description": "The bucket serves it, at this address."},
}

router = APIRouter()


@router.head("/upload/{upload_id}/original", include_in_schema=False)
@router.get("/upload/{upload_id}/original", response_class=Response, responses=_RESPONSES)
async def original(request: Request, upload_id: str, reader: Allowed) -> Response:
    """Give the file as it was sent: as a download, for nobody has looked at all of its bytes."""
    meta = views.meta_of(await _find(upload_id, reader))
    key, name = original_key(meta["sha256"]), meta["filename"]
    file = File(key, name, meta["content_type"], meta["sha256"], inline=False)
    return await served(request, file, reader.seconds)


@router.head("/files/{path:path}", include_in_schema=False)
@router.get("/files/{path:path}", response_class=Response, responses=_RESPONSES)
async def files(request: Request, path: str, reader: Allowed) -> Response:
    """Serve an output under the name its upload gave it.

    The path is looked up, never joined: the id finds the job, the job knows the only
    names that exist, and where the bytes lie is ours.
    """
    folder, _, rest = path.partition("/")
    upload_id, _, name = rest.partition("/")
    if folder != "processed":
        raise _no_file()
    job = await _find(upload_id, reader)
    found = await manifest_of(job)
    variants = found.variants.items() if found else ()
    names = {views.served_name(job, variant, made.format): made for variant, made in variants}
    if name not in names:
        raise _no_file()
    made = names[name]
    etag = f"{views.meta_of(job)['sha256']}-{PurePath(made.key).stem}"
    file = File(made.key, name, f"image/{made.format}", etag, inline=True)
    return await served(request, file, reader.seconds)


async def _find(upload_id: str, reader: Reader) -> Job:
    if reader.anybody:
        return await finding.known(upload_id)
    return await finding.find(upload_id, reader.owner)


def _no_file() -> Refused:
    return Refused(404, "not_found", "There is no such file.")
