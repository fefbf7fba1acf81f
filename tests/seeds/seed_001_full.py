# Seed 001's "Full Example", word for word except for its import lines; the seed's text has
# lost its indentation. `do_resize` is the reader's, the test puts it in. Its author's style
# is part of it:
# fmt: off
# ruff: noqa: ANN201, F821, I001
# mypy: ignore-errors

from fastapi import FastAPI, Header, HTTPException, Depends
from offload import Queue, current_job
from offload.fastapi import QueueRouter as TaskitoRouter

queue = Queue(db_path="myapp.db")

@queue.task()
def resize_image(image_url: str, sizes: list[int]) -> dict:
    results = {}
    for i, size in enumerate(sizes):
        results[size] = do_resize(image_url, size)
        current_job.update_progress(int((i + 1) / len(sizes) * 100))
    return results

async def require_auth(authorization: str = Header(...)):
    if not authorization.startswith("Bearer "):
        raise HTTPException(401)

app = FastAPI(title="Image Service")
app.include_router(
    TaskitoRouter(queue, dependencies=[Depends(require_auth)]),
    prefix="/tasks",
    tags=["tasks"],
)

# Start worker in a separate process:
# offload worker --app myapp:queue
