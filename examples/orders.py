"""An order: goods are reserved and money is taken before the answer, all else follows it.

What is often done otherwise, and why not here:

- The payment is started and the answer says "processing"; then the e-mail confirms what was never
  paid. Here the response waits for the payment (`wait=True`), a failure is the client's answer, and
  what was to follow a success is dropped. The shield lets neither a shutdown cut it short.
- A retried charge takes the money twice. Here each order has its idempotency key.
- The client sends the price. Here it is the database's.
- Card tokens are arguments, and failures are logged with them. Here logs name no arguments, and the
  token is a `SecretStr`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, SecretStr

from examples.database import Database
from examples.standins import StandIns
from offload.fastapi import RetryPolicy, Task, Tasks, add_tasks

BRIEF = RetryPolicy(max_retries=2, backoff=0.1)
PATIENT = RetryPolicy(max_retries=5, backoff=0.5, max_delay=60)

outside = StandIns()
database = Database(
    "orders.db",
    """
    CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, cents INTEGER, available INTEGER);
    CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, email TEXT, cents INTEGER,
        state TEXT);
    CREATE TABLE IF NOT EXISTS reservations (order_id INTEGER, product_id INTEGER,
        quantity INTEGER);
    INSERT INTO products VALUES (1, 1250, 10), (2, 400, 3) ON CONFLICT DO NOTHING;
    """,
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create)
    async with outside:
        yield  # tasks end before this goes on, so they have the client as long as they run


app = FastAPI(title="Orders", lifespan=lifespan)
add_tasks(app)


class Item(BaseModel):
    product_id: int
    quantity: int = Field(gt=0, le=100)


class Order(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    items: Annotated[list[Item], Field(min_length=1, max_length=50)]
    payment_token: SecretStr


class Placed(BaseModel):
    order_id: int
    cents: int


@app.post("/orders", status_code=201)
async def create_order(order: Order, tasks: Tasks) -> Placed:
    placed = await asyncio.to_thread(reserve, order)
    tasks.after_route.task(
        shield=True, wait=True, retry=BRIEF, retry_on=(httpx.HTTPError,), on_error=give_back
    ).schedule(pay, order_id=placed.order_id, cents=placed.cents, token=order.payment_token)

    later = tasks.after_response.task(retry=PATIENT)
    later.schedule(confirm, order.email, placed)
    later.schedule(notify_warehouse, placed.order_id, order.items)
    later.schedule(track, "order_created", {"order_id": placed.order_id, "cents": placed.cents})
    return placed


@app.get("/orders/{order_id}")
def show_order(order_id: int) -> dict[str, Any]:
    with database.transaction() as db:
        found = db.execute(
            "SELECT id, cents, state FROM orders WHERE id = ?", (order_id,)
        ).fetchone()
    if found is None:
        raise HTTPException(404, "No such order")
    return dict(found)


@app.exception_handler(httpx.HTTPError)
async def answer_for_others(_request: Request, _error: httpx.HTTPError) -> JSONResponse:
    return JSONResponse({"detail": "The payment service does not answer"}, 502)


def reserve(order: Order) -> Placed:
    """Store the order and take its goods from the shelf: both, or neither."""
    cents = 0
    with database.transaction() as db:
        order_id = db.execute(
            "INSERT INTO orders (email, state) VALUES (?, 'new') RETURNING id", (order.email,)
        ).fetchone()["id"]
        for item in order.items:
            taken = db.execute(
                "UPDATE products SET available = available - :n "
                "WHERE id = :id AND available >= :n RETURNING cents",
                {"n": item.quantity, "id": item.product_id},
            ).fetchone()
            if taken is None:
                raise HTTPException(409, f"Product {item.product_id} is not in stock")
            cents += taken["cents"] * item.quantity
            reservation = (order_id, item.product_id, item.quantity)
            db.execute("INSERT INTO reservations VALUES (?, ?, ?)", reservation)
        db.execute("UPDATE orders SET cents = ? WHERE id = ?", (cents, order_id))
    return Placed(order_id=order_id, cents=cents)


async def pay(*, order_id: int, cents: int, token: SecretStr) -> None:
    try:
        await outside.http.post(
            "/payment/charge",
            json={"order_id": order_id, "cents": cents, "token": token.get_secret_value()},
            headers={"Idempotency-Key": f"order-{order_id}"},
        )
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.PAYMENT_REQUIRED:
            raise HTTPException(402, "The card was declined") from error
        raise
    await asyncio.to_thread(set_state, order_id, "paid")


async def give_back(task: Task[Any], error: Exception) -> None:
    """Put the goods back on the shelf, and tell people of what is not the customer's fault."""
    order_id: int = task.kwargs["order_id"]
    await asyncio.to_thread(release, order_id)
    if not isinstance(error, HTTPException):
        text = f"Payment of order {order_id}: {type(error).__name__}"
        await outside.http.post("/chat/alert", json={"text": text})


def release(order_id: int) -> None:
    with database.transaction() as db:
        db.execute(
            "UPDATE products SET available = available + (SELECT sum(quantity) FROM reservations "
            "WHERE order_id = :id AND product_id = products.id) WHERE id IN "
            "(SELECT product_id FROM reservations WHERE order_id = :id)",
            {"id": order_id},
        )
        db.execute("DELETE FROM reservations WHERE order_id = ?", (order_id,))
        db.execute("UPDATE orders SET state = 'unpaid' WHERE id = ?", (order_id,))


def set_state(order_id: int, state: str) -> None:
    with database.transaction() as db:
        db.execute("UPDATE orders SET state = ? WHERE id = ?", (state, order_id))


async def confirm(email: str, placed: Placed) -> None:
    said = {"to": email, "subject": f"Order {placed.order_id} is paid", "cents": placed.cents}
    key = {"Idempotency-Key": f"confirm-{placed.order_id}"}
    await outside.http.post("/email/send", json=said, headers=key)


async def notify_warehouse(order_id: int, items: list[Item]) -> None:
    parcel = [{"sku": item.product_id, "quantity": item.quantity} for item in items]
    await outside.http.post("/warehouse/prepare", json={"order_id": order_id, "items": parcel})


async def track(event: str, properties: dict[str, int]) -> None:
    await outside.http.post("/analytics/track", json={"event": event, "properties": properties})


if __name__ == "__main__":
    uvicorn.run(app)
