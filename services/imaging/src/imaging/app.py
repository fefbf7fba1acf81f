"""The application: ``uvicorn imaging.app:app``.  What a worker imports is `imaging.work`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from imaging import api, errors, handlers
from imaging.guard import Guard
from imaging.metrics import Requests
from imaging.settings import settings
from imaging.work import queue
from offload.fastapi import QueueRouter, lifespan

__all__ = ["app", "queue"]

# Ctrl-C ends within seconds: a picture that takes longer is given back and done later.
_GRACE_SECONDS = 2.0
_STATIC = Path(__file__).parent / "static"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with lifespan(queue, worker=settings().worker, grace=_GRACE_SECONDS)(app):
        yield


app = FastAPI(
    title="imaging",
    summary="Upload a picture; it is resized, compressed and thumbnailed in the background.",
    lifespan=_lifespan,
)
handlers.install(app)
app.add_middleware(Guard)
app.add_middleware(Requests)
app.include_router(api.router)
if not settings().keys:
    # It shows every job to whoever knows its id, so not where owners are kept apart.
    responses = errors.problems("invalid_request")
    app.include_router(QueueRouter(queue), prefix="/tasks", responses=responses)
app.mount("/static", StaticFiles(directory=_STATIC), name="static")


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Show the page."""
    return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})
