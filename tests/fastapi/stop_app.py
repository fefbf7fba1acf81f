"""Applications for `test_stopping.py`, each started by a server process of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, FastAPI, Request

from offload import Queue
from offload.fastapi import QueueRouter, lifespan

queue = Queue(db_path="jobs.db")
extra = APIRouter()
asked_for_result = asyncio.Event()


@queue.task
def never() -> None: ...


@extra.post("/enqueue")
async def enqueue() -> str:
    return (await never.aapply_async(delay=3600)).id


@extra.get("/asked")
async def asked() -> bool:
    """Answer when somebody has asked for a result."""
    return await asked_for_result.wait()


async def note(request: Request) -> None:
    if request.url.path.endswith("/result"):
        asked_for_result.set()


@contextlib.asynccontextmanager
async def own(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"theirs": "kept"}


def site(app: FastAPI) -> FastAPI:
    app.include_router(extra)
    app.include_router(QueueRouter(queue), prefix="/tasks", dependencies=[Depends(note)])
    return app


# As in the seeds: the router, and nothing else.
bare = site(FastAPI())
own_lifespan = site(FastAPI(lifespan=own))
with_worker = site(FastAPI(lifespan=lifespan(queue, worker=True)))
# Nobody runs the lifespan of a mounted application: its streams listen for themselves.
mounted = FastAPI()
mounted.mount("/", site(FastAPI()))
