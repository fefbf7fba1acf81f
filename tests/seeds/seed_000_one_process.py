"""Seed 000's application with a worker inside: `uvicorn seed_000_one_process:site`.

The tests copy the seed's code to `app.py`, the name that it has there.
"""

from app import app, queue  # type: ignore[import-not-found]  # made by the test
from fastapi import FastAPI

from offload.fastapi import lifespan

site = FastAPI(lifespan=lifespan(queue, worker=True))
site.mount("/", app)
