"""Several tasks of one order, one after the other, each for itself.

What is often done otherwise, and why not here:

- With FastAPI's BackgroundTasks the first task that fails takes the rest along: no e-mail service,
  no parcel. Here each task fails alone.
- What the tasks may never forget is left to chance. Here the parcel is retried.
- The rows of a database session are given to tasks, which outlive it. Here they get plain values.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from examples.standins import StandIns
from offload.fastapi import BackgroundTasks, add_tasks

outside = StandIns()
stock = {"book": 10, "lamp": 3}
ids = count(1)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with outside:
        yield


app = FastAPI(title="Several tasks", lifespan=lifespan)
add_tasks(app)


class Order(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    items: dict[str, int] = Field(min_length=1, max_length=50)


class Placed(BaseModel):
    order_id: int


@app.post("/order", status_code=201)
async def create_order(order: Order, tasks: BackgroundTasks) -> Placed:
    order_id = next(ids)
    tasks.add_task(send_confirmation, order.email, order_id)
    tasks.add_task(update_inventory, order.items)
    tasks.add_task(notify_warehouse, order_id)
    return Placed(order_id=order_id)


@app.get("/stock")
async def show_stock() -> dict[str, int]:
    return stock


async def send_confirmation(email: str, order_id: int) -> None:
    await outside.http.post("/email/send", json={"to": email, "order_id": order_id})


async def update_inventory(items: dict[str, int]) -> None:
    for name, quantity in items.items():
        stock[name] -= quantity


async def notify_warehouse(order_id: int) -> None:
    await outside.http.post("/warehouse/prepare", json={"order_id": order_id})


if __name__ == "__main__":
    uvicorn.run(app)
