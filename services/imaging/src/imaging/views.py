"""What a job looks like as an upload: pure functions from the record to the API's JSON."""

import re
from typing import Any
from urllib.parse import quote

from imaging.manifest import Manifest
from imaging.presets import VARIANTS, Format
from imaging.schemas import GalleryItem, Links, Problem, Status, UploadStatus, Variant
from imaging.settings import settings
from offload import JobHandle

_STATUS = {
    "pending": UploadStatus.PENDING,
    "running": UploadStatus.PROGRESS,
    "complete": UploadStatus.SUCCESS,
    "failed": UploadStatus.FAILURE,
    "dead": UploadStatus.FAILURE,
    "cancelled": UploadStatus.REVOKED,
}

# What the task itself says about a bad picture is fit to be shown; anything else is ours
# to read in the log.  The queue names the exception before its text.
_PUBLIC = re.compile(r"(?:Abort: )?(?P<code>[a-z_]+): (?P<detail>\S.*)")
_OURS = Problem(
    code="processing_failed",
    detail="This picture could not be processed. The fault is ours; please try again later.",
)


def status_of(job: JobHandle[Any]) -> UploadStatus:
    """Translate the queue's states into those of this API."""
    return _STATUS[job.status]


def problem_of(job: JobHandle[Any]) -> Problem | None:
    """Say in plain words why it failed, without showing our insides."""
    if status_of(job) is not UploadStatus.FAILURE:
        return None
    match = _PUBLIC.fullmatch(job.error or "") if job.status == "failed" else None
    return Problem(**match.groupdict()) if match else _OURS


def status_view(job: JobHandle[Any]) -> Status:
    """Show where the upload stands."""
    status = status_of(job)
    return Status(
        id=job.id,
        task_id=job.id,
        status=status,
        progress=100 if status is UploadStatus.SUCCESS else job.progress,
        filename=_meta(job)["filename"],
        error=problem_of(job),
    )


def links(job: JobHandle[Any]) -> Links | None:
    """Give the addresses of the outputs, once they are there."""
    if status_of(job) is not UploadStatus.SUCCESS:
        return None
    folder = f"/files/processed/{job.id}"
    formats = {preset.name: preset.format for preset in settings().presets}
    names = {name: served_name(job, name, formats[name]) for name in VARIANTS}
    return Links(**{name: f"{folder}/{quote(served)}" for name, served in names.items()})


def served_name(job: JobHandle[Any], variant: str, kind: str) -> str:
    """Name an output to clients, after the file they sent."""
    return f"{_meta(job)['stem']}_{variant}.{Format(kind)}"


def gallery_item(job: JobHandle[Any], manifest: Manifest | None) -> GalleryItem:
    """Show the upload with its measures before and after."""
    meta = _meta(job)
    return GalleryItem(
        **status_view(job).model_dump(),
        size=meta["size"],
        width=meta["width"],
        height=meta["height"],
        created_at=job.created_at,
        result=links(job),
        outputs={
            name: Variant(width=made.width, height=made.height, bytes=made.bytes)
            for name, made in manifest.variants.items()
        }
        if manifest
        else None,
    )


def _meta(job: JobHandle[Any]) -> dict[str, Any]:
    return dict(job.metadata or {})
