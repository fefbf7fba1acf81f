"""Tasks that a client names, on Redis: `POST /tasks`, then `GET /tasks/{id}`.

What is often done otherwise, and why not here:

- A list in Redis and a loop that pops it. What a worker has popped when it dies is gone. Here a job
  stays in the store until its end is stored, and the next worker takes it over.
- The status is written by whoever comes last: the request after the push, or the worker that had
  taken it already. Here the store keeps it, in the same step as the job.
- Records stay for ever. Here `result_ttl` ends them.
- Whatever name the client sends is looked up somewhere. Here there are the registered tasks, and
  their arguments are checked before anything is stored.

`QUEUE_URL` is where the jobs live: `redis://…`, `postgresql://…`, or a file. They run here, or with
`WORKER=0` only in `offload worker --app examples.anytask:queue`, on as many machines as you like.
"""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from offload import ArgumentError, Queue, TaskNotRegistered
from offload.fastapi import lifespan

queue = Queue(os.environ.get("QUEUE_URL", "anytask.db"), result_ttl=24 * 3600)
app = FastAPI(
    title="Any task", lifespan=lifespan(queue, worker=os.environ.get("WORKER", "1") == "1", grace=5)
)

SPELLED = {
    "running": "processing",
    "complete": "completed",
    "failed": "failed",
    "dead": "failed",
}
"""This service's words for the states of a job; the others are as they are."""


class Accepted(BaseModel):
    task_id: str


class Standing(BaseModel):
    id: str
    type: str
    status: str
    result: Any = None
    error: str | None = None


@queue.task(name="count_words")
def count_words(text: str) -> int:
    return len(text.split())


@queue.task(name="divide", max_retries=0)
async def divide(above: float, below: float) -> float:
    return above / below


@app.post("/tasks", status_code=202)
async def create_task(task_type: str, payload: dict[str, Any]) -> Accepted:
    try:
        job = await queue.aenqueue(task_type, **payload)
    except TaskNotRegistered:
        raise HTTPException(404, f"There is no task {task_type!r}") from None
    except ArgumentError as error:
        raise HTTPException(422, str(error)) from None
    return Accepted(task_id=job.id)


@app.get("/tasks/{task_id}")
async def get_task(task_id: str) -> Standing:
    job = await queue.aget_job(task_id)
    if job is None:
        raise HTTPException(404, "No such task")
    result = await job.aresult(timeout=0) if job.status == "complete" else None
    status = SPELLED.get(job.status, job.status)
    return Standing(id=job.id, type=job.task_name, status=status, result=result, error=job.error)


if __name__ == "__main__":
    uvicorn.run(app)
