"""Several files of one request, as one."""

from fastapi import APIRouter, Response

from imaging import batches, finding, views
from imaging.errors import problems
from imaging.owners import Asker
from imaging.schemas import BatchStatus

_REFUSALS = problems("unauthorized", "not_found", "queue_unavailable")

router = APIRouter()


@router.get("/batch/{batch_id}", responses=_REFUSALS)
async def batch(batch_id: str, owner: Asker) -> BatchStatus:
    """Say how far several files of one request are, together and one by one."""
    jobs = await finding.batch_of(batch_id, owner)
    progress = views.batch_progress(batch_id, jobs)
    return BatchStatus(**progress.model_dump(), uploads=[views.status_view(job) for job in jobs])


@router.get(
    "/batch/{batch_id}/events",
    status_code=200,
    response_class=Response,
    responses={
        **_REFUSALS,
        200: {
            "content": {"text/event-stream": {}},
            "description": "`progress` events, and `done` when all are over.",
        },
    },
)
async def batch_events(batch_id: str, owner: Asker) -> Response:
    """Stream how far several files are as server-sent events, until all are over."""
    return batches.stream(batch_id, await finding.batch_of(batch_id, owner))
