"""Taking pictures in: each is checked, stored durably, and only then becomes a job.

The job *is* the upload's record, and the bytes are there before it is.  So a crash can
leave one thing behind: an original without a job, of a request that was never answered.
The janitor removes those.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Request

from imaging import keeping, names, views, webhooks
from imaging.cell import probe_in
from imaging.errors import Refused, refusal_of, unknown_upload
from imaging.jobs import cell, limits, process_image, queue, storage
from imaging.manifest import original_key
from imaging.orders import BadImage, Probe
from imaging.receive import Body, Part, open_body, read_body, read_raw
from imaging.schemas import Upload
from imaging.settings import settings
from offload import JobHandle, JobPurged

TAG = "upload"

_RETRY_AFTER = 10

_STARTED = "File uploaded successfully. Processing started in the background."


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a picture, with which others, and who is to be told of its end."""

    owner: str | None = None
    batch: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture that was not taken, and why."""

    filename: str
    reason: Refused


async def admit() -> None:
    """Refuse more pictures while too many wait: to be asked before a byte is read."""
    waiting = sum(row.pending for row in await queue.aqueues() if row.name == "images")
    if waiting >= settings().max_pending:
        raise Refused(
            429,
            "too_busy",
            f"Too many pictures wait already. Try again in {_RETRY_AFTER} seconds.",
            {"Retry-After": str(_RETRY_AFTER)},
        )


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[list[Part]]:
    """Stream a form's files into the storage's folder; those not adopted are removed."""
    config = settings()
    most, files = config.max_bytes, config.max_files
    body = open_body(request, storage().temporary, max_bytes=most, max_files=files)
    try:
        await read_body(
            request, body, max_bytes=most, max_files=files, seconds=config.upload_seconds
        )
        yield _not_none(body)
    finally:
        await asyncio.to_thread(body.discard)


@asynccontextmanager
async def received_raw(request: Request, filename: str) -> AsyncIterator[Part]:
    """Stream a body that is one picture, as `received`."""
    config = settings()
    part = Part(await asyncio.to_thread(storage().temporary), filename)
    try:
        await read_raw(request, part, max_bytes=config.max_bytes, seconds=config.upload_seconds)
        yield part
    finally:
        await asyncio.to_thread(part.path.unlink, missing_ok=True)


async def accept(part: Part, sender: Sender) -> Upload | Rejected:
    """Check one file and enqueue it, or say why not."""
    filename = names.display_name(part.filename)
    try:
        found = await _check(part)
    except BadImage as error:
        return Rejected(filename, refusal_of(error))
    job = await _enqueue(part, found, filename, sender)
    await webhooks.promise(job)
    return answer(job)


async def again(job: JobHandle[Any]) -> Upload | None:
    """Try once more what did not end well; None for anything else."""
    if job.status not in {"failed", "dead", "cancelled"}:
        return None
    try:
        fresh = await job.areplay()
    except JobPurged:
        raise unknown_upload() from None
    await webhooks.promise(fresh)
    return answer(fresh)


def answer(job: JobHandle[Any]) -> Upload:
    """Say to the sender how to go on."""
    base = f"/upload/{job.id}"
    return Upload(
        id=job.id,
        task_id=job.id,
        filename=views.meta_of(job)["filename"],
        status_url=f"{base}/status",
        result_url=f"{base}/result",
        message=_STARTED,
    )


def owner_tag(owner: str | None) -> str:
    """Give the tag of an owner's uploads; where no key is asked for, all are nobody's."""
    return f"owner:{owner or ''}"


def _not_none(body: Body) -> list[Part]:
    if body.parts:
        return body.parts
    raise Refused(422, "missing_file", "No file was sent. Put it in the form's field `file`.")


async def _check(part: Part) -> Probe:
    if part.too_large:
        most = settings().max_bytes / 1e6
        raise BadImage("too_large", f"This file is too large. At most {most:g} MB are accepted.")
    return await probe_in(cell(), part.path, limits())


async def _enqueue(part: Part, found: Probe, filename: str, sender: Sender) -> JobHandle[Any]:
    stem, sha256 = names.stem_of(filename), part.sha256
    async with keeping.held(sha256):
        # Bytes first, record second: a job whose original is missing could never succeed.
        await asyncio.to_thread(storage().adopt, original_key(sha256), part.path)
        return await process_image.aapply_async(
            args=(sha256, stem, sender.owner),
            tags=_tags(part, sender),
            metadata={
                "filename": filename,
                "stem": stem,
                "format": found.format,
                "content_type": f"image/{found.format}",
                "size": part.size,
                "width": found.width,
                "height": found.height,
                "sha256": sha256,
                **asdict(sender),
            },
        )


def _tags(part: Part, sender: Sender) -> list[str]:
    tags = [TAG, keeping.tag(part.sha256), owner_tag(sender.owner)]
    return [*tags, f"batch:{sender.batch}"] if sender.batch else tags
