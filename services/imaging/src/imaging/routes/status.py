"""Where one upload stands, and what has come of it."""

from fastapi import APIRouter, Request, Response

from imaging import finding, views
from imaging.errors import problems
from imaging.jobs import manifest_of, queue
from imaging.owners import Asker
from imaging.schemas import Result, Status, UploadStatus
from offload.fastapi import job_events

_REFUSALS = problems("unauthorized", "not_found", "queue_unavailable", "storage_unavailable")

router = APIRouter()


@router.get("/upload/{upload_id}/status", responses=_REFUSALS)
async def status(upload_id: str, owner: Asker) -> Status:
    """Say where an upload stands: PENDING, PROGRESS, then SUCCESS, FAILURE or REVOKED."""
    return views.status_view(await finding.find(upload_id, owner))


@router.get(
    "/upload/{upload_id}/result",
    response_model_exclude_unset=True,
    responses={**_REFUSALS, 202: {"model": Result, "description": "It is not over yet."}},
)
async def result(upload_id: str, owner: Asker, response: Response) -> Result:
    """Give the addresses of the outputs; 202 with a null result until there are any."""
    job = await finding.find(upload_id, owner)
    state = views.status_of(job)
    if state is UploadStatus.FAILURE:
        return Result(status=state, result=None, error=views.problem_of(job))
    if found := await manifest_of(job):
        outputs = views.variants(job, found)
        return Result(status=state, result=views.links(job), variants=outputs, manifest=found)
    if state in views.UNFINISHED:
        response.status_code = 202
    return Result(status=state, result=None)


@router.get(
    "/upload/{upload_id}/events",
    status_code=200,
    response_class=Response,
    responses={
        **_REFUSALS,
        200: {"content": {"text/event-stream": {}}, "description": "Progress, until the end."},
        204: {"description": "The client has seen the end."},
    },
)
async def events(upload_id: str, owner: Asker, request: Request) -> Response:
    """Stream progress as server-sent events until the upload is done."""
    job = await finding.find(upload_id, owner)
    return await job_events(queue, job.id, request)
