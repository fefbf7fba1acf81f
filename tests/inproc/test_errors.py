"""What becomes of a request task that fails, and what its failure cannot reach."""

import asyncio
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from offload import Abort, ConfigurationError, OffloadError, Retry
from offload.core.retry import RetryPolicy
from offload.inproc.app import AppTasks
from offload.inproc.options import RunnerOptions
from offload.inproc.task import RequestTask

AT_ONCE = RetryPolicy(max_retries=3, delays=(0,))


async def fail() -> None:
    raise ValueError("no")


async def works() -> str:
    return "works"


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def awaits_what_was_cancelled() -> None:
    child = asyncio.ensure_future(asyncio.sleep(0))
    child.cancel()
    await child


async def several() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        group.create_task(fail())


def raiser(error: BaseException, *, thread: bool = False) -> Any:
    def raises(*_: object) -> None:
        raise error

    async def araises(*_: object) -> None:
        raise error

    return raises if thread else araises


BAD = [
    fail,
    cancels_itself,
    awaits_what_was_cancelled,
    several,
    raiser(asyncio.CancelledError()),
    raiser(SystemExit(1)),
    raiser(SystemExit(1), thread=True),
    raiser(GeneratorExit()),
    raiser(StopIteration(), thread=True),
    raiser(asyncio.CancelledError(), thread=True),
]


@pytest.mark.parametrize("bad", BAD)
async def test_e1_no_error_of_a_task_reaches_another(tasks: AppTasks, bad: Any) -> None:
    go = asyncio.Event()
    other, failing = tasks.schedule(go.wait), tasks.schedule(bad)
    assert await failing.wait(10) in {"failed", "cancelled"}
    go.set()
    assert await other.wait(10) == "succeeded"
    assert await tasks.schedule(works).wait(10) == "succeeded"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("fails", [fail, raiser(ValueError("no"), thread=True)])
async def test_e1_no_error_of_a_handler_reaches_another(
    tasks: AppTasks, bad: Any, fails: Any
) -> None:
    async def handler(task: RequestTask[Any], _error: Exception) -> None:
        await bad()

    on_error = handler if asyncio.iscoroutinefunction(bad) else lambda *_: bad()
    go = asyncio.Event()
    other, failing = tasks.schedule(go.wait), tasks.task(on_error=on_error).schedule(fails)
    assert await failing.wait(10) == "failed"
    assert failing.handler_error is not None
    go.set()
    assert await other.wait(10) == "succeeded"


async def test_e1_a_call_in_place_of_a_function_is_refused(tasks: AppTasks) -> None:
    called = works()
    given: Any = called
    with pytest.raises(
        ConfigurationError, match=r"schedule\(send, to\), not schedule\(send\(to\)\)"
    ):
        tasks.schedule(given)
    assert await called == "works"
    assert tasks.all() == []


def test_e1_a_keyboard_interrupt_passes() -> None:
    code = """
import asyncio
from offload.inproc.app import AppTasks
def press(): raise KeyboardInterrupt
async def apress(): press()
async def main(press): await AppTasks().schedule(press).wait()
for each in (press, apress):
    try: asyncio.run(main(each))
    except KeyboardInterrupt: print("passed")
"""
    program = [sys.executable, "-c", code]
    out = subprocess.run(program, capture_output=True, text=True, check=True)
    assert out.stdout == "passed\npassed\n"


@pytest.mark.parametrize("thread", [False, True])
async def test_e2_the_handler_is_called_once_after_the_last_attempt(
    tasks: AppTasks, *, thread: bool
) -> None:
    called: list[tuple[int, str, int]] = []

    def told(task: RequestTask[Any], error: Exception) -> None:
        called.append((task.attempt, str(error), threading.get_ident()))

    async def atold(task: RequestTask[Any], error: Exception) -> None:
        told(task, error)

    handler = told if thread else atold
    task = tasks.task(retry=AT_ONCE, on_error=handler).schedule(fail)
    assert await task.wait(10) == "failed"
    assert [call[:2] for call in called] == [(4, "no")]
    assert (called[0][2] == threading.get_ident()) is not thread


async def test_e2_an_error_of_the_handler_is_kept_and_told(
    tasks: AppTasks, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_task: RequestTask[Any], _error: Exception) -> None:
        send_slack_alert()  # type: ignore[name-defined]  # noqa: F821 - as seen in the wild

    task = tasks.task(on_error=handler).schedule(fail)
    assert await task.wait(10) == "failed"
    assert isinstance(task.handler_error, NameError)
    assert isinstance(task.error, ValueError)
    told = [record for record in caplog.records if "its on_error raised" in record.getMessage()]
    assert len(told) == 1


async def test_e2_the_handler_has_the_arguments(tasks: AppTasks) -> None:
    seen: list[Any] = []

    async def pay(*_: object, **__: object) -> None:
        raise ValueError

    def handler(task: RequestTask[Any], _error: Exception) -> None:
        seen.extend((task.args, task.kwargs))

    await tasks.task(on_error=handler).schedule(pay, 1, order_id=7).wait(10)
    assert seen == [(1,), {"order_id": 7}]


@pytest.mark.parametrize("recovers_at", [2, 9])
async def test_e3_the_handler_may_run_the_function_again(tasks: AppTasks, recovers_at: int) -> None:
    calls: list[int] = []
    handled: list[str] = []

    async def send() -> str:
        calls.append(len(calls) + 1)
        if len(calls) < recovers_at:
            raise OSError(f"try {len(calls)}")
        return f"sent at {len(calls)}"

    async def three_times(task: RequestTask[str], error: Exception) -> None:
        handled.append(str(error))
        for _ in range(3):
            try:
                handled.append(await task())
            except OSError as again:
                handled.append(str(again))
            else:
                return

    task = tasks.task(on_error=three_times).schedule(send)
    await task.wait(10)
    if recovers_at == 2:
        assert (task.status, task.recovered, task.result) == ("succeeded", True, "sent at 2")
        assert handled == ["try 1", "sent at 2"]
    else:
        assert (task.status, task.recovered, str(task.error)) == ("failed", False, "try 1")
        assert handled == ["try 1", "try 2", "try 3", "try 4"]
    assert len(calls) == (2 if recovers_at == 2 else 4)


async def test_e3_a_task_that_has_ended_cannot_be_run_again(tasks: AppTasks) -> None:
    task = tasks.schedule(works)
    await task.wait(10)
    with pytest.raises(OffloadError, match="schedule its function anew"):
        await task()


async def test_e4_retries_are_counted_and_chosen_by_type(tasks: AppTasks) -> None:
    by_number = tasks.task(retry=RetryPolicy(max_retries=2, delays=(0,))).schedule(fail)
    chosen = tasks.task(retry=AT_ONCE, retry_on=(OSError,)).schedule(fail)
    base = tasks.task(retry=AT_ONCE).schedule(raiser(SystemExit()))
    for task, attempts in ((by_number, 3), (chosen, 1), (base, 1)):
        assert await task.wait(10) == "failed"
        assert task.attempt == attempts


async def test_e4_a_function_may_ask_for_another_attempt_or_for_none(tasks: AppTasks) -> None:
    answers: list[Exception] = [Retry(delay=0), Retry(delay=0)]

    async def asks() -> str:
        if answers:
            raise answers.pop()
        return "done"

    asking = tasks.schedule(asks)
    aborting = tasks.task(retry=AT_ONCE).schedule(raiser(Abort("never")))
    assert await asking.wait(10) == "succeeded"
    assert asking.attempt == 3
    assert await aborting.wait(10) == "failed"
    assert aborting.attempt == 1


async def test_e4_a_retry_that_waits_holds_no_slot(small: AppTasks) -> None:
    waits = small.task(retry=RetryPolicy(max_retries=1, delays=(3600,))).schedule(fail)
    assert await small.schedule(works).wait(10) == "succeeded"
    assert waits.status == "retrying"
    assert small.cancel(waits.id)
    assert waits.status == "cancelled"


async def test_e4_a_coroutine_is_cancelled_at_its_timeout(tasks: AppTasks) -> None:
    seen: list[str] = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    policy = RetryPolicy(max_retries=1, delays=(0,))
    task = tasks.task(timeout=0.02, retry=policy).schedule(hangs)
    assert await task.wait(10) == "failed"
    assert str(task.error) == "attempt 2 took longer than timeout=0.02 s"
    assert seen == ["cancelled", "cancelled"]


async def test_e4_a_thread_that_outlives_its_timeout_keeps_its_slot(small: AppTasks) -> None:
    go = threading.Event()
    task = small.task(timeout=0.02).schedule(go.wait)
    assert await task.wait(10) == "failed"
    assert isinstance(task.error, TimeoutError)
    assert (small.stats().left, small.stats().active) == (1, 0)
    follower = small.schedule(int)
    await asyncio.sleep(0)
    assert follower.status == "pending"
    go.set()
    assert await follower.wait(10) == "succeeded"
    assert small.stats().left == 0


async def test_e5_failures_tell_who_and_where_but_no_arguments(
    tasks: AppTasks, caplog: pytest.LogCaptureFixture
) -> None:
    async def pay(_token: str) -> None:
        raise ValueError("refused")

    scheduler = tasks.task(name="payment", retry=RetryPolicy(max_retries=1, delays=(0,)))
    task = scheduler.schedule(pay, "tok_SECRET")
    await task.wait(10)
    retried, failed = (record.getMessage() for record in caplog.records)
    assert f"request task {task.id} payment" in retried
    assert f"request task {task.id} payment ({__name__}." in failed
    assert "pay)" in failed
    assert "in attempt 2 after 0." in failed
    assert "tok_SECRET" not in caplog.text
    assert "tok_SECRET" not in repr(task)


async def test_e5_arguments_are_logged_on_demand(caplog: pytest.LogCaptureFixture) -> None:
    tasks = AppTasks(RunnerOptions(log_args=True))
    await tasks.schedule(raiser(ValueError()), "card", "42").wait(10)
    assert "called with ('card', '42') {}" in caplog.text


async def test_e6_a_coroutine_that_a_plain_function_returns_is_awaited_on_the_loop(
    tasks: AppTasks,
) -> None:
    async def where() -> int:
        return threading.get_ident()

    task = tasks.schedule(lambda: where())  # noqa: PLW0108 - a plain function is what is tested
    await task.wait(10)
    assert task.result == threading.get_ident()


@pytest.mark.parametrize(
    "options",
    [
        {"retry": -1},
        {"retry": True},
        {"retry": "3"},
        {"retry_on": "OSError"},
        {"retry_on": (OSError, "ValueError")},
        {"timeout": 0},
        {"timeout": "1"},
        {"when": "never"},
        {"on_conflict": "ignore"},
        {"on_error": "handler"},
        {"retries": 3},
    ],
)
def test_e4_wrong_options_are_refused_where_they_are_written(tasks: AppTasks, options: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))[:4]):
        tasks.task(**options)


async def test_a_coroutine_that_holds_up_the_loop_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = AppTasks(RunnerOptions(slow_step=1e-9))
    await tasks.task(name="resize").schedule(works).wait(10)
    assert "resize" in caplog.text
    assert "held the event loop" in caplog.text


async def test_defect_17_3_a_handler_that_retries_does_not_recurse(tasks: AppTasks) -> None:
    handled = 0

    async def handler(task: RequestTask[Any], _error: Exception) -> None:
        nonlocal handled
        handled += 1
        await task()

    task = tasks.task(on_error=handler).schedule(fail)
    assert await task.wait(10) == "failed"
    assert (handled, task.attempt) == (1, 2)
    assert isinstance(task.handler_error, ValueError)


async def test_what_was_stopped_is_not_retried(tasks: AppTasks) -> None:
    begun = asyncio.Event()

    async def turns_it_into_an_error() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("broken off") from None

    task = tasks.task(retry=AT_ONCE).schedule(turns_it_into_an_error)
    await begun.wait()
    assert tasks.cancel(task.id)
    assert await task.wait(10) == "failed"
    assert (task.attempt, task.reason) == (1, "cancelled")


async def test_all_is_written_in_one_log(tasks: AppTasks, caplog: pytest.LogCaptureFixture) -> None:
    await tasks.schedule(fail).wait(10)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("offload.inproc", logging.ERROR)
    assert record.exc_info is not None


async def test_e1_an_error_that_cannot_be_shown_is_retried_and_handled_like_others(
    tasks: AppTasks,
) -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    handled: list[int] = []
    scheduler = tasks.task(retry=AT_ONCE, on_error=lambda *_: handled.append(1))
    task = scheduler.schedule(raiser(Shy()))
    assert await task.wait(10) == "failed"
    assert (task.attempt, handled) == (4, [1])
