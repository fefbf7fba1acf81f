"""TaskManager: named coroutines."""

import asyncio
import inspect
from typing import Any

import pytest

from offload.core.errors import DuplicateTask, TasksClosed
from offload.inproc.app import AppTasks
from offload.inproc.manager import TaskManager
from offload.inproc.options import RunnerOptions


async def works(value: int = 1) -> int:
    return value


async def fail() -> None:
    raise ValueError("no")


@pytest.fixture
def manager() -> TaskManager:
    return TaskManager()


async def test_b3_it_tells_how_a_coroutine_goes(manager: TaskManager) -> None:
    go = asyncio.Event()
    assert manager.get_status("a") == {"status": "not_found"}
    assert await manager.start("a", go.wait()) == "a"
    assert manager.get_status("a") == {"status": "running"}
    go.set()
    assert await manager.wait("a") == {"status": "completed", "result": True}
    await manager.start("b", fail())
    assert await manager.wait("b") == {"status": "failed", "error": "no"}


async def test_b3_it_takes_functions(manager: TaskManager) -> None:
    await manager.start("a", works, value=5)
    await manager.start("b", max, 3, 4)
    assert (await manager.wait("a"))["result"] == 5
    assert (await manager.wait("b"))["result"] == 4


async def test_b3_an_id_that_runs_is_refused_and_the_coroutine_closed(
    manager: TaskManager,
) -> None:
    go, refused = asyncio.Event(), works()
    await manager.start("a", go.wait())
    with pytest.raises(DuplicateTask, match="'a' is running already"):
        await manager.start("a", refused)
    assert issubclass(DuplicateTask, ValueError)
    assert inspect.getcoroutinestate(refused) == inspect.CORO_CLOSED
    go.set()
    await manager.wait("a")
    await manager.start("a", works(2))
    assert await manager.wait("a") == {"status": "completed", "result": 2}


async def test_b3_what_is_cancelled_before_it_begins_is_cancelled(manager: TaskManager) -> None:
    coroutine = works()
    await manager.start("a", coroutine)
    assert await manager.cancel("a") is True
    assert manager.get_status("a") == {"status": "cancelled"}
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert await manager.cancel("a") is False
    assert await manager.cancel("nope") is False


async def test_b3_what_runs_is_cancelled(manager: TaskManager) -> None:
    await manager.start("a", asyncio.Event().wait())
    await asyncio.sleep(0)
    assert await manager.cancel("a") is True
    assert await manager.wait("a") == {"status": "cancelled"}


async def test_b3_results_are_bounded() -> None:
    manager = TaskManager(AppTasks(RunnerOptions(max_records=2)))
    for number in range(6):
        await manager.start(f"{number}", works(number))
        await manager.wait(f"{number}")
    known: list[Any] = [manager.get_status(f"{number}").get("result") for number in range(6)]
    assert known == [None, None, None, None, 4, 5]


async def test_b3_it_ends_with_its_application(tasks: AppTasks) -> None:
    manager, coroutine = TaskManager(tasks), works()
    await manager.start("a", works())
    await manager.aclose()
    assert manager.get_status("a")["status"] == "completed"
    with pytest.raises(TasksClosed):
        await manager.start("b", coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
