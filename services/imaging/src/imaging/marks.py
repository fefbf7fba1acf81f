"""Which uploads were deleted.

A job cannot be taken out of the queue before its time, so another one, of an id made of its
own, marks it: an upload whose mark exists is unknown to everybody.
"""

from collections.abc import Sequence
from typing import Any

from imaging.jobs import queue
from offload import JobHandle


def mark_of(upload_id: str) -> str:
    """Give the id of the job whose being there says that this upload was deleted."""
    return f"deleted-{upload_id}"


async def remaining(jobs: Sequence[JobHandle[Any]]) -> list[JobHandle[Any]]:
    """Leave out the uploads that were deleted."""
    marks = await queue.aget_jobs([mark_of(job.id) for job in jobs])
    return [job for job, mark in zip(jobs, marks, strict=True) if mark is None]
