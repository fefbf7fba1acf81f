"""What is known of a request task: its identity, its record, its key; how it is cancelled."""

import asyncio
import functools
import threading
import uuid
from typing import Any

import pytest

from offload.core.errors import ConfigurationError, DuplicateTask
from offload.core.request import RequestStatus
from offload.core.retry import RetryPolicy
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.options import RunnerOptions
from offload.inproc.records import Records
from offload.inproc.task import RequestTask
from offload.testing import ManualClock


async def works(value: int = 1) -> int:
    return value


class Worker:
    async def __call__(self) -> str:
        return "called"

    async def method(self) -> str:
        return "method"


async def test_i1_a_task_tells_what_it_is_and_what_came_of_it(tasks: AppTasks) -> None:
    task = tasks.schedule(works, 7)
    assert uuid.UUID(task.id).version == 7
    assert (task.name, task.func, task.args, task.kwargs) == (
        f"{__name__}.works",
        works,
        (7,),
        {},
    )
    assert (task.status, task.attempt, task.started_at) == ("pending", 0, None)
    assert await task.wait(10) == "succeeded"
    assert (task.result, task.error, task.attempt) == (7, None, 1)
    assert task.started_at is not None
    assert task.finished_at is not None
    assert task.created_at <= task.started_at <= task.finished_at
    assert (task.args, task.kwargs) == ((), {})


def test_i1_these_are_the_states() -> None:
    unfinished = {"pending", "running", "retrying"}
    ends = {"succeeded", "failed", "cancelled", "dropped", "rejected", "enqueued", "spilled"}
    assert set(RequestStatus) == unfinished | ends
    assert {status for status in RequestStatus if not status.final} == unfinished


async def test_i1_whatever_can_be_called_has_a_name(tasks: AppTasks) -> None:
    worker = Worker()
    calls: list[tuple[Any, str]] = [
        (functools.partial(works, 2), f"{__name__}.works"),
        (worker, f"{__name__}.Worker"),
        (worker.method, f"{__name__}.Worker.method"),
        (len, "builtins.len"),
    ]
    for call, name in calls:
        task = tasks.schedule(call, *([""] if call is len else []))
        assert task.name == name
        assert await task.wait(10) == "succeeded"


async def test_i1_a_wait_has_a_limit(tasks: AppTasks) -> None:
    go = asyncio.Event()
    task = tasks.schedule(go.wait)
    with pytest.raises(TimeoutError):
        await task.wait(0.01)
    go.set()
    assert await task.wait() == "succeeded"
    assert await task.wait() == "succeeded"


async def test_i1_a_wait_may_be_on_another_loop(tasks: AppTasks) -> None:
    go = asyncio.Event()
    task = tasks.schedule(go.wait)
    waiting = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(task.wait(10))))
    await asyncio.sleep(0)
    go.set()
    assert await waiting == "succeeded"


async def test_i1_all_lists_the_newest_first(tasks: AppTasks) -> None:
    ended = [tasks.schedule(works), tasks.schedule(works)]
    for task in ended:
        await task.wait(10)
    waits = tasks.schedule(works)
    assert tasks.all() == [waits, ended[1], ended[0]]
    await waits.wait(10)


def record(status: RequestStatus, finished_at: int) -> RequestTask[Any]:
    loop = asyncio.get_running_loop()
    task: RequestTask[Any] = RequestTask(Call(works), AppTasks().runner, loop)
    task.status, task.finished_at = status, finished_at
    assert task.id  # made when somebody asks for it
    return task


async def test_i2_records_are_kept_for_a_time_and_up_to_a_number(clock: ManualClock) -> None:
    records = Records(ttl=60, most=2, clock=clock.now)
    kept = [record(RequestStatus.SUCCEEDED, clock.now()) for _ in range(3)]
    for task in kept:
        records.add(task)
        records.end(task)
    assert [records.get(task.id) for task in kept] == [None, kept[1], kept[2]]
    clock.advance(60)
    assert list(records.all()) == [kept[2], kept[1]]
    clock.advance(0.001)
    assert list(records.all()) == []
    assert records.counts == {RequestStatus.SUCCEEDED: 3}


async def test_p1_what_starts_now_waits_for_no_outcome(tasks: AppTasks) -> None:
    with pytest.raises(ConfigurationError, match="after_response"):
        tasks.task(when="success").schedule(works)


async def test_i2_what_is_unknown_is_none(tasks: AppTasks) -> None:
    assert tasks.get("nope") is None
    assert tasks.cancel("nope") is False
    assert await tasks.wait("nope") is None


async def test_i2_what_has_not_ended_is_never_forgotten() -> None:
    tasks, go = AppTasks(RunnerOptions(max_records=0)), asyncio.Event()
    waits, ended = tasks.schedule(go.wait), tasks.schedule(works)
    await ended.wait(10)
    assert tasks.all() == [waits]
    go.set()
    await waits.wait(10)
    assert tasks.all() == []


async def test_i3_a_key_belongs_to_one_unfinished_task(tasks: AppTasks) -> None:
    go = asyncio.Event()
    keyed = tasks.task(key="report")
    first = keyed.schedule(go.wait)
    with pytest.raises(DuplicateTask) as caught:
        keyed.schedule(works)
    assert (caught.value.key, caught.value.task_id) == ("report", first.id)
    returned: RequestTask[Any] = tasks.task(key="report", on_conflict="return").schedule(works)
    assert returned is first
    replacing = tasks.task(key="report", on_conflict="replace").schedule(works, 2)
    assert await first.wait(10) == "cancelled"
    assert first.reason == "replaced"
    assert await replacing.wait(10) == "succeeded"
    assert await keyed.schedule(works).wait(10) == "succeeded"


async def test_i3_what_runs_in_a_thread_cannot_be_replaced(tasks: AppTasks) -> None:
    go = threading.Event()
    first = tasks.task(key="report").schedule(go.wait)
    await asyncio.sleep(0)
    with pytest.raises(DuplicateTask):
        tasks.task(key="report", on_conflict="replace").schedule(works)
    go.set()
    assert await first.wait(10) == "succeeded"


async def test_i3_names_may_be_the_same(tasks: AppTasks) -> None:
    named = [tasks.task(name="mail").schedule(works) for _ in range(2)]
    assert [await task.wait(10) for task in named] == ["succeeded"] * 2


async def test_i4_what_waits_never_starts(small: AppTasks) -> None:
    go, ran = asyncio.Event(), list[int]()
    first, waits = small.schedule(go.wait), small.schedule(ran.append, 1)
    second = small.schedule(go.wait)
    assert small.cancel(second.id)
    assert (second.status, second.reason) == ("cancelled", "cancelled")
    go.set()
    for task in (first, waits):
        assert await task.wait(10) == "succeeded"
    assert small.cancel(waits.id) is False


async def test_i4_a_task_cancelled_before_its_first_step_ends(tasks: AppTasks) -> None:
    ran: list[int] = []

    async def never() -> None:
        ran.append(1)

    task = tasks.schedule(never)
    assert tasks.cancel(task.id)
    assert await task.wait(10) == "cancelled"
    await asyncio.sleep(0)
    assert (ran, tasks.stats().active, tasks.stats().pending) == ([], 0, 0)


async def test_i4_a_coroutine_that_runs_is_stopped(tasks: AppTasks) -> None:
    task = tasks.schedule(asyncio.Event().wait)
    await asyncio.sleep(0)
    assert tasks.cancel(task.id)
    assert await task.wait(10) == "cancelled"


async def test_i4_a_function_that_runs_in_a_thread_is_not_stopped(tasks: AppTasks) -> None:
    go = threading.Event()
    task = tasks.schedule(go.wait)
    await asyncio.sleep(0)
    assert tasks.cancel(task.id) is False
    assert tasks.cancel(task.id, force=True) is False
    go.set()
    assert await task.wait(10) == "succeeded"


async def test_i4_a_thread_may_cancel(tasks: AppTasks) -> None:
    async def fail() -> None:
        raise OSError

    policy = RetryPolicy(max_retries=1, delays=(3600,))
    retrying = tasks.task(retry=policy).schedule(fail)
    running = tasks.schedule(asyncio.Event().wait)
    await tasks.schedule(works).wait(10)
    assert (retrying.status, running.status) == ("retrying", "running")
    for task in (retrying, running):
        assert await asyncio.to_thread(tasks.cancel, task.id)
        assert await task.wait(10) == "cancelled"


async def test_i4_a_task_that_fails_while_it_is_cancelled_ends(tasks: AppTasks) -> None:
    go = asyncio.Event()

    async def fails() -> None:
        await go.wait()
        raise OSError

    task = tasks.task(retry=RetryPolicy(max_retries=1, delays=(3600,))).schedule(fails)
    await asyncio.sleep(0)
    go.set()  # it fails in the next step, before the loop hears of the cancellation
    await asyncio.to_thread(lambda: None)
    assert task.status == "retrying"
    task.status = RequestStatus.RUNNING  # what a thread saw a moment ago
    asking = threading.Thread(target=tasks.cancel, args=[task.id])
    asking.start()
    asking.join()
    task.status = RequestStatus.RETRYING
    assert await task.wait(10) == "cancelled"
