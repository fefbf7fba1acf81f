"""What an editor knows of request tasks. mypy reads this: an `ignore` of nothing is an error."""

from collections.abc import Callable
from typing import Any, assert_type

import pytest

from offload import ConfigurationError, Queue
from offload.inproc.app import AppTasks
from offload.inproc.task import RequestTask


async def double(x: int) -> int:
    return 2 * x


def shout(text: str, *, times: int = 1) -> str:
    return text.upper() * times


async def test_types_lead_from_the_function_to_the_result(tasks: AppTasks) -> None:
    coroutine = tasks.schedule(double, 2)
    plain = tasks.task(name="loud", retry=1).schedule(shout, "a", times=2)
    assert_type(coroutine, RequestTask[int])
    assert_type(plain, RequestTask[str])
    assert_type(coroutine.result, int | None)
    for task in (coroutine, plain):
        assert await task.wait(10) == "succeeded"
    assert (coroutine.result, plain.result) == (4, "AA")


async def test_types_of_queue_tasks(tasks: AppTasks) -> None:
    queue = Queue("memory://")
    work = queue.task(double)
    task = tasks.task(durable=False).schedule(work, 4)
    assert_type(task, RequestTask[int])
    assert await task.wait(10) == "succeeded"
    assert task.result == 8
    await queue.aclose()


async def test_a_wrong_call_is_wrong_in_the_editor_and_here(tasks: AppTasks) -> None:
    wrong: list[Callable[[], RequestTask[Any]]] = [
        lambda: tasks.schedule(double),  # type: ignore[call-overload]
        lambda: tasks.schedule(double, "x", 2),  # type: ignore[call-overload]
        lambda: tasks.schedule(shout, "a", time=2),  # type: ignore[call-arg,arg-type]
    ]
    for call in wrong:
        task = call()
        assert await task.wait(10) == "failed"
        assert isinstance(task.error, TypeError)
    with pytest.raises(ConfigurationError, match="retries"):
        tasks.task(retries=2)  # type: ignore[call-arg]
