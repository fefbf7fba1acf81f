"""Long work as jobs of a queue: they survive a crash, and other processes may run them.

What is often done otherwise, and why not here:

- A broker, a result store and a worker beside the application, only to transcode a video. Here the
  queue is a file, until `QUEUE_URL` says otherwise, and the worker is in this process or in others:
  `offload worker --app examples.videos:queue`, with `WORKER=0` for this one.
- Any id has a status: Celery says PENDING of tasks that never were. Here they are 404.
- Two clicks transcode twice. Here a video has one unfinished job (`unique_key`).
- Any id can be named by a client, and its result read. Here ids cannot be guessed; a real service
  checks whose video it is, too.
"""

import os
import time

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from offload import Queue, current_job
from offload.fastapi import lifespan

# A file, or `postgresql://…`, or `redis://…`: nothing else in here changes.
queue = Queue(os.environ.get("QUEUE_URL", "videos.db"), result_ttl=7 * 24 * 3600)
app = FastAPI(
    title="Videos", lifespan=lifespan(queue, worker=os.environ.get("WORKER", "1") == "1", grace=5)
)


class Processed(BaseModel):
    video_id: int
    frames: int


class Queued(BaseModel):
    task_id: str
    status: str = "queued"


class Standing(BaseModel):
    task_id: str
    status: str
    progress: int = Field(ge=0, le=100)
    result: Processed | None = None
    error: str | None = None


@queue.task(name="process_video", timeout=600, max_retries=2)
def process_video(video_id: int) -> Processed:
    frames = 0
    for part in range(4):
        frames += transcode(video_id, part)
        current_job.update_progress(25 * (part + 1))
    return Processed(video_id=video_id, frames=frames)


@app.post("/videos/{video_id}/process", status_code=202)
async def start_processing(video_id: int) -> Queued:
    job = await process_video.aapply_async(args=(video_id,), unique_key=f"video-{video_id}")
    return Queued(task_id=job.id)


@app.get("/tasks/{task_id}")
async def show_task(task_id: str) -> Standing:
    job = await queue.aget_job(task_id)
    if job is None:
        raise HTTPException(404, "No such task")
    result = await job.aresult(timeout=0) if job.status == "complete" else None
    return Standing(
        task_id=job.id, status=job.status, progress=job.progress, result=result, error=job.error
    )


def transcode(_video_id: int, _part: int) -> int:
    """Return how many frames there were; here the work is only a wait."""
    time.sleep(0.05)
    return 250


if __name__ == "__main__":
    uvicorn.run(app)
