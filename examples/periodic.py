"""Work by the clock: a clean-up at midnight, a report at nine, and either one now, by hand.

What is often done otherwise, and why not here:

- The scheduler is another package with a start and a stop. Here schedules live as long as the
  application.
- A trigger by hand sets the next run to `datetime.now()`: in another time zone it runs hours later
  or never, a paused schedule comes back to life, and a second click is lost. Here `trigger` runs
  once, now, changes nothing, and says so if a run is still going on (409).
- A run that is due while the process was busy for more than a second is dropped. Here it runs late.
- Four server processes send four reports. Here `scope="cluster"` lets one of them do it.
- The sessions' times are compared with the database's local `NOW()`. Here they are Unix seconds.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from examples.database import Database
from examples.standins import StandIns
from offload import Queue, ScheduleNotFound
from offload.fastapi import RetryPolicy, TaskRefused, add_tasks, lifespan as queue_lifespan

TOKEN = os.environ.get("ADMIN_TOKEN") or secrets.token_urlsafe()

outside = StandIns()
queue = Queue(db_path="periodic-queue.db")  # whose lock says which process has the lead
database = Database(
    "periodic.db",
    """
    CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, expires REAL);
    INSERT INTO sessions VALUES (1, 0), (2, 4102444800) ON CONFLICT DO NOTHING;
    """,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create)
    async with outside, queue_lifespan(queue)(app):
        yield


app = FastAPI(title="Periodic", lifespan=lifespan)
background = add_tasks(app, queue=queue)


@background.cron("@daily", name="cleanup_sessions")  # each process may: twice does no harm
def clean_up_sessions() -> None:
    with database.transaction() as db:
        db.execute("DELETE FROM sessions WHERE expires < ?", (time.time(),))


@background.cron(
    "0 9 * * *",
    tz="Europe/Berlin",
    name="daily_report",
    scope="cluster",
    retry=RetryPolicy(max_retries=3, backoff=0.5),
)
async def send_daily_report(scheduled_at: datetime) -> None:
    sessions = await asyncio.to_thread(count_sessions)
    report = {"to": "admin@example.com", "day": f"{scheduled_at:%Y-%m-%d}", "sessions": sessions}
    await outside.http.post("/email/send", json=report)


def count_sessions() -> int:
    with database.transaction() as db:
        return int(db.execute("SELECT count(*) FROM sessions").fetchone()[0])


# --- operators ------------------------------------------------------------------------------


def check_admin(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
    if not secrets.compare_digest(given.credentials.encode(), TOKEN.encode()):
        raise HTTPException(401, "Wrong token", {"WWW-Authenticate": "Bearer"})


class Triggered(BaseModel):
    message: str
    task_id: str


class Schedule(BaseModel):
    name: str
    description: str
    next_run: datetime | None


@app.post("/admin/trigger/{job_id}", status_code=202, dependencies=[Depends(check_admin)])
async def trigger_job(job_id: str) -> Triggered:
    try:
        task = background.trigger(job_id)
    except ScheduleNotFound as error:
        raise HTTPException(404, "Job not found") from error
    except TaskRefused as error:
        raise HTTPException(409, str(error)) from error
    return Triggered(message=f"Job {job_id} triggered", task_id=task.id)


@app.get("/admin/schedules", dependencies=[Depends(check_admin)])
async def show_schedules() -> list[Schedule]:
    return [
        Schedule(name=each.name, description=each.description, next_run=each.next_run)
        for each in background.schedules()
    ]


if __name__ == "__main__":
    print(f"token: {TOKEN}")  # noqa: T201 - whoever tries the example needs it
    uvicorn.run(app)
