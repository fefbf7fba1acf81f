"""Seed 002's four examples and its patterns, cut out of the page and served."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.standins import DECLINED, Services
from offload.fastapi import RequestTask, Tasks, add_tasks, get_tasks
from tests.fastapi.serving import served
from tests.seeds import page
from tests.seeds.page import COMMIT, Database, Network, left_out_of_002
from tests.seeds.reading import ROOT

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `dict` method is deprecated"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow"),
]

EXAMPLES = (
    "from fastapi import FastAPI, HTTPException",
    "import secrets",
    "from PIL import Image",
    "from collections import defaultdict",
)
SCHEMA = """
    CREATE TABLE inventory (product_id, available, reserved);
    CREATE TABLE reservations (order_id, items);
    CREATE TABLE users (id INTEGER PRIMARY KEY, email, password_hash, name, verified);
    CREATE TABLE verification_tokens (user_id, token, expires_at, used DEFAULT FALSE);
    CREATE TABLE images (user_id, original_url, optimized_url, thumbnail_url, metadata);
    CREATE TABLE analytics_events (event_type, user_id, properties, timestamp);
    INSERT INTO inventory VALUES (1, 5, 0), (2, 1, 0);
"""
PHOTO = ROOT / "services/imaging/src/imaging/samples/dandelions.jpg"
UPLOADS = Path("/", "tmp")
"""Where the page writes, whatever the system says."""
SENT = "sent"
ANSWERED = "answered"
ORDER = {
    "user_id": 7,
    "email": "ann@example.com",
    "items": [{"product_id": 1, "quantity": 2, "price": 12.5}],
    "payment_token": "tok_SECRET",
}
ANN = {"email": "ann@example.com", "password": "correct horse", "name": "Ann"}


@dataclass
class World:
    """The page's application, served, and all that is around it."""

    page: Any
    client: httpx.Client
    network: Network
    db: Database
    log: list[str]

    def told(self, service: str, count: int) -> list[dict[str, Any]]:
        """Return what a stand-in was asked, once it was asked so often."""
        url = f"{self.network.url}/calls/{service}"
        answer = httpx.get(url, params={"count": count}, timeout=30).raise_for_status()
        calls: list[dict[str, Any]] = answer.json()
        return calls

    def settled(self) -> dict[str, RequestTask[Any]]:
        """Return the tasks by their names, the newest of each, once all have ended."""
        tasks = get_tasks(self.page.app).all()
        for task in tasks:
            asyncio.run(task.wait(20))
        return {task.name.rpartition(".")[2]: task for task in reversed(tasks)}


def noting(app: ASGIApp, log: list[str]) -> ASGIApp:
    """Note when responses to requests start, and when all of them is sent."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                log.append(ANSWERED)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                log.append(SENT)

        await app(scope, receive, sending)

    return noted


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    log: list[str] = []
    db = Database(log, SCHEMA)
    loaded = page.run("002", *EXAMPLES, **left_out_of_002(db))
    services = Services()
    with (
        socket.socket() as closed,
        served(services.app) as outside,
        served(noting(loaded.app, log)) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        closed.bind(("127.0.0.1", 0))
        network = Network(outside, f"http://127.0.0.1:{closed.getsockname()[1]}", log)
        monkeypatch.setattr(httpx, "AsyncClient", network.client)
        yield World(loaded, client, network, db, log)
    db.close()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Be the monitoring that the page knows, and return what it is told."""
    seen: list[Exception] = []
    sentry = SimpleNamespace(capture_exception=seen.append)
    monkeypatch.setitem(sys.modules, "sentry_sdk", sentry)
    return seen


# ----------------------------------------------------------------------------- 1: orders


def test_an_order_does_all_at_its_time(world: World) -> None:
    answer = world.client.post("/orders", json=ORDER)
    assert answer.json() == {"order_id": 12345, "status": "processing", "total": 25.0}
    tasks = world.settled()
    assert {task.status for task in tasks.values()} == {"succeeded"}
    assert len(tasks) == 5
    order = world.log
    assert order.index("payment") < order.index(ANSWERED), "it starts at once"
    assert order.index(COMMIT) < order.index(ANSWERED), "it must be complete"
    for later in ("email", "warehouse", "analytics"):
        assert order.index(SENT) < order.index(later)
    assert world.db.all("SELECT * FROM inventory WHERE product_id = 1")[0]["reserved"] == 2
    assert world.db.all("SELECT order_id FROM reservations") == [{"order_id": 12345}]


def test_an_order_tells_each_service_what_the_page_says(world: World) -> None:
    world.client.post("/orders", json=ORDER)
    [charge] = world.told("payment", 1)
    assert (charge["path"], charge["amount"], charge["token"]) == ("charge", 25.0, "tok_SECRET")
    assert charge["metadata"] == {"order_id": 12345}
    [mail] = world.told("email", 1)
    assert (mail["to"], mail["subject"]) == ("ann@example.com", "Order #12345 Confirmed")
    assert mail["data"]["total"] == 25.0
    assert world.told("warehouse", 1)[0]["items"] == [{"sku": 1, "qty": 2}]
    [event] = world.told("analytics", 1)
    assert event["properties"] == {"order_id": 12345, "user_id": 7, "total": 25.0, "items_count": 1}


def test_a_failed_payment_is_handled_with_its_order(
    world: World, seen: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    answer = world.client.post("/orders", json={**ORDER, "payment_token": DECLINED})
    assert answer.status_code == 200
    [alert] = world.told("chat", 1)
    assert alert["text"].startswith("Payment failed for order 12345: Client error '402")
    payment = world.settled()["payment_12345"]
    assert (payment.status, payment.handler_error, payment.options.shield) == ("failed", None, True)
    assert seen == [payment.error]
    assert DECLINED not in caplog.text, "failures are logged without arguments"


def test_a_name_error_in_a_handler_harms_nothing(world: World, seen: list[Exception]) -> None:
    del world.page.send_slack_alert
    for _ in range(2):
        answer = world.client.post("/orders", json={**ORDER, "payment_token": DECLINED})
        assert answer.status_code == 200
        tasks = world.settled()
        failed = tasks.pop("payment_12345")
        assert isinstance(failed.handler_error, NameError)
        assert {task.status for task in tasks.values()} == {"succeeded"}
    assert seen == []
    assert world.client.post("/orders", json=ORDER).status_code == 200
    assert world.settled()["payment_12345"].status == "succeeded"


def test_too_little_inventory_reserves_nothing(world: World) -> None:
    items = [
        {"product_id": 1, "quantity": 2, "price": 1},
        {"product_id": 2, "quantity": 9, "price": 1},
    ]
    assert world.client.post("/orders", json={**ORDER, "items": items}).status_code == 200
    assert str(world.settled()["inventory_12345"].error) == "Insufficient inventory for product 2"
    assert {row["reserved"] for row in world.db.all("SELECT reserved FROM inventory")} == {0}


# ----------------------------------------------------------------------- 2: registration


def test_a_registration_and_its_verification(world: World) -> None:
    answer = world.client.post("/register", json=ANN)
    assert answer.json()["message"].startswith("Registration successful.")
    [mail] = world.told("email", 1)
    assert world.log.index(SENT) < world.log.index("email")
    url = httpx.URL(mail["data"]["verification_url"])
    assert (mail["template"], mail["data"]["name"], url.path) == (
        "email_verification",
        "Ann",
        "/verify",
    )
    [user] = world.db.all("SELECT * FROM users")
    assert (user["id"], user["verified"]) == (answer.json()["user_id"], 0)
    assert user["password_hash"].startswith("$2b$")

    token = {"token": url.params["token"]}
    assert (
        world.client.post("/verify", params=token).json()["message"]
        == "Email verified successfully"
    )
    assert world.client.post("/verify", params=token).status_code == 400
    assert world.told("email", 2)[1]["template"] == "welcome"
    assert [call["event"] for call in world.told("analytics", 2)] == [
        "user_registered",
        "email_verified",
    ]
    assert world.db.all("SELECT verified FROM users") == [{"verified": 1}]


@pytest.fixture
def naps(world: World) -> list[float]:
    """Let the page's sleeps take no time, and return them."""
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    world.page.asyncio = SimpleNamespace(sleep=sleep)
    return naps


def test_the_handler_retries_three_times_and_ends(
    world: World, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    world.network.down["email"] = 100
    user_id = world.client.post("/register", json=ANN).json()["user_id"]
    mail = world.settled()[f"verification_email_{user_id}"]
    assert world.log.count("email") == 1 + 3
    assert naps == [1, 2, 4]
    assert (mail.status, mail.recovered, mail.handler_error) == ("failed", False, None)
    assert "Email task failed after 3 retries" in caplog.text
    [alert] = world.told("chat", 1)
    assert alert["text"].startswith("Email delivery failed")


def test_the_handler_makes_up_for_a_failure(world: World, naps: list[float]) -> None:
    world.network.down["email"] = 2
    user_id = world.client.post("/register", json=ANN).json()["user_id"]
    mail = world.settled()[f"verification_email_{user_id}"]
    assert (naps, mail.status, mail.recovered) == ([1, 2], "succeeded", True)
    assert [call["subject"] for call in world.told("email", 1)] == ["Verify your email"]
    assert world.told("chat", 0) == []


# ----------------------------------------------------------------------------- 3: images


@pytest.fixture
def name() -> Iterator[str]:
    """Return a file name that nobody else has, for the page takes it as it comes."""
    name = f"offload-{uuid4().hex}.jpg"
    yield name
    for path in UPLOADS.glob(f"{name.partition('.')[0]}*"):
        path.unlink()


def upload(world: World, name: str, content: bytes) -> RequestTask[Any]:
    answer = world.client.post(
        "/upload-image", params={"user_id": 7}, files={"file": (name, content)}
    )
    assert answer.json()["status"] == "processing"
    return get_tasks(world.page.app).all()[0]


def there(name: str) -> list[str]:
    return [path.name for path in UPLOADS.glob(f"{name.partition('.')[0]}*")]


def test_a_photo_goes_to_the_cdn(world: World, name: str) -> None:
    photo = PHOTO.read_bytes()
    task = upload(world, name, photo)
    assert (task.name, task.args[1:]) == (f"process_image_7_{name}", (str(UPLOADS / name), name))
    asyncio.run(task.wait(20))
    assert task.status == "succeeded"
    sent = {call["path"]: call["bytes"] for call in world.told("cdn", 3)}
    kinds = ("original", "optimized", "thumb")
    original, optimized, thumb = (sent[f"upload/images/7/{kind}/{name}"] for kind in kinds)
    assert original == len(photo)
    assert 0 < thumb < optimized != original
    [row] = world.db.all("SELECT * FROM images")
    assert (row["user_id"], row["thumbnail_url"][-len(name) :]) == (7, name)
    assert world.told("analytics", 1)[0]["event"] == "image_uploaded"
    assert there(name) == []


def test_what_is_no_photo_is_cleaned_up(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = upload(world, name, b"#!/bin/sh")
    asyncio.run(task.wait(20))
    assert (task.status, task.handler_error) == ("failed", None)
    assert "Image processing failed: cannot identify image file" in caplog.text
    assert there(name) == [], "the handler has read task.args[1]"


# -------------------------------------------------------------------------- 4: analytics


def track(world: World, times: int) -> None:
    for number in range(times):
        answer = world.client.post(
            "/track", params={"event": f"e{number}", "user_id": 7}, json={"n": number}
        )
        assert answer.json() == {"status": "tracked"}
    world.settled()


def test_ten_events_are_one_batch(world: World) -> None:
    track(world, 9)
    assert world.told("analytics", 0) == []
    track(world, 2)
    [call] = world.told("analytics", 1)
    assert (call["path"], len(call["events"])) == ("batch", 10)
    assert len(world.page.event_buffer[7]) == 1


def test_events_fall_back_to_the_database(world: World, caplog: pytest.LogCaptureFixture) -> None:
    httpx.post(f"{world.network.url}/refuse/analytics").raise_for_status()
    track(world, 10)
    rows = world.db.all("SELECT * FROM analytics_events")
    assert [row["properties"] for row in rows] == [f'{{"n": {n}}}' for n in range(10)]
    assert "Analytics service failed, saved 10 events to DB" in caplog.text
    assert world.told("chat", 0) == []


def test_events_that_are_lost_are_told_of(world: World) -> None:
    asyncio.run(world.db.execute("DROP TABLE analytics_events"))
    world.network.down["analytics"] = 1
    track(world, 10)
    [alert] = world.told("chat", 1)
    assert alert["text"].endswith("Lost 10 events")


# ------------------------------------------------------------------------------- patterns


def noted(log: list[str], name: str, error: Exception | None = None) -> Any:
    async def work(*given: Any) -> None:
        log.append(name)
        if error is not None:
            raise error

    return work


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("# Critical: Payment", ["process_payment", ANSWERED, SENT, "send_confirmation"]),
        ("tasks.task(", ["task_function", "appropriate_error_handler", ANSWERED, SENT]),
        ("# Shield: Payment processing", ["finalize_payment", "send_email", ANSWERED, SENT]),
    ],
)
def test_a_pattern(start: str, expected: list[str]) -> None:
    log: list[str] = []
    app = FastAPI()
    background = add_tasks(app)

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        names = {name: noted(log, name) for name in expected if name not in {ANSWERED, SENT}}
        names["task_function"] = noted(log, "task_function", ValueError("boom"))
        page.run("002", start, tasks=tasks, **names)

    with served(noting(app, log)) as url:
        assert httpx.get(url).status_code == 200
        for task in background.all():
            asyncio.run(task.wait(20))
    assert log == expected
    named = {task.name: task.options.shield for task in background.all() if task.options.name}
    shields = [task.options.shield for task in reversed(background.all())]
    assert named == ({"descriptive_name": None} if start == "tasks.task(" else {})
    assert shields == ([None] if named else [True, None])
