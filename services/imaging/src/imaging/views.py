"""What a job looks like as an upload: pure functions from the record to the API's JSON."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from imaging.links import link
from imaging.manifest import Manifest, Variant as Made
from imaging.presets import VARIANTS
from imaging.schemas import (
    BatchProgress,
    Item,
    Links,
    Measures,
    Problem,
    Status,
    UploadStatus,
    Variant,
)
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

UNFINISHED = {UploadStatus.PENDING, UploadStatus.PROGRESS}

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


def states_of(status: UploadStatus) -> tuple[str, ...]:
    """Give the queue's states that look like this one."""
    return tuple(state for state, shown in _STATUS.items() if shown is status)


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
        filename=meta_of(job)["filename"],
        error=problem_of(job),
    )


def links(job: JobHandle[Any]) -> Links | None:
    """Give the addresses of the two outputs that every picture has, once they are there."""
    if status_of(job) is not UploadStatus.SUCCESS:
        return None
    formats = {preset.name: preset.format for preset in settings().presets}
    return Links(**{name: _output_url(job, name, formats[name]) for name in VARIANTS})


def variants(job: JobHandle[Any], manifest: Manifest) -> dict[str, Variant]:
    """Show the outputs."""
    return {
        name: Variant(
            url=_output_url(job, name, made.format),
            format=made.format,
            **_measures(made).model_dump(),
        )
        for name, made in manifest.variants.items()
    }


def served_name(job: JobHandle[Any], variant: str, kind: str) -> str:
    """Name an output to clients, after the file they sent."""
    return f"{meta_of(job)['stem']}_{variant}.{kind}"


def item(job: JobHandle[Any], manifest: Manifest | None) -> Item:
    """Show the upload with all that is known of it."""
    meta = meta_of(job)
    known = manifest.model_dump(include={"thumbhash", "colour", "taken_at"}) if manifest else {}
    return Item(
        **status_view(job).model_dump(),
        **{name: meta[name] for name in ("size", "width", "height", "format", "sha256")},
        created_at=job.created_at,
        batch_id=meta["batch"],
        retry_of=job.origin,
        original_url=link(f"/upload/{job.id}/original"),
        result=links(job),
        outputs={n: _measures(v) for n, v in manifest.variants.items()} if manifest else None,
        variants=variants(job, manifest) if manifest else None,
        **known,
    )


def batch_progress(batch: str, jobs: Sequence[JobHandle[Any]]) -> BatchProgress:
    """Count how far several uploads are; what is over is over, whatever became of it."""
    shares = [job.progress if status_of(job) in UNFINISHED else 100 for job in jobs]
    count = Counter(map(status_of, jobs))
    succeeded, failed = count[UploadStatus.SUCCESS], count[UploadStatus.FAILURE]
    cancelled = count[UploadStatus.REVOKED]
    return BatchProgress(
        batch_id=batch,
        total=len(jobs),
        finished=succeeded + failed + cancelled,
        succeeded=succeeded,
        failed=failed,
        cancelled=cancelled,
        progress=sum(shares) // len(shares),
    )


def is_upload(job: JobHandle[Any]) -> bool:
    """Tell an upload from other jobs: the queue holds those, too."""
    return "sha256" in meta_of(job)


def owner_of(job: JobHandle[Any]) -> str | None:
    """Say whose upload it is."""
    owner: str | None = meta_of(job)["owner"]
    return owner


def _output_url(job: JobHandle[Any], variant: str, kind: str) -> str:
    return link(f"/files/processed/{job.id}/{served_name(job, variant, kind)}")


def _measures(made: Made) -> Measures:
    return Measures(width=made.width, height=made.height, bytes=made.bytes)


def meta_of(job: JobHandle[Any]) -> dict[str, Any]:
    """Give what was noted of the file when it came."""
    return dict(job.metadata or {})
