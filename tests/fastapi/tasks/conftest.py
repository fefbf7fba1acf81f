"""An application with request tasks, and who drives it."""

import pytest
from fastapi import FastAPI

from offload.fastapi import add_tasks
from tests.fastapi.tasks.driving import Drive


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    add_tasks(app)
    return app


@pytest.fixture
def drive(app: FastAPI) -> Drive:
    return Drive(app)
