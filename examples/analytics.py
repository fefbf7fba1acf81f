"""Events that are sent in batches; while the analytics service is away, a database keeps them.

What is often done otherwise, and why not here:

- A batch is sent when it is full, and only then: the last events of the day wait for tomorrow. Here
  `every` sends what there is, and so does the end of the process.
- What the database has kept stays there. Here it is sent when the service is back.
- The buffer is emptied first, and its events are lost if the task is refused. Here it is emptied
  afterwards; no lock is needed, for nothing is awaited between the two.
- Times are naive. Here they carry their zone.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from examples.database import Database
from examples.standins import StandIns
from offload.fastapi import RetryPolicy, Task, Tasks, add_tasks

FULL = 10
"""So many events are sent at once."""
SOON = 5.0
"""Seconds after which those are sent that make no full batch."""
Events = list[dict[str, Any]]

outside = StandIns()
buffer: Events = []
database = Database("analytics.db", "CREATE TABLE IF NOT EXISTS kept (event TEXT);")


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create)
    async with outside:
        yield
        with contextlib.suppress(httpx.HTTPError):  # then they are kept
            await flush()


app = FastAPI(title="Analytics", lifespan=lifespan)
background = add_tasks(app)


class Event(BaseModel):
    event: str = Field(min_length=1, max_length=100)
    user_id: int
    properties: dict[str, str | int | float | bool] = Field(default={}, max_length=50)


class Tracked(BaseModel):
    status: str = "tracked"


@app.post("/track", status_code=202)
async def track(event: Event, tasks: Tasks) -> Tracked:
    buffer.append({**event.model_dump(), "at": datetime.now(UTC).isoformat()})
    if len(buffer) >= FULL:
        retry = RetryPolicy(max_retries=1, backoff=0.2)
        tasks.task(name="batch", retry=retry, on_error=keep).schedule(send, buffer.copy())
        buffer.clear()
    return Tracked()


@background.every(seconds=SOON, name="flush")
async def flush() -> None:
    """Send what makes no full batch, and what was kept while the service was away."""
    waiting = buffer.copy()
    buffer.clear()
    await asyncio.to_thread(store, waiting)
    last, kept = await asyncio.to_thread(load)
    if kept:
        await send(kept)
        await asyncio.to_thread(forget, last)


async def send(events: Events) -> None:
    await outside.http.post("/analytics/batch", json={"events": events})


async def keep(task: Task[Any], _error: Exception) -> None:
    """Keep a batch that could not be sent; if that fails, too, people must know."""
    events: Events = task.args[0]
    try:
        await asyncio.to_thread(store, events)
    except sqlite3.Error as error:
        text = f"{len(events)} events are lost: {type(error).__name__}"
        await outside.http.post("/chat/alert", json={"text": text})


def store(events: Events) -> None:
    with database.transaction() as db:
        db.executemany("INSERT INTO kept VALUES (?)", [(json.dumps(event),) for event in events])


def load() -> tuple[int, Events]:
    with database.transaction() as db:
        rows = db.execute("SELECT rowid, event FROM kept ORDER BY rowid LIMIT 1000").fetchall()
    return (rows[-1]["rowid"] if rows else 0), [json.loads(row["event"]) for row in rows]


def forget(last: int) -> None:
    with database.transaction() as db:
        db.execute("DELETE FROM kept WHERE rowid <= ?", (last,))


if __name__ == "__main__":
    uvicorn.run(app)
