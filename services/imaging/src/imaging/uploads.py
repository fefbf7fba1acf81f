"""Taking pictures in: each is checked, stored durably, and only then becomes a job.

The job *is* the upload's record, and its id is chosen before anything is stored.  So a
crash can leave one thing behind: an original without a job, of a request that was never
answered.  The janitor removes those.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from imaging import names
from imaging.errors import Refused, refusal_of
from imaging.jobs import limits, process_image, storage
from imaging.manifest import original_key
from imaging.pipeline import BadImage, Probe, probe
from imaging.receive import Body, Part, open_body, read_body
from imaging.settings import settings

TAG = "upload"


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
        found, sha256 = await asyncio.to_thread(_check, part)
    except BadImage as error:
        return Rejected(filename, refusal_of(error))
    return await _enqueue(part, found, sha256, filename, batch)


def _not_none(body: Body) -> list[Part]:
    if body.parts:
        return body.parts
    raise Refused(422, "missing_file", "No file was sent. Put it in the form's field `file`.")


def _check(part: Part) -> tuple[Probe, str]:
    if part.too_large:
        most = settings().max_bytes / 1e6
        raise BadImage("too_large", f"This file is too large. At most {most:g} MB are accepted.")
    with part.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return probe(part.path, limits()), digest.hexdigest()


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
