"""Taking pictures in: each is checked, stored durably, and only then becomes a job.

The job *is* the upload's record, and its id is chosen before anything is stored.  So a
crash can leave one thing behind: an original without a job, of a request that was never
answered.  :func:`sweep` removes those.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from imaging import names
from imaging.cell import probe_in
from imaging.errors import Refused, refusal_of
from imaging.jobs import cell, limits, process_image, queue, storage
from imaging.manifest import original_key, outputs_prefix
from imaging.pipeline import BadImage, Probe
from imaging.receive import Body, Part, open_body, read_body
from imaging.settings import settings

log = logging.getLogger(__name__)

TAG = "upload"
# Far longer than any request takes between storing its file and enqueueing its job.
_ORPHAN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Accepted:
    """A picture that is stored and will be processed."""

    id: str
    filename: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture that was not taken, and why."""

    filename: str
    reason: Refused


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[list[Part]]:
    """Stream the body's files into the storage's folder; those not adopted are removed."""
    config = settings()
    most, files = config.max_bytes, config.max_files
    body = open_body(request, storage().temporary, max_bytes=most, max_files=files)
    try:
        await read_body(request, body, max_bytes=most, max_files=files)
        yield _not_none(body)
    finally:
        await asyncio.to_thread(body.discard)


async def accept(part: Part, *, batch: str | None = None) -> Accepted | Rejected:
    """Check one file and enqueue it, or say why not."""
    filename = names.display_name(part.filename)
    try:
        found = await _check(part)
        sha256 = await asyncio.to_thread(_digest, part)
    except BadImage as error:
        return Rejected(filename, refusal_of(error))
    return await _enqueue(part, found, sha256, filename, batch)


async def sweep() -> None:
    """Remove what requests and tasks left that were killed: bounded by age, safe to repeat."""
    before = time.time() - _ORPHAN_SECONDS
    old = await asyncio.to_thread(
        lambda: [o.key for o in storage().entries("originals") if o.modified < before]
    )
    for key in old:
        sha256 = key.rpartition("/")[2]
        if not await queue.alist_jobs(tag=f"sha:{sha256}", limit=1):
            log.warning("removing an original of no upload: %s", sha256)
            await asyncio.to_thread(storage().delete, key)
            await asyncio.to_thread(storage().delete, outputs_prefix(sha256))
    await asyncio.to_thread(storage().sweep_temporary, before)


def _not_none(body: Body) -> list[Part]:
    if body.parts:
        return body.parts
    raise Refused(422, "missing_file", "No file was sent. Put it in the form's field `file`.")


async def _check(part: Part) -> Probe:
    if part.too_large:
        most = settings().max_bytes / 1e6
        raise BadImage("too_large", f"This file is too large. At most {most:g} MB are accepted.")
    return await probe_in(cell(), part.path, limits())


def _digest(part: Part) -> str:
    with part.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _enqueue(
    part: Part, found: Probe, sha256: str, filename: str, batch: str | None
) -> Accepted:
    upload_id, stem = names.new_id(), names.stem_of(filename)
    # Bytes first, record second: a job whose original is missing could never succeed.
    await asyncio.to_thread(storage().adopt, original_key(sha256), part.path)
    tags = [TAG, f"sha:{sha256}"]
    await process_image.aapply_async(
        args=(sha256, stem),
        job_id=upload_id,
        tags=[*tags, f"batch:{batch}"] if batch else tags,
        metadata={
            "filename": filename,
            "stem": stem,
            "format": found.format,
            "content_type": f"image/{found.format}",
            "size": part.size,
            "width": found.width,
            "height": found.height,
            "sha256": sha256,
            "owner": None,
            "batch": batch,
        },
    )
    return Accepted(upload_id, filename)
