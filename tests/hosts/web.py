"""A web process: `python -m tests.hosts.web ADDRESS`. It says its port when it listens."""

import functools
import inspect
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

from offload.fastapi import QueueRouter, lifespan
from tests.hosts.app import HOST, queue, tell
from tests.worker.app import say

asked: Counter[str] = Counter()
"""What this process has asked the store for."""

app = FastAPI(lifespan=lifespan(queue, worker=False))
app.include_router(QueueRouter(queue), prefix="/tasks")


@app.post("/tell")
async def start(times: int) -> str:
    """Enqueue a job that reports so often."""
    return (await tell.adelay(times)).id


@app.get("/asked")
async def how_often() -> dict[str, int]:
    """Say how often the store was asked for what."""
    return dict(asked)


def counted(name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Count the calls of a method."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        asked[name] += 1
        return await method(*args, **kwargs)

    return call


def count() -> None:
    """Count all that the store is asked for; to wait for news asks for nothing."""
    store = queue._client.store  # noqa: SLF001 - programs cannot see it
    for name, method in inspect.getmembers(store, inspect.iscoroutinefunction):
        if not name.startswith("_") and name != "wait":
            setattr(store, name, counted(name, method))


if __name__ == "__main__":
    count()
    with socket.create_server((sys.argv[1], 0)) as listening:
        say("listens", HOST, listening.getsockname()[1])
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listening])
