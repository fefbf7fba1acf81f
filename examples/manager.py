"""Long coroutines under ids of one's own: start one, ask how it goes, cancel it.

What is often done otherwise, and why not here:

- A dictionary of `asyncio.Task`s: results stay for ever, a cancelled task is "not found", one that
  is cancelled before its first step "runs" for ever, and a shutdown kills all. `TaskManager` with
  `get_tasks(app)` has the limits of the application, and its shutdown waits.
- `start` is given a coroutine, which complains if it is refused. Here it is given the function and
  its arguments; both work.
"""

import asyncio
import math
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from offload.fastapi import TaskManager, add_tasks

app = FastAPI(title="Task manager")
task_manager = TaskManager(add_tasks(app, max_concurrency=20, max_pending=100))


class ProcessRequest(BaseModel):
    numbers: list[float] = Field(min_length=1, max_length=1000)
    pause: float = Field(0.0, ge=0, le=60)
    """Seconds that each number takes."""


class Started(BaseModel):
    task_id: str


@app.post("/process", status_code=202)
async def start_processing(data: ProcessRequest) -> Started:
    task_id = await task_manager.start(str(uuid4()), heavy_processing, data)
    return Started(task_id=task_id)


@app.get("/process/{task_id}")
async def show_status(task_id: str) -> dict[str, Any]:
    status = task_manager.get_status(task_id)
    if status["status"] == "not_found":
        raise HTTPException(404, "No such task, or it ended long ago")
    return status


@app.delete("/process/{task_id}", status_code=202)
async def cancel(task_id: str) -> dict[str, bool]:
    return {"cancelled": await task_manager.cancel(task_id)}


async def heavy_processing(data: ProcessRequest) -> float:
    total = 0.0
    for number in data.numbers:
        await asyncio.sleep(data.pause)
        total += math.sqrt(number)
    return total


if __name__ == "__main__":
    uvicorn.run(app)
