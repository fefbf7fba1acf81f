"""How many request tasks run and wait, and what happens to the next one."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from offload import ConfigurationError
from offload.core.errors import DuplicateTask, TaskLimitReached
from offload.core.request import Mode
from offload.core.retry import RetryPolicy
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.exchange import Exchange
from offload.inproc.options import RunnerOptions
from offload.inproc.runner import RunnerStats
from tests.inproc.waiting import until


async def works() -> None: ...


async def fail() -> None:
    raise ValueError


def stats(ended: dict[str, int]) -> RunnerStats:
    return RunnerStats(active=0, pending=0, left=0, ended=ended)


@pytest.mark.parametrize("thread", [False, True])
async def test_l1_so_many_run_at_once(*, thread: bool) -> None:
    tasks = AppTasks(RunnerOptions(max_concurrency=2, max_threads=3))
    most = 3 if thread else 2
    go: Any = threading.Event() if thread else asyncio.Event()
    running = [tasks.schedule(go.wait) for _ in range(most + 2)]
    await asyncio.sleep(0)
    assert [task.status for task in running] == ["running"] * most + ["pending"] * 2
    assert (tasks.stats().active, tasks.stats().pending) == (most, 2)
    go.set()
    for task in running:
        assert await task.wait(10) == "succeeded"


async def test_l1_threads_do_not_take_the_slots_of_coroutines(small: AppTasks) -> None:
    go = threading.Event()
    thread = small.schedule(go.wait)
    assert await small.schedule(works).wait(10) == "succeeded"
    go.set()
    await thread.wait(10)


async def test_l1_those_that_wait_start_in_their_order(small: AppTasks) -> None:
    tasks, order = AppTasks(RunnerOptions(max_concurrency=1)), list[int]()

    async def note(number: int) -> None:
        order.append(number)

    scheduled = [tasks.schedule(note, number) for number in range(5)]
    for task in scheduled:
        await task.wait(10)
    assert order == [0, 1, 2, 3, 4]


async def test_l2_the_next_one_is_refused(small: AppTasks) -> None:
    go = asyncio.Event()
    first, waits = small.schedule(go.wait), small.schedule(go.wait)
    with pytest.raises(TaskLimitReached, match="max_pending=1") as caught:
        small.schedule(works)
    await asyncio.sleep(0)
    assert caught.value.retry_after == 1.0
    assert small.stats() == RunnerStats(1, 1, 0, {"rejected": 1})
    go.set()
    for task in (first, waits):
        await task.wait(10)
    assert await small.schedule(works).wait(10) == "succeeded"


def crowded() -> AppTasks:
    """Return tasks that let two requests in, while nothing runs."""
    limits = RunnerOptions(max_concurrency=1, max_threads=1, max_pending=0, overflow="wait")
    return AppTasks(limits)


async def entered(tasks: AppTasks) -> Exchange:
    exchange = Exchange(tasks)
    assert exchange.use()
    await exchange.enter()
    return exchange


async def test_l2_with_wait_requests_enter_while_there_is_room() -> None:
    tasks = crowded()
    first, second = await entered(tasks), await entered(tasks)
    waiting = asyncio.ensure_future(entered(tasks))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.ended(None)
    (await asyncio.wait_for(waiting, 10)).ended(None)
    second.ended(None)


async def test_l2_with_wait_a_task_that_ends_makes_room() -> None:
    tasks, go = crowded(), asyncio.Event()
    first = await entered(tasks)
    task = first.take(Call(go.wait))
    waiting = asyncio.ensure_future(entered(tasks))
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    await task.wait(10)
    (await asyncio.wait_for(waiting, 10)).ended(None)


async def test_l2_with_wait_a_request_that_gives_up_leaves_its_place_to_the_next() -> None:
    tasks = crowded()
    inside = [await entered(tasks), await entered(tasks)]
    early, late, last = (asyncio.ensure_future(entered(tasks)) for _ in range(3))
    await asyncio.sleep(0)
    early.cancel()  # while it waits
    inside[0].ended(None)
    late.cancel()  # when its place has been given to it, and it has not heard of that
    inside[1].ended(None)
    await asyncio.wait_for(last, 10)
    assert early.cancelled()
    assert late.cancelled()
    await asyncio.wait_for(entered(tasks), 10)


async def test_l2_what_cannot_spill_is_refused() -> None:
    limits = RunnerOptions(max_concurrency=1, max_pending=0, overflow="spill")
    tasks, go = AppTasks(limits), asyncio.Event()
    running = tasks.schedule(go.wait)
    with pytest.raises(TaskLimitReached):
        tasks.schedule(works)
    go.set()
    await running.wait(10)


ENDS: list[tuple[Callable[..., Any], str]] = [
    (works, "succeeded"),
    (fail, "failed"),
    (int, "succeeded"),
]


@pytest.mark.parametrize(("func", "status"), ENDS)
async def test_l3_the_counts_return_to_zero(
    tasks: AppTasks, func: Callable[..., Any], status: str
) -> None:
    scheduled = [tasks.schedule(func) for _ in range(30)]
    for task in scheduled:
        assert await task.wait(10) == status
    assert tasks.stats() == stats({status: 30})


async def test_l3_cancellations_at_any_time_leave_no_slot_taken(small: AppTasks) -> None:
    tasks = AppTasks(RunnerOptions(max_concurrency=2))
    never = asyncio.Event()
    for steps in range(4):
        scheduled = [tasks.schedule(never.wait) for _ in range(5)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in scheduled[:: -1 if steps % 2 else 1]:
            assert tasks.cancel(task.id)
        for task in scheduled:
            assert await task.wait(10) == "cancelled"
    assert tasks.stats() == stats({"cancelled": 20})
    both = asyncio.Barrier(2)
    assert [await t.wait(10) for t in [tasks.schedule(both.wait) for _ in range(2)]] == [
        "succeeded"
    ] * 2


async def test_l3_a_refused_key_takes_no_room(small: AppTasks) -> None:
    go = asyncio.Event()
    first = small.task(key="k").schedule(go.wait)
    for _ in range(3):
        with pytest.raises(DuplicateTask):
            small.task(key="k").schedule(works)
    waits = small.schedule(go.wait)
    go.set()
    assert await first.wait(10) == await waits.wait(10) == "succeeded"


def test_l3_tasks_of_a_loop_that_is_closed_keep_no_slot(small: AppTasks) -> None:
    async def begin() -> Exchange:
        exchange = Exchange(small)
        exchange.use()
        return exchange

    async def later() -> str:
        return await small.schedule(works).wait(10)

    exchange = asyncio.run(begin())
    for _ in range(2):
        task = exchange.take(Call(works))
        assert (task.status, task.reason) == ("cancelled", "its event loop is closed")
    assert asyncio.run(later()) == "succeeded"


async def test_l3_finished_tasks_hold_no_arguments(tasks: AppTasks) -> None:
    class Large:
        pass

    async def takes(_large: Large) -> None: ...

    large = Large()
    seen = weakref.ref(large)
    task = tasks.schedule(takes, large)
    del large
    await task.wait(10)
    await asyncio.sleep(0)
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(
    "limit",
    [
        {"max_concurrency": 0},
        {"max_threads": True},
        {"max_pending": -1},
        {"overflow": "explode"},
        {"drain_timeout": 2, "shield_timeout": 1},
        {"result_ttl": 0},
        {"retry_after": float("inf")},
    ],
)
def test_l1_l2_wrong_limits_are_refused(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(limit))):
        RunnerOptions(**limit)


async def test_l3_an_attempt_that_is_cancelled_after_a_thread_was_left_frees_its_slot() -> None:
    tasks, go = AppTasks(RunnerOptions(max_threads=2)), threading.Event()
    policy = RetryPolicy(max_retries=1, delays=(3600,))
    task = tasks.task(timeout=0.01, retry=policy).schedule(go.wait)
    await until(lambda: task.status == "retrying")
    tasks.runner.ready(task)  # its time has come, and it has not begun
    assert tasks.cancel(task.id)
    go.set()
    await until(lambda: not tasks.runner.left())
    both = threading.Barrier(2)
    waiting = [tasks.schedule(both.wait, 30) for _ in range(2)]
    assert [await each.wait(30) for each in waiting] == ["succeeded"] * 2


async def test_l3_threads_that_schedule_at_the_same_time_lose_nothing(tasks: AppTasks) -> None:
    exchange, number, together = Exchange(tasks), 200, threading.Barrier(5)
    exchange.use()
    ran: list[int] = []

    def schedule() -> None:
        together.wait(30)
        for _ in range(number):
            exchange.take(Call(ran.append, (1,), mode=Mode.AFTER_RESPONSE))
            exchange.take_in_order(Call(ran.append, (1,), mode=Mode.AFTER_RESPONSE))

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    together.wait(30)
    exchange.route_ended(200)
    exchange.ended(None)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await tasks.runner.idle(30)
    assert len(ran) == 4 * number * 2
