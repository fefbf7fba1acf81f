"""Registration with an e-mail that proves the address; it is sent again while the service is away.

What is often done otherwise, and why not here:

- `bcrypt` runs on the event loop, and for a quarter of a second nobody is served. Here a thread
  does it.
- The token is stored as it is, and comes back in the query of a URL, so databases, logs and
  browser histories hold it. Here the database has its hash, the link has it behind the `#`, which
  browsers do not send, and the page behind the link posts it.
- The token is looked up, then marked as used: of two clicks both may succeed. Here it is one
  statement.
- Times are naive. Here they are Unix seconds.
- A hand-written loop of retries in an error handler. Here it is `retry=`; the handler tells people
  when all was in vain.
- "This address is registered" tells strangers who is a customer. Here the answer is the same, and
  the mail is another.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import bcrypt
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field, SecretStr

from examples.database import Database
from examples.standins import StandIns
from offload.fastapi import RetryPolicy, Task, Tasks, add_tasks

MAIL = RetryPolicy(max_retries=3, backoff=0.5)
DAY = 24 * 3600

outside = StandIns()
database = Database(
    "registration.db",
    """
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT,
        password BLOB, verified INTEGER DEFAULT 0);
    CREATE TABLE IF NOT EXISTS tokens (hash BLOB PRIMARY KEY, user_id INTEGER, expires REAL);
    """,
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create)
    async with outside:
        yield


app = FastAPI(title="Registration", lifespan=lifespan)
add_tasks(app)


class NewUser(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    name: str = Field(min_length=1, max_length=100)
    # bcrypt reads 72 bytes; so many ASCII characters, or fewer others.
    password: SecretStr = Field(min_length=12, max_length=72)


class Token(BaseModel):
    token: SecretStr


class Message(BaseModel):
    message: str


@app.post("/register", status_code=202)
async def register(user: NewUser, tasks: Tasks) -> Message:
    token = secrets.token_urlsafe(32)
    user_id = await asyncio.to_thread(add_user, user, token)
    mail = tasks.after_response.task(name="mail", retry=MAIL, on_error=tell_people)
    if user_id is None:
        mail.schedule(send, user.email, "You have an account already", {})
    else:
        link = {"link": f"https://app.example/verify#token={token}", "name": user.name}
        mail.schedule(send, user.email, "Verify your e-mail", link)
        tasks.after_response.schedule(track, "registered", user_id)
    return Message(message="Please check your e-mail.")


@app.post("/verify")
async def verify(given: Token, tasks: Tasks) -> Message:
    user = await asyncio.to_thread(use_token, given.token.get_secret_value())
    if user is None:
        raise HTTPException(400, "Invalid or expired token")
    mail = tasks.after_response.task(name="mail", retry=MAIL, on_error=tell_people)
    mail.schedule(send, user["email"], "Welcome", {"name": user["name"]})
    tasks.after_response.schedule(track, "verified", user["id"])
    return Message(message="Your e-mail is verified.")


def add_user(user: NewUser, token: str) -> int | None:
    """Store a user and the token; None if the address has one. It takes a quarter of a second."""
    try:
        password = bcrypt.hashpw(user.password.get_secret_value().encode(), bcrypt.gensalt())
    except ValueError:
        raise HTTPException(422, "The password is longer than 72 bytes") from None
    with database.transaction() as db:
        added = db.execute(
            "INSERT INTO users (email, name, password) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING id",
            (user.email, user.name, password),
        ).fetchone()
        if added is None:
            return None
        row = (hash_of(token), added["id"], time.time() + DAY)
        db.execute("INSERT INTO tokens VALUES (?, ?, ?)", row)
        return int(added["id"])


def use_token(token: str) -> dict[str, Any] | None:
    """Return the user whom a token verifies; it does so once."""
    with database.transaction() as db:
        used = db.execute(
            "DELETE FROM tokens WHERE hash = ? AND expires > ? RETURNING user_id",
            (hash_of(token), time.time()),
        ).fetchone()
        if used is None:
            return None
        user = db.execute(
            "UPDATE users SET verified = 1 WHERE id = ? RETURNING id, email, name",
            (used["user_id"],),
        ).fetchone()
        return dict(user)


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def send(to: str, subject: str, data: dict[str, str]) -> None:
    await outside.http.post("/email/send", json={"to": to, "subject": subject, "data": data})


async def track(event: str, user_id: int) -> None:
    said = {"event": event, "user_id": user_id, "at": time.time()}
    await outside.http.post("/analytics/track", json=said)


async def tell_people(task: Task[Any], error: Exception) -> None:
    text = f"E-mail {task.id} failed {task.attempt} times: {type(error).__name__}"
    await outside.http.post("/chat/alert", json={"text": text})


if __name__ == "__main__":
    uvicorn.run(app)
