"""TasksRouter: request tasks and schedules over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException

from offload import ConfigurationError
from offload.fastapi import TasksRouter, add_tasks, get_tasks
from offload.inproc.app import AppTasks


@pytest.fixture
def tasks(app: FastAPI) -> AppTasks:
    app.include_router(TasksRouter(operator=True), prefix="/background")
    return get_tasks(app)


@pytest.fixture
async def client(app: FastAPI, tasks: AppTasks) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    url = "http://test/background"
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        yield client
    await tasks.stop()


async def pay(_token: str) -> dict[str, tuple[int, ...]]:
    return {"paid": (1, 2)}


async def fail(_token: str) -> None:
    raise ValueError("refused")


async def test_i5_a_task_is_shown_without_its_arguments(
    client: httpx.AsyncClient, tasks: AppTasks
) -> None:
    task = tasks.task(name="payment").schedule(pay, "tok_SECRET")
    waiting = await client.get(f"/tasks/{task.id}")
    await task.wait(10)
    shown = (await client.get(f"/tasks/{task.id}")).json()
    assert shown == {
        "id": task.id,
        "name": "payment",
        "status": "succeeded",
        "mode": "now",
        "attempt": 1,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "error": None,
        "reason": None,
        "recovered": False,
        "job_id": None,
        "result": {"paid": [1, 2]},
    }
    listed = await client.get("/tasks")
    del shown["result"]
    assert listed.json() == [shown]
    for answer in (waiting, listed):
        assert "tok_SECRET" not in answer.text


async def test_i5_an_unknown_id_is_404_and_says_that_state_is_the_processs(
    client: httpx.AsyncClient,
) -> None:
    for method, path in (("GET", "/tasks/nope"), ("POST", "/tasks/nope/cancel")):
        answer = await client.request(method, path)
        assert answer.status_code == 404
        assert "not found in this process" in answer.json()["detail"]
        assert "another process" in answer.json()["detail"]


async def test_i5_tasks_are_listed_in_pages_newest_first(
    client: httpx.AsyncClient, tasks: AppTasks
) -> None:
    scheduled = [tasks.schedule(fail if n == 2 else pay, "x") for n in range(5)]
    for task in scheduled:
        await task.wait(10)
    newest = [task.id for task in reversed(scheduled)]
    first = [task["id"] for task in (await client.get("/tasks?limit=3")).json()]
    assert first == newest[:3]
    rest = (await client.get(f"/tasks?before={first[-1]}")).json()
    assert [task["id"] for task in rest] == newest[3:]
    [failed] = (await client.get("/tasks?status=failed")).json()
    assert (failed["id"], failed["error"]) == (scheduled[2].id, "ValueError: refused")
    assert (await client.get("/tasks?name=nobody")).json() == []
    for wrong in ("limit=0", "limit=101", "status=odd"):
        assert (await client.get(f"/tasks?{wrong}")).status_code == 422


async def test_i4_a_task_is_cancelled_shielded_ones_by_force(
    client: httpx.AsyncClient, tasks: AppTasks
) -> None:
    task = tasks.task(shield=True).schedule(asyncio.Event().wait)
    await asyncio.sleep(0)
    path = f"/tasks/{task.id}/cancel"
    assert (await client.post(path)).json() == {"cancelled": False}
    assert (await client.post(f"{path}?force=true")).json() == {"cancelled": True}
    assert await task.wait(10) == "cancelled"
    assert (await client.post(path)).json() == {"cancelled": False}


async def test_l3_counts(client: httpx.AsyncClient, tasks: AppTasks) -> None:
    task = tasks.schedule(pay, "x")
    counts = {"active": 0, "pending": 1, "left": 0, "ended": {}}
    assert (await client.get("/stats")).json() in (counts, counts | {"active": 1, "pending": 0})
    await task.wait(10)
    counts = {"active": 0, "pending": 0, "left": 0, "ended": {"succeeded": 1}}
    assert (await client.get("/stats")).json() == counts


async def test_b5_a_schedule_is_triggered(client: httpx.AsyncClient, tasks: AppTasks) -> None:
    go = asyncio.Event()
    tasks.every(seconds=60, name="up/minutely")(go.wait)
    answer = await client.post("/schedules/up/minutely/trigger")
    assert answer.status_code == 200
    task = tasks.get(answer.json()["id"])
    assert task is not None
    refused = await client.post("/schedules/up/minutely/trigger")
    assert refused.status_code == 409
    assert task.id in refused.json()["detail"]
    [shown] = (await client.get("/schedules")).json()
    assert shown["running"] == [task.id]
    go.set()
    assert await task.wait(10) == "succeeded"


async def test_b5_an_unknown_schedule_is_404(client: httpx.AsyncClient) -> None:
    for verb in ("trigger", "pause", "resume"):
        answer = await client.post(f"/schedules/nope/{verb}")
        assert (answer.status_code, "no schedule 'nope'" in answer.text) == (404, True)


async def test_b5_a_trigger_for_which_there_is_no_room_is_503() -> None:
    app = FastAPI()
    tasks = add_tasks(app, max_concurrency=1, max_pending=0)
    app.include_router(TasksRouter(operator=True))
    tasks.every(seconds=60, name="job")(pay)
    go = asyncio.Event()
    running = tasks.schedule(go.wait)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/schedules/job/trigger")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        go.set()
        await running.wait(10)
        await tasks.stop()
        assert (await client.post("/schedules/job/trigger")).status_code == 503


async def test_b4_schedules_are_shown_paused_and_resumed(
    client: httpx.AsyncClient, tasks: AppTasks
) -> None:
    tasks.cron("0 9 * * *", tz="Europe/Berlin", name="report")(pay)
    tasks.every(seconds=10**6, name="job")(pay)
    tasks.ticker.start()
    every, cron = (await client.get("/schedules")).json()
    assert (every["name"], cron["name"], cron["tz"]) == ("job", "report", "Europe/Berlin")
    assert every["next_run"] > 0
    assert (every["scope"], every["leads"], every["overlap"]) == ("process", True, "skip")
    paused = (await client.post("/schedules/job/pause")).json()
    assert (paused["paused"], paused["next_run"]) == (True, None)
    resumed = (await client.post("/schedules/job/resume")).json()
    assert (resumed["paused"], resumed["next_run"]) == (False, every["next_run"])


def test_it_must_be_said_who_may_ask() -> None:
    with pytest.raises(ConfigurationError, match="operator=True"):
        TasksRouter()


async def test_dependencies_check_who_asks() -> None:
    def refuse() -> None:
        raise HTTPException(401)

    app = FastAPI()
    add_tasks(app)
    app.include_router(TasksRouter(dependencies=[Depends(refuse)]))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/stats", "/tasks", "/tasks/x", "/schedules"):
            assert (await client.get(path)).status_code == 401


async def test_a_page_of_another_site_can_change_nothing(client: httpx.AsyncClient) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    paths = ("/tasks/x/cancel", "/schedules/x/trigger", "/schedules/x/pause")
    for path in paths:
        assert (await client.post(path, headers=other)).status_code == 403
    assert (await client.get("/tasks", headers=other)).status_code == 200


async def test_other_sites_may_be_let_in(app: FastAPI) -> None:
    app.include_router(TasksRouter(operator=True, cross_site=True))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/tasks/x/cancel", headers=headers)).status_code == 404


async def test_openapi_knows_the_answers(app: FastAPI, tasks: AppTasks) -> None:
    paths: dict[str, Any] = app.openapi()["paths"]
    assert sorted(paths) == [
        "/background/schedules",
        "/background/schedules/{name}/pause",
        "/background/schedules/{name}/resume",
        "/background/schedules/{name}/trigger",
        "/background/stats",
        "/background/tasks",
        "/background/tasks/{task_id}",
        "/background/tasks/{task_id}/cancel",
    ]
    trigger = paths["/background/schedules/{name}/trigger"]["post"]["responses"]
    assert {"200", "404", "409"} <= set(trigger)
