# Seed 001's "Custom Tags and Dependencies", word for word except for its import lines, to
# which the queue of "Quick Setup" was added; the seed's text has lost its indentation. Its
# author's style is part of it:
# fmt: off
# ruff: noqa: ANN201, I001
# mypy: ignore-errors

from fastapi import Depends, FastAPI, Header, HTTPException
from offload.fastapi import QueueRouter as TaskitoRouter
from tests.seeds.seed_001_quick import queue

async def verify_api_key(x_api_key: str = Header(...)):
    if x_api_key != "secret":
        raise HTTPException(status_code=401, detail="Invalid API key")

app = FastAPI()
router = TaskitoRouter(
    queue,
    tags=["task-queue"],                        # OpenAPI tags
    dependencies=[Depends(verify_api_key)],     # Applied to all endpoints
)
app.include_router(router, prefix="/tasks")
