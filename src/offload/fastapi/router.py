"""`QueueRouter`: a queue's routes, to include in any application."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute

from offload.core.errors import StoreError
from offload.fastapi.cross_site import refuse_cross_site
from offload.fastapi.endpoints import JobEndpoints
from offload.fastapi.operators import OperatorEndpoints
from offload.fastapi.paging import PageSize
from offload.fastapi.records import RecordEndpoints
from offload.fastapi.schemas import ErrorResponse
from offload.fastapi.sse import EventStream
from offload.fastapi.steering import SteeringEndpoints
from offload.fastapi.stopping import STOPPING
from offload.queue import Queue

_Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse}}
_UNFIT: dict[int | str, dict[str, Any]] = {**_UNKNOWN, 409: {"model": ErrorResponse}}
_UNREADY: dict[int | str, dict[str, Any]] = {503: {"model": ErrorResponse}}
_STREAM: dict[int | str, dict[str, Any]] = {
    204: {"description": "The client has seen the job's last state"},
    # A `model` would be shown as the route's own type, an event stream.
    404: {
        "description": "Not Found",
        "content": {"application/json": {"schema": ErrorResponse.model_json_schema()}},
    },
}

_logger = logging.getLogger("offload.fastapi")


class StoreRoute(APIRoute):
    """A route that answers 503 in JSON when the store cannot do what was asked."""

    def get_route_handler(self) -> _Handler:
        """Return FastAPI's handler with that answer in place of a bare 500."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except StoreError:
                _logger.exception("%s: the store failed", request.url.path)
                raise HTTPException(503, "The job store cannot answer now") from None

        return guarded


class QueueRouter(APIRouter):
    """Job status, results, progress, cancellation and dead letters of one queue, over HTTP.

    `app.include_router(QueueRouter(queue), prefix="/tasks")`. Whoever can reach the routes
    can read every job whose id they know and retry every dead letter: give `dependencies`
    that check who asks. The operator's routes (all jobs and what is kept of them, replays, many
    dead letters at once, schedules, queues, workers, numbers, health) are mounted with
    `dependencies`, unless `operator` says otherwise. What changes something is refused to
    pages of other sites, unless `cross_site` says that they may. Every other option is
    APIRouter's.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        dependencies: Sequence[Dependency] | None = None,
        tags: list[str | Enum] | None = None,
        operator: bool | None = None,
        cross_site: bool = False,
        default_page_size: int = 20,
        max_page_size: int = 100,
        **options: Any,
    ) -> None:
        page = PageSize(default_page_size, max_page_size)
        options.setdefault("route_class", StoreRoute)
        options["lifespan"] = _listening(options.get("lifespan"))
        tags = ["tasks"] if tags is None else tags
        guards = [] if cross_site else [Depends(refuse_cross_site)]
        super().__init__(dependencies=[*guards, *(dependencies or ())], tags=tags, **options)
        self._add_jobs(JobEndpoints(queue), page)
        if bool(dependencies) if operator is None else operator:
            self._add_operators(OperatorEndpoints(queue), page)
            self._add_records(RecordEndpoints(queue))
            self._add_steering(SteeringEndpoints(queue))

    def _add_jobs(self, to: JobEndpoints, page: PageSize) -> None:
        self.get("/stats", name="stats")(to.stats)
        job = "/jobs/{job_id}"
        self.get(job, name="job", responses=_UNKNOWN)(to.job)
        self.get(f"{job}/errors", name="job_errors", responses=_UNKNOWN)(to.errors)
        self.get(f"{job}/result", name="job_result", responses=_UNKNOWN)(to.result)
        self.get(
            f"{job}/progress",
            name="job_progress",
            status_code=200,  # OpenAPI would look for a default in EventStream's signature
            response_class=EventStream,
            responses=_STREAM,
        )(to.progress)
        self.post(f"{job}/cancel", name="cancel_job", responses=_UNKNOWN)(to.cancel)
        self.get("/dead-letters", name="dead_letters")(to.dead_letters(page))
        retry = "/dead-letters/{dead_id}/retry"
        self.post(retry, name="retry_dead", responses=_UNKNOWN)(to.retry)

    def _add_operators(self, to: OperatorEndpoints, page: PageSize) -> None:
        self.get("/jobs", name="jobs")(to.jobs(page))
        self.get("/workers", name="workers")(to.workers)
        self.get("/health", name="health")(to.health)
        self.get("/readiness", name="readiness", responses=_UNREADY)(to.readiness)

    def _add_records(self, to: RecordEndpoints) -> None:
        job = "/jobs/{job_id}"
        self.get(f"{job}/logs", name="job_logs", responses=_UNKNOWN)(to.logs)
        self.get(f"{job}/parts", name="job_parts", responses=_UNKNOWN)(to.parts)
        self.get(f"{job}/family", name="job_family", responses=_UNKNOWN)(to.family)
        self.get("/metrics", name="metrics")(to.metrics)

    def _add_steering(self, to: SteeringEndpoints) -> None:
        self.post("/jobs/{job_id}/replay", name="replay_job", responses=_UNFIT)(to.replay)
        self.post("/dead-letters/retry", name="retry_many_dead")(to.retry_many)
        self.post("/dead-letters/purge", name="purge_dead")(to.purge_dead)
        self.get("/schedules", name="schedules")(to.schedules)
        schedule = "/schedules/{name:path}"  # a name may have slashes
        self.post(f"{schedule}/trigger", name="trigger", responses=_UNFIT)(to.trigger)
        self.post(f"{schedule}/pause", name="pause_schedule", responses=_UNKNOWN)(to.pause_schedule)
        resumed = self.post(f"{schedule}/resume", name="resume_schedule", responses=_UNKNOWN)
        resumed(to.resume_schedule)
        self.get("/queues", name="queues")(to.queues)
        self.post("/queues/{name:path}/pause", name="pause_queue")(to.pause)
        self.post("/queues/{name:path}/resume", name="resume_queue")(to.resume)


def _listening(inner: _Lifespan | None) -> _Lifespan:
    """Return a lifespan that hears of the server's stop for as long as `inner` lasts."""

    @contextlib.asynccontextmanager
    async def listening(app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
        with STOPPING.watched():
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state

    return listening
