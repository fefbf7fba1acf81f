"""What a shutdown waits for, what it stops, and that it comes to an end."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offload.core.errors import TasksClosed
from offload.core.retry import RetryPolicy
from offload.inproc import draining
from offload.inproc.app import AppTasks
from offload.inproc.options import RunnerOptions
from offload.inproc.task import RequestTask
from tests.inproc.waiting import until

SHORT = 0.05


def hurried(drain: float = SHORT, shield: float = 2 * SHORT, **more: Any) -> AppTasks:
    return AppTasks(RunnerOptions(drain_timeout=drain, shield_timeout=shield, **more))


async def hangs(log: list[str] | None = None) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if log is not None:
            log.append("stopped")
        raise


async def stubborn(until: asyncio.Event) -> None:
    while not until.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await until.wait()


async def test_s1_running_and_waiting_tasks_are_drained() -> None:
    tasks = AppTasks(RunnerOptions(max_concurrency=1))
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    for number in range(3):
        tasks.schedule(work, number)
    await tasks.stop()
    assert done == [0, 1, 2]


async def test_s1_nothing_is_taken_any_more(tasks: AppTasks) -> None:
    await tasks.stop()
    with pytest.raises(TasksClosed, match="shutting down"):
        tasks.schedule(hangs)


async def test_s1_a_task_that_is_drained_may_not_schedule(tasks: AppTasks) -> None:
    go = asyncio.Event()

    async def parent() -> str:
        await go.wait()
        with pytest.raises(TasksClosed):
            tasks.schedule(hangs)
        return "refused"

    task = tasks.schedule(parent)
    stopping = asyncio.ensure_future(tasks.stop())
    await asyncio.sleep(0)
    go.set()
    await stopping
    assert task.result == "refused"


async def test_s1_what_takes_too_long_is_cancelled_and_says_so() -> None:
    tasks, log = hurried(), list[str]()
    running = tasks.schedule(hangs, log)
    retrying = tasks.task(retry=RetryPolicy(max_retries=1, delays=(3600,))).schedule(int, "x")
    await asyncio.sleep(0)
    await tasks.stop()
    assert log == ["stopped"]
    for task in (running, retrying):
        assert (task.status, task.reason) == ("cancelled", "shutdown")


@pytest.mark.parametrize(("shield", "limit"), [(False, 10), (True, 25)])
async def test_s1_who_waits_for_it_is_told_what_for(
    shield: bool,  # noqa: FBT001 - a parameter of the test
    limit: int,
    tasks: AppTasks,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "QUIET", 0)
    go = asyncio.Event()
    for name in ("mail", "mail", "report"):
        tasks.task(name=name, shield=shield).schedule(go.wait)
    stopping = asyncio.ensure_future(tasks.stop())
    await until(lambda: caplog.records)
    go.set()
    await stopping
    (said,) = caplog.records
    assert said.levelno == logging.WARNING, "without any configuration, less is not shown"
    assert said.getMessage() == (
        f"the shutdown waits for request tasks, {limit} s at most: mail (2), report (1)"
    )


async def test_s1_nothing_is_said_of_a_short_wait(
    tasks: AppTasks, caplog: pytest.LogCaptureFixture
) -> None:
    go = asyncio.Event()
    tasks.schedule(go.wait)
    stopping = asyncio.ensure_future(tasks.stop())
    await asyncio.sleep(0)
    go.set()
    await stopping
    assert not caplog.records


async def test_s1_a_shielded_task_has_more_time() -> None:
    tasks = hurried(drain=0, shield=30)
    first_is_stopped = asyncio.Event()

    async def plain() -> None:
        try:
            await hangs()
        finally:
            first_is_stopped.set()

    stopped = tasks.schedule(plain)
    shielded = tasks.task(shield=True).schedule(first_is_stopped.wait)
    await asyncio.sleep(0)
    await tasks.stop()
    assert (stopped.status, shielded.status) == ("cancelled", "succeeded")


async def test_s1_the_shield_ends_too() -> None:
    tasks = hurried()
    task = tasks.task(shield=True).schedule(hangs)
    await asyncio.sleep(0)
    await tasks.stop()
    assert (task.status, task.reason) == ("cancelled", "shutdown")


async def test_s1_it_goes_on_without_what_does_not_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = hurried(drain=0, shield=0)
    go, released = asyncio.Event(), threading.Event()
    task = tasks.task(name="stubborn").schedule(stubborn, go)
    thread = tasks.task(name="thread").schedule(released.wait)
    await asyncio.sleep(0)
    await tasks.stop()
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    for left in (task, thread):
        assert f"{left.name} ({left.id})" in errors[0].getMessage()
    go.set()
    released.set()
    assert await task.wait(10) == "succeeded"


async def test_s1_what_catches_its_cancellation_is_not_started_again() -> None:
    tasks = hurried(drain=0, shield=0)

    async def fails_instead() -> None:
        try:
            await hangs()
        except asyncio.CancelledError:
            raise OSError from None

    task = tasks.task(retry=9).schedule(fails_instead)
    await asyncio.sleep(0)
    await tasks.stop()
    assert (task.status, task.attempt, task.reason) == ("failed", 1, "shutdown")


async def test_s3_the_shield_covers_the_handler() -> None:
    tasks = hurried(drain=0, shield=30)
    handled: list[str] = []
    other_is_stopped = asyncio.Event()

    async def other() -> None:
        try:
            await hangs()
        finally:
            other_is_stopped.set()

    async def handler(_task: RequestTask[Any], _error: Exception) -> None:
        await other_is_stopped.wait()
        handled.append("to its end")

    async def fail() -> None:
        raise ValueError

    tasks.schedule(other)
    task = tasks.task(shield=True, on_error=handler).schedule(fail)
    await asyncio.sleep(0)
    assert tasks.cancel(task.id) is False
    await tasks.stop()
    assert handled == ["to its end"]
    assert task.status == "failed"


async def test_s3_a_shielded_task_that_runs_is_cancelled_by_force_only(tasks: AppTasks) -> None:
    task = tasks.task(shield=True).schedule(hangs)
    await asyncio.sleep(0)
    assert tasks.cancel(task.id) is False
    assert task.status == "running"
    assert tasks.cancel(task.id, force=True) is True
    assert await task.wait(10) == "cancelled"


async def test_s3_a_shielded_task_that_waits_can_be_cancelled(small: AppTasks) -> None:
    small.schedule(hangs)
    waits = small.task(shield=True).schedule(hangs)
    assert small.cancel(waits.id) is True
    assert waits.status == "cancelled"
    small.cancel(small.all()[0].id)
    await small.runner.idle(10)


async def test_s4_what_never_began_is_cancelled_too() -> None:
    tasks = hurried(max_concurrency=1)
    first, second = tasks.schedule(hangs), tasks.schedule(hangs)
    await tasks.stop()
    for task in (first, second):
        assert (task.status, task.reason) == ("cancelled", "shutdown")
    assert (tasks.stats().active, tasks.stats().pending) == (0, 0)


async def test_s5_what_was_scheduled_last_runs_to_its_end(tasks: AppTasks) -> None:
    async def steps() -> str:
        for _ in range(10):
            await asyncio.sleep(0)
        return "whole"

    task = tasks.schedule(steps)
    await tasks.stop()
    assert task.result == "whole"


async def test_an_application_can_be_started_again(tasks: AppTasks) -> None:
    @contextlib.asynccontextmanager
    async def life() -> AsyncIterator[None]:
        tasks.open()
        yield
        await tasks.stop()

    for _ in range(2):
        async with life():
            task = tasks.schedule(str)
        assert task.status == "succeeded"


async def test_a_thread_that_hangs_does_not_hold_up_the_shutdown() -> None:
    tasks, go = hurried(drain=0, shield=0), threading.Event()
    task = tasks.schedule(go.wait)
    await asyncio.sleep(0)
    await tasks.stop()
    assert (task.status, task.reason) == ("cancelled", "shutdown")
    assert tasks.runner.left() == [task]
    go.set()
    await until(lambda: not tasks.runner.left())
