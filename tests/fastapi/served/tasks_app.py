"""What the servers of these tests serve: request tasks that do what a test tells them to.

Each task calls the test up, says its name and process, and hears what to do: see `Lines`.
"""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI

from offload import Queue
from offload.fastapi import Tasks, add_tasks, get_tasks

LINES = ("127.0.0.1", int(os.environ["LINES"]))

queue = Queue(db_path="jobs.db")
database: sqlite3.Connection | None = None
"""The application's own, opened and closed by its lifespan."""
released = asyncio.Event()


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    global database  # noqa: PLW0603 - one that is closed too early must be seen by all tasks
    database = sqlite3.connect("app.db", isolation_level=None)
    # Nobody cuts the power here, and thousands of effects would each wait for the disk.
    database.execute("PRAGMA synchronous=OFF")
    database.execute("CREATE TABLE IF NOT EXISTS effects (name TEXT)")
    yield
    database.close()


app = FastAPI(lifespan=lifespan)
tasks = add_tasks(app, queue=queue, **json.loads(os.environ.get("LIMITS", "{}")))


class Line:
    """A task's side of its line to the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, word: str) -> None:
        self._writer.write(f"{word}\n".encode())
        await self._writer.drain()

    async def hear(self) -> str:
        return (await self._reader.readline()).decode().strip()


@contextlib.asynccontextmanager
async def line(name: str) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection(*LINES)
    try:
        mine = Line(reader, writer)
        await mine.say(f"{name} {os.getpid()}")
        yield mine
    finally:
        writer.close()


def note(name: str) -> str:
    """Write an effect into the application's database, and say how that went."""
    assert database is not None
    try:
        database.execute("INSERT INTO effects VALUES (?)", [name])
    except sqlite3.Error as error:
        return str(error)
    return "written"


async def writes(name: str) -> None:
    """Write when told to."""
    async with line(name) as mine:
        try:
            if await mine.hear():
                await mine.say(note(name))
        except asyncio.CancelledError:
            await mine.say("cancelled")
            raise


async def swallows(name: str) -> None:
    """Go on when it is cancelled."""
    async with line(name) as mine:
        while True:
            try:
                await mine.hear()
            except asyncio.CancelledError:
                await mine.say("cancelled, and goes on")
                break
        await mine.hear()


def thread(name: str) -> None:
    """Hold a thread until told."""
    with socket.create_connection(LINES) as mine, mine.makefile("rw") as file:
        file.write(f"{name} {os.getpid()}\n")
        file.flush()
        file.readline()


@queue.task
async def durable(name: str) -> None:
    """As `writes`, and may become a job."""
    await writes(name)


async def waits(name: str) -> None:
    """Write when all are released; say nothing, so that thousands may run."""
    await released.wait()
    note(name)


@queue.task
async def spills(name: str) -> None:
    """As `waits`, and may become a job."""
    await waits(name)


async def on_error(*_: Any) -> None:
    """Fail as a handler that was never tried."""
    raise NameError("send_slack_alert")


async def breaks(name: str) -> None:
    raise ValueError(name)


async def cancels_itself(name: str) -> None:
    raise asyncio.CancelledError(name)


async def exits(name: str) -> None:
    raise SystemExit(name)


def exits_in_thread(name: str) -> None:
    raise SystemExit(name)


WORK: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        writes,
        waits,
        swallows,
        thread,
        breaks,
        cancels_itself,
        exits,
        exits_in_thread,
    )
} | {"durable": durable, "spills": spills}


@app.post("/start/{mode}/{work}")
async def start(tasks: Tasks, mode: str, work: str, options: str = "{}") -> str:
    """Schedule a task, under the name of its function."""
    scheduler = {
        "now": tasks,
        "after_route": tasks.after_route,
        "after_response": tasks.after_response,
    }[mode]
    said = json.loads(options)
    if said.pop("handled", False):
        said["on_error"] = on_error
    return scheduler.task(**said).schedule(WORK[work], work).id


@app.post("/hold")
async def hold(tasks: Tasks) -> None:
    """Be in flight until told, and schedule then."""
    tasks.after_response.task(when="always").schedule(writes, "scheduled before")
    async with line("endpoint") as mine:
        await mine.hear()
    tasks.after_response.schedule(writes, "scheduled last")


@app.post("/release")
async def release() -> dict[str, Any]:
    """Let all end, and return the numbers when they have."""
    released.set()
    for task in get_tasks(app).all():
        await task.wait()
    return await stats()


@app.get("/stats")
async def stats() -> dict[str, Any]:
    said = get_tasks(app).stats()
    return {"active": said.active, "pending": said.pending, "ended": said.ended}


@app.get("/tasks/{task_id}")
async def look(tasks: Tasks, task_id: str) -> str:
    """Say how a task has ended, once it has."""
    return str(await tasks.wait(task_id))


@app.get("/memory")
async def memory() -> int:
    """Return the resident memory of this process in MiB."""
    with open("/proc/self/statm") as file:  # noqa: ASYNC230, PTH123 - the kernel's, not a disk's
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20
