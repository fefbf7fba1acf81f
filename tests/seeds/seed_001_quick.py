# Seed 001's "Quick Setup", word for word except for its import lines; the seed's text has
# lost its indentation. Its author's style is part of it:
# fmt: off
# ruff: noqa: I001
# mypy: ignore-errors

from fastapi import FastAPI
from offload import Queue
from offload.fastapi import QueueRouter as TaskitoRouter

queue = Queue(db_path="myapp.db")

@queue.task()
def process_data(payload: dict) -> str:
    return "done"

app = FastAPI()
app.include_router(TaskitoRouter(queue), prefix="/tasks")
