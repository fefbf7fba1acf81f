"""Who is told of what happened to a job, and what runs around its function."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from offload import (
    Abort,
    ConfigurationError,
    JobCancelled,
    JobContext,
    JobDead,
    JobEvent,
    Queue,
    current_job,
)
from offload.tasks.hooks import Happening
from tests.worker.staging import Stage, logs_of, reached, working

Told = asyncio.Queue[JobEvent]


@pytest.fixture
async def told(queue: Queue) -> Told:
    """All events of a queue, as a coroutine hook hears of them."""
    events: Told = asyncio.Queue()
    for register in (queue.on_start, queue.on_success, queue.on_retry):
        register(events.put)
    for register in (queue.on_failure, queue.on_cancel):
        register(events.put)
    return events


async def hears(told: Told) -> JobEvent:
    async with asyncio.timeout(30):
        return await told.get()


async def test_hooks_are_told_what_happened(queue: Queue, told: Told) -> None:
    @queue.task(max_retries=1, name="t", retry_backoff=0.002)
    def fail_once() -> None:
        if current_job.retry_count == 0:
            raise ValueError("not yet")

    async with working(queue):
        job = await fail_once.aapply_async([], queue="q")
        events = [await hears(told) for _ in range(4)]
    assert [(event.happening, event.attempt, event.status) for event in events] == [
        ("start", 1, "running"),
        ("retry", 1, "pending"),
        ("start", 2, "running"),
        ("success", 2, "complete"),
    ]
    assert {(event.job_id, event.task, event.queue) for event in events} == {(job.id, "t", "q")}
    assert [event.error for event in events] == [None, "ValueError: not yet", None, None]
    start, retry, _, success = events
    assert (start.seconds, start.delay, success.delay) == (None, None, None)
    assert retry.delay is not None
    assert 0.001 <= retry.delay <= 0.002
    assert success.seconds is not None
    with pytest.raises(AttributeError):
        success.status = "failed"  # type: ignore[misc]


@pytest.mark.parametrize(("error", "status"), [(Abort("no"), "failed"), (ValueError(), "dead")])
async def test_a_failure_is_final(queue: Queue, told: Told, error: Exception, status: str) -> None:
    @queue.task
    def fail() -> None:
        raise error

    async with working(queue):
        await fail.adelay()
        assert (await hears(told)).happening is Happening.START
        event = await hears(told)
    assert (event.happening, event.status) == (Happening.FAILURE, status)


async def test_a_cancelled_run_is_told(queue: Queue, told: Told) -> None:
    @queue.task
    async def wait() -> None:
        await asyncio.Event().wait()

    async with working(queue):
        job = await wait.adelay()
        await hears(told)
        assert await job.acancel(running=True)
        event = await hears(told)
    assert (event.happening, event.status) == (Happening.CANCEL, "cancelled")


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_what_a_hook_hears_is_stored_already(app: Any, executor: str) -> None:
    read: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    @app.queue.on_success  # type: ignore[untyped-decorator]
    def look(event: JobEvent) -> None:
        job = app.queue.get_job(event.job_id)
        loop.call_soon_threadsafe(read.put_nowait, (job.id, job.status))

    async with working(app.queue):
        job = await app.TASKS[executor].adelay("return")
        assert await asyncio.wait_for(read.get(), 30) == (job.id, "complete")


async def test_hooks_that_raise_change_nothing(
    queue: Queue, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    @queue.on_success
    def exits(event: JobEvent) -> None:
        raise SystemExit(event.job_id)

    @queue.on_success
    async def exits_the_loop(event: JobEvent) -> None:
        raise KeyboardInterrupt

    @queue.on_success
    async def raises(event: JobEvent) -> None:
        raise RuntimeError("hook bug")

    @queue.on_success
    def hears_still(event: JobEvent) -> None:
        heard.append(event.job_id)

    @queue.task(max_retries=3)
    def fine() -> int:
        return 1

    async with working(queue) as work:
        jobs = await fine.amap([()] * 3)
        assert [await job.aresult(timeout=30) for job in jobs] == [1, 1, 1]
        assert not work.task.done()
    assert sorted(heard) == sorted(job.id for job in jobs)
    assert [(await job.arefresh()).job.attempt for job in jobs] == [1, 1, 1]
    assert caplog.text.count("RuntimeError: hook bug") == 3
    assert caplog.text.count("RuntimeError: a hook must not end its worker") == 3
    assert caplog.text.count("SystemExit: ") == 3


@pytest.fixture
def release() -> Any:
    """What a hook waits for that hangs; it ends with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_hook_that_hangs_holds_up_hooks_only(
    queue: Queue,
    release: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("offload.worker.worker.LAST_WORDS", 0.05)
    monkeypatch.setattr("offload.worker.hooks.MOST_WAITING", 5)
    hung = threading.Event()

    @queue.on_start
    def hang(event: JobEvent) -> None:
        hung.set()
        release.wait()

    @queue.task
    def fine() -> int:
        return 1

    async with working(queue, concurrency=1) as work:
        await (await fine.adelay()).aresult(timeout=30)
        assert await asyncio.to_thread(hung.wait, 30)
        for job in await fine.amap([()] * 20):
            assert await job.aresult(timeout=30) == 1
        await work.end()
    assert "hooks are too slow: more than 5 events wait" in caplog.text
    assert "hooks still run or wait to be called" in caplog.text


async def test_a_coroutine_hook_has_its_time(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("offload.worker.hooks.PATIENCE", 0.05)
    cancelled, heard = asyncio.Event(), asyncio.Event()

    @queue.on_success
    async def hang(event: JobEvent) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @queue.on_success
    async def follow(event: JobEvent) -> None:
        heard.set()

    @queue.task
    def fine() -> None: ...

    async with working(queue):
        await fine.adelay()
        async with asyncio.timeout(30):
            await cancelled.wait()
            await heard.wait()
    assert "TimeoutError" in caplog.text


async def test_last_events_are_told_before_the_worker_goes(queue: Queue) -> None:
    heard: list[str] = []

    @queue.on_success
    async def hear(event: JobEvent) -> None:
        heard.append(event.job_id)

    @queue.task
    def fine() -> None: ...

    async with working(queue) as work:
        jobs = await fine.amap([()] * 200)
        await jobs[-1].aresult(timeout=30)
        await work.end()
    assert sorted(heard) == sorted(job.id for job in jobs)


async def test_without_hooks_there_is_no_thread_for_them(queue: Queue) -> None:
    @queue.on_retry
    def hear(event: JobEvent) -> None:
        raise AssertionError(event)

    @queue.task
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    async with working(queue):
        names = await (await threads.adelay()).aresult(timeout=30)
    assert "offload-task" in names
    assert "offload-hooks" not in names


# --- middleware --------------------------------------------------------------------------

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=["async", "thread"])
async def around(request: pytest.FixtureRequest, queue: Queue) -> Any:
    """Make a task of a function, in either executor."""

    def make(function: Any, **options: Any) -> Any:
        async def coroutine() -> Any:
            return function()

        wrapped = coroutine if request.param == "async" else function
        return queue.task(name="around", **options)(wrapped)

    return make


async def test_middleware_runs_around_the_function_in_its_context(
    queue: Queue, around: Any
) -> None:
    steps: list[str] = []

    def layer(name: str) -> Any:
        def middleware(job: JobContext) -> Iterator[None]:
            assert job.id == current_job.id
            steps.append(f"before {name}")
            token = variable.set(f"{variable.get()} {name}")
            yield
            variable.reset(token)
            steps.append(f"after {name}")

        return middleware

    for name in ("outer", "inner"):
        queue.middleware(layer(name))

    def look() -> str:
        steps.append("run")
        return variable.get()

    task = around(look)
    async with working(queue):
        assert await (await task.adelay()).aresult(timeout=30) == "unset outer inner"
    assert steps == ["before outer", "before inner", "run", "after inner", "after outer"]
    assert variable.get() == "unset"


@pytest.mark.parametrize("where", ["before", "after"])
async def test_an_error_in_middleware_is_an_error_of_the_attempt(
    queue: Queue, around: Any, where: str
) -> None:
    ran: list[str] = []

    @queue.middleware
    def clumsy(job: JobContext) -> Iterator[None]:
        if where == "before":
            raise RuntimeError("stumbled before")
        yield
        raise RuntimeError("stumbled after")

    task = around(lambda: ran.append("ran"), max_retries=1)
    async with working(queue):
        job = await task.adelay()
        with pytest.raises(JobDead, match=f"RuntimeError: stumbled {where}"):
            await job.aresult(timeout=30)
    assert len(ran) == (2 if where == "after" else 0)


def fail() -> None:
    raise ValueError("of the task")


async def test_middleware_sees_the_error_and_may_swallow_it(queue: Queue, around: Any) -> None:
    seen: list[str] = []
    swallows = [False, True]

    @queue.middleware
    def observe(job: JobContext) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(str(error))
            if not swallows[job.retry_count]:
                raise

    task = around(fail, max_retries=1)
    async with working(queue):
        job = await task.adelay()
        assert await job.aresult(timeout=30) is None
    assert seen == ["of the task"] * 2
    [error] = await queue.ajob_errors(job.id)
    assert error.failure.message == "of the task"
    assert "in fail" in error.failure.traceback


async def test_middleware_runs_in_the_process_of_the_function(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_process.adelay("wrapped")
        assert await job.aresult(timeout=30) == "set by middleware"
        [line] = await logs_of(app.queue, job.id)
        assert line.message == f"wrapped in {(await stage.started(word='wrapped'))}"


async def test_a_cancelled_coroutine_leaves_its_middleware(queue: Queue) -> None:
    left: list[str] = []

    @queue.middleware
    def observe(job: JobContext) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    @queue.task
    async def wait() -> None:
        await asyncio.Event().wait()

    async with working(queue):
        job = await wait.adelay()
        await reached(queue, job.id, "running")
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled):
            await job.aresult(timeout=30)
    assert left == ["CancelledError"]


async def test_middleware_must_be_a_generator(queue: Queue) -> None:
    def plain(job: JobContext) -> None: ...

    async def coroutine(job: JobContext) -> None: ...

    for wrong in (plain, coroutine):
        with pytest.raises(ConfigurationError, match="one `yield`"):
            queue.middleware(wrong)  # type: ignore[type-var]
