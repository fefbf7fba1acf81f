"""A sign-up whose e-mail is sent after the response: FastAPI's own spelling, another import.

What is often done otherwise, and why not here:

- `from fastapi import BackgroundTasks`: a mail that fails is lost with a traceback. Here the import
  is the only change; `after_response.task(retry=…)` is there for what must arrive.
- The e-mail address stands in the URL, and so in logs. Here it is in the body.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from examples.standins import StandIns
from offload.fastapi import BackgroundTasks, RetryPolicy, add_tasks

outside = StandIns()
MAIL = RetryPolicy(max_retries=3, backoff=0.5)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with outside:
        yield


app = FastAPI(title="Sign-up", lifespan=lifespan)
add_tasks(app)


class NewUser(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class Message(BaseModel):
    message: str


@app.post("/signup", status_code=201)
async def sign_up(user: NewUser, background_tasks: BackgroundTasks) -> Message:
    background_tasks.add_task(send_email, user.email, "Welcome!")
    background_tasks.after_response.task(retry=MAIL).schedule(add_to_list, user.email)
    return Message(message="User created")


async def send_email(to: str, text: str) -> None:
    await outside.http.post("/email/send", json={"to": to, "text": text})


async def add_to_list(address: str) -> None:
    await outside.http.post("/email/list", json={"address": address})


if __name__ == "__main__":
    uvicorn.run(app)
