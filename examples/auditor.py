"""An auditor that endpoints ask for: what was done, and by whom, is written after the response.

What is often done otherwise, and why not here:

- The entry is written although the deed failed. Here `when="success"` drops it then.
- The dependency is typed `Callable`. Here it has a name and types, so that a wrong call is found
  before it happens.
- Anybody may delete. Here a token says who acts, and is compared in constant time.
- What must never be missing (accounts, medicine) belongs into the transaction of the deed itself,
  not into a task: a crash between the two loses the entry.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from examples.database import Database
from offload.fastapi import Tasks, add_tasks

TOKEN = os.environ.get("ADMIN_TOKEN") or secrets.token_urlsafe()
ADMIN = 1
"""The user whose token it is."""

database = Database(
    "auditor.db",
    """
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS audit_log (action TEXT, subject INTEGER, user_id INTEGER);
    INSERT INTO users VALUES (1), (2), (3) ON CONFLICT DO NOTHING;
    """,
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create)
    yield


app = FastAPI(title="Auditor", lifespan=lifespan)
add_tasks(app)


def current_user(
    given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> int:
    if not secrets.compare_digest(given.credentials.encode(), TOKEN.encode()):
        raise HTTPException(401, "Wrong token", {"WWW-Authenticate": "Bearer"})
    return ADMIN


CurrentUser = Annotated[int, Depends(current_user)]


class Auditing:
    """Writes down what the current user does, once it is done."""

    def __init__(self, tasks: Tasks, user: CurrentUser) -> None:
        self._later = tasks.after_response.task(name="audit", when="success", retry=3)
        self._user = user

    def log(self, action: str, subject: int) -> None:
        self._later.schedule(write_entry, action, subject, self._user)


Auditor = Annotated[Auditing, Depends()]


# Plain functions, because the database blocks: FastAPI and the tasks run them in threads.
@app.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: int, auditor: Auditor) -> None:
    auditor.log("user_deleted", user_id)
    with database.transaction() as db:
        if db.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount == 0:
            raise HTTPException(404, "No such user")


@app.get("/audit")
def show_log(_user: CurrentUser) -> list[dict[str, Any]]:
    with database.transaction() as db:
        return [dict(row) for row in db.execute("SELECT * FROM audit_log")]


def write_entry(action: str, subject: int, user_id: int) -> None:
    with database.transaction() as db:
        db.execute("INSERT INTO audit_log VALUES (?, ?, ?)", (action, subject, user_id))


if __name__ == "__main__":
    print(f"token: {TOKEN}")  # noqa: T201 - whoever tries the example needs it
    uvicorn.run(app)
