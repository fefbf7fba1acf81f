"""Seed 004's patterns that live in one process, cut out of the page and served."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from offload import Queue
from offload.fastapi import TaskManager, add_tasks, get_tasks, lifespan
from tests.fastapi.serving import served
from tests.seeds import page
from tests.seeds.page import Database

BACKGROUND = "from fastapi import BackgroundTasks, FastAPI"
AUDITOR = "from fastapi import Depends, BackgroundTasks"
ENDPOINTS = '@app.post("/tasks")'
MANAGER = "# Global task manager"
ORDER = {"email": "ann@example.com", "items": ["book"]}


def settle(app: FastAPI) -> list[str]:
    """Wait for all tasks to end, and return how, the oldest first."""
    return [asyncio.run(task.wait(20)) for task in reversed(get_tasks(app).all())]


# ------------------------------------------------------------------------- BackgroundTasks


class OrderCreate(BaseModel):
    email: str
    items: list[str]


def shop(log: list[Any], **given: Any) -> FastAPI:
    """Return the page's first application; what it leaves out notes its calls."""

    async def send_confirmation(email: str) -> None:
        log.append(("confirm", email))
        raise ConnectionError("no e-mail today")

    async def update_inventory(items: list[str]) -> None:
        await asyncio.sleep(0)
        log.append(("inventory", items))

    def notify_warehouse(order_id: int) -> None:
        log.append(("warehouse", order_id))

    module = page.run(
        "004",
        BACKGROUND,
        asyncio=asyncio,
        OrderCreate=OrderCreate,
        create_user=lambda email: log.append(("user", email)),
        save_order=lambda _order: SimpleNamespace(id=42),
        send_confirmation=send_confirmation,
        update_inventory=update_inventory,
        notify_warehouse=notify_warehouse,
        **given,
    )
    app: FastAPI = module.app
    add_tasks(app)
    return app


def test_background_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[Any] = []
    app = shop(log)
    with served(app) as url:
        answer = httpx.post(f"{url}/signup", params={"email": "ann@example.com"})
        assert (answer.json(), log) == ({"message": "User created"}, [("user", "ann@example.com")])
        [task] = get_tasks(app).all()
        assert not task.status.final, "for two seconds, as the page simulates it"
        assert settle(app) == ["succeeded"]
    assert "Email sent to ann@example.com: Welcome!" in capsys.readouterr().out


def test_several_tasks_of_one_order() -> None:
    log: list[Any] = []
    app = shop(log)
    with served(app) as url:
        assert httpx.post(f"{url}/order", json=ORDER).json() == {"order_id": 42}
        assert settle(app) == ["failed", "succeeded", "succeeded"]
    # In their order, and one that fails does not stop the next.
    assert log == [("confirm", "ann@example.com"), ("inventory", ["book"]), ("warehouse", 42)]


def test_an_auditor() -> None:
    db = Database([], "CREATE TABLE users (id); CREATE TABLE audit_log (action, user_id);")
    user = Annotated[Any, Depends(lambda: SimpleNamespace(id=1))]
    app = FastAPI()
    add_tasks(app)
    page.run("004", AUDITOR, app=app, db=db, CurrentUser=user, Callable=Callable)
    asyncio.run(db.execute("INSERT INTO users VALUES (2)"))
    with served(app) as url:
        assert httpx.delete(f"{url}/users/2").json() == {"deleted": 2}
        assert settle(app) == ["succeeded"]
    assert db.all("SELECT * FROM users") == []
    assert db.all("SELECT * FROM audit_log") == [{"action": "user_deleted", "user_id": 1}]
    db.close()


# ---------------------------------------------------------------------------- a task queue


class TaskQueue:
    """What the page has on Redis, on a queue of ours, which needs no loop of a worker's own."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def enqueue(self, task_type: str, payload: dict[str, Any]) -> str:
        return (await self.queue.aenqueue(task_type, payload)).id

    async def get_status(self, task_id: str) -> dict[str, Any] | None:
        job = await self.queue.aget_job(task_id)
        if job is None:
            return None
        return {"id": job.id, "type": job.task_name, "status": job.status, "error": job.error}


def test_tasks_of_several_types(queue: Queue) -> None:
    queue.task(name="double", max_retries=0)(lambda payload: payload["n"] * 2)
    app = FastAPI(lifespan=lifespan(queue, worker=True))
    page.run("004", ENDPOINTS, app=app, queue=TaskQueue(queue), HTTPException=HTTPException)
    with served(app) as url:
        params = {"task_type": "double"}
        first = httpx.post(f"{url}/tasks", params=params, json={"n": 21}).json()["task_id"]
        second = httpx.post(f"{url}/tasks", params=params, json={}).json()["task_id"]
        job = queue.get_job(first)
        assert job is not None
        assert job.result(timeout=20) == 42
        found = httpx.get(f"{url}/tasks/{first}").json()
        assert (found["type"], found["status"]) == ("double", "complete")
        letter = queue.get_job(second)
        assert letter is not None
        with pytest.raises(Exception, match="KeyError"):
            letter.result(timeout=20)
        failed = httpx.get(f"{url}/tasks/{second}").json()
        assert (failed["status"], failed["error"]) == ("dead", "KeyError: 'n'")
        assert httpx.get(f"{url}/tasks/nope").status_code == 404


# -------------------------------------------------------------------------- a task manager


class ProcessRequest(BaseModel):
    n: int


@pytest.fixture
def managed() -> Iterator[tuple[Any, str, threading.Event]]:
    """Serve the page's endpoints; yield its module, the address, and what lets tasks go on."""
    go = threading.Event()

    async def heavy_processing(data: ProcessRequest) -> float:
        await asyncio.to_thread(go.wait, 20)
        return 1 / data.n

    app = FastAPI()
    given = {"app": app, "uuid4": uuid4, "ProcessRequest": ProcessRequest}
    module = page.run(
        "004", MANAGER, TaskManager=TaskManager, heavy_processing=heavy_processing, **given
    )
    with served(app) as url:
        yield module, url, go
        go.set()


def test_a_task_manager(managed: tuple[Any, str, threading.Event]) -> None:
    module, url, go = managed
    ids = [httpx.post(f"{url}/process", json={"n": n}).json()["task_id"] for n in (4, 0)]
    assert httpx.get(f"{url}/process/{ids[0]}").json() == {"status": "running"}
    go.set()
    for task_id in ids:
        asyncio.run(module.task_manager.wait(task_id, 20))
    told = [httpx.get(f"{url}/process/{task_id}").json() for task_id in ids]
    assert told == [
        {"status": "completed", "result": 0.25},
        {"status": "failed", "error": "division by zero"},
    ]
    assert httpx.get(f"{url}/process/nope").json() == {"status": "not_found"}


def test_a_task_manager_cancels(managed: tuple[Any, str, threading.Event]) -> None:
    module, url, _ = managed
    task_id = httpx.post(f"{url}/process", json={"n": 1}).json()["task_id"]
    assert asyncio.run(module.task_manager.cancel(task_id))
    asyncio.run(module.task_manager.wait(task_id, 20))
    assert httpx.get(f"{url}/process/{task_id}").json()["status"] == "cancelled"
    assert not asyncio.run(module.task_manager.cancel(task_id))
    assert not asyncio.run(module.task_manager.cancel("nope"))


async def test_a_task_manager_starts_an_id_once() -> None:
    manager = TaskManager()
    go = asyncio.Event()
    assert await manager.start("a", go.wait()) == "a"
    with pytest.raises(ValueError, match="a"):
        await manager.start("a", go.wait())
    go.set()
    assert await manager.wait("a", 20) == {"status": "completed", "result": True}
    assert await manager.start("a", go.wait()) == "a"
    assert (await manager.wait("a", 20))["status"] == "completed"
    await manager.aclose()
