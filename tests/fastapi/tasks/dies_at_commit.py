"""Serves a request whose process is killed when its session has committed: `QUEUE DATABASE`."""

import os
import signal
import sys

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from offload import Queue
from offload.fastapi import Tasks, add_tasks

queue = Queue(db_path=sys.argv[1])
engine = create_engine(f"sqlite:///{sys.argv[2]}")
queue.outbox(engine, relay=False)
app = FastAPI()
add_tasks(app)


@queue.task(name="work")
def work() -> None: ...


@app.get("/")
def endpoint(tasks: Tasks) -> None:
    with Session(engine) as session:
        event.listen(session, "after_commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        session.execute(text("CREATE TABLE orders (id INTEGER)"))
        tasks.on_commit(session).schedule(work)
        session.commit()


TestClient(app).get("/")
