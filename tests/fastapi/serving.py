"""A real server on a loopback port, in a thread of the test, and what its clients read."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Literal

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from offload import JobHandle, Queue, Task, current_job
from offload.fastapi import QueueRouter, lifespan

Command = int | None | Exception


@contextlib.contextmanager
def served(app: ASGIApp, *, ws: Literal["none", "websockets-sansio"] = "none") -> Iterator[str]:
    """Serve `app` and yield the server's address.

    The socket listens before the server runs, so a client that comes early waits in its
    backlog: nobody has to ask whether the server is up.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="on", ws=ws, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def client_of(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application whose router is mounted at /tasks, and yield a client for that."""
    with (
        served(app) as address,
        httpx.Client(base_url=f"{address}/tasks", timeout=20) as client,
    ):
        yield client


@dataclass
class Site:
    """An application with a queue whose one task does what a test tells it to."""

    queue: Queue
    commands: "SimpleQueue[Command]" = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self.work: Task[[], str, str] = self.queue.task(name="work", max_retries=0)(self._work)

    def _work(self) -> str:
        """Report each number, raise each error, end at None."""
        while (command := self.commands.get()) is not None:
            if isinstance(command, Exception):
                raise command
            current_job.update_progress(command)
        return "done"

    def app(self, *, worker: bool = False, **options: Any) -> FastAPI:
        app = FastAPI(lifespan=lifespan(self.queue, worker=worker, grace=5))
        app.include_router(QueueRouter(self.queue, **options), prefix="/tasks")
        return app

    @contextlib.contextmanager
    def client(self, *, worker: bool = False, **options: Any) -> Iterator[httpx.Client]:
        with client_of(self.app(worker=worker, **options)) as client:
            try:
                yield client
            finally:
                self.commands.put(None)  # a job that still waits would hold the worker's end

    def ended(self, outcome: Command = None) -> JobHandle[str]:
        """Enqueue a job and say at once how it is to end."""
        self.commands.put(outcome)
        return self.work.delay()


@dataclass(frozen=True)
class Event:
    """A server-sent event, or with no id and no data a comment."""

    id: int | None = None
    data: dict[str, Any] | None = None
    comment: str | None = None
    part: int | None = None
    """What stands behind the version in an id of a stream with partial results."""

    @property
    def full_id(self) -> str:
        return f"{self.id}" if self.part is None else f"{self.id}-{self.part}"

    @property
    def progress(self) -> Any:
        return self.data and self.data["progress"]

    @property
    def status(self) -> Any:
        return self.data and self.data["status"]


def parse(block: list[str]) -> Event:
    """Return the event of one block; a block of another form fails the test."""
    match block:
        case [comment] if comment.startswith(":"):
            return Event(comment=comment)
        case [number, data] if number.startswith("id: ") and data.startswith("data: "):
            version, _, part = number[4:].partition("-")
            return Event(int(version), json.loads(data[6:]), part=int(part) if part else None)
        case _:
            raise AssertionError(f"not an event of ours: {block}")


def events(response: httpx.Response) -> Iterator[Event]:
    """Yield what comes until the server ends the stream."""
    block: list[str] = []
    for line in response.iter_lines():
        if line:
            block.append(line)
        else:
            yield parse(block)
            block = []
    assert not block, "the stream broke off in the middle of an event"


def until(stream: Iterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """Read on to the first event that is wanted."""
    return next(event for event in stream if wanted(event))
