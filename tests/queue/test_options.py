"""Options: what may be said where, and who is heard."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offload import ConfigurationError, JobHandle, Queue, Task, TaskDefinitionError
from offload.core.job import Job

QUEUE: dict[str, Any] = {"max_retries": 1, "retry_backoff": 0.1, "timeout": 10.0, "priority": 1}
TASK: dict[str, Any] = {
    "max_retries": 2,
    "retry_backoff": 0.2,
    "timeout": 20.0,
    "priority": 2,
    "max_retry_delay": 200.0,
    "queue": "of the task",
    "result_ttl": 2000.0,
    "expires": 20_000.0,
}
CALL: dict[str, Any] = {
    "max_retries": 3,
    "retry_backoff": 0.3,
    "timeout": 30.0,
    "priority": 3,
    "max_retry_delay": 300.5,
    "queue": "of the call",
    "result_ttl": 3000.0,
    "expires": 30_000.0,
}
DEFAULT: dict[str, Any] = {
    "max_retries": 3,
    "retry_backoff": 1.0,
    "timeout": None,
    "priority": 0,
    "max_retry_delay": 300.0,
    "queue": "default",
    "result_ttl": None,
    "expires": None,
}


def said(job: Job) -> dict[str, Any]:
    """Return the options that a stored job has."""
    return {
        "max_retries": job.retry.max_retries,
        "retry_backoff": job.retry.backoff,
        "timeout": job.timeout,
        "priority": job.priority,
        "max_retry_delay": job.retry.max_delay,
        "queue": job.queue,
        "result_ttl": job.result_ttl,
        "expires": job.expires_at and (job.expires_at - job.created_at) / 1000,
    }


WITHOUT_OPTIONS: dict[str, Callable[[Queue, Any], Any]] = {
    "delay": lambda _, task: task.delay(1),
    "adelay": lambda _, task: task.adelay(1),
    "map": lambda _, task: task.map([(1,)]),
    "amap": lambda _, task: task.amap([(1,)]),
    "enqueue": lambda queue, task: queue.enqueue(task.name, 1),
    "aenqueue": lambda queue, task: queue.aenqueue(task.name, 1),
}
WITH_OPTIONS: dict[str, Callable[..., Any]] = {
    "apply_async": lambda _, task, /, **said: task.apply_async([1], **said),
    "aapply_async": lambda _, task, /, **said: task.aapply_async(args=(1,), **said),
    "enqueue_many": lambda queue, task, /, **said: queue.enqueue_many(task.name, [(1,)], **said),
    "aenqueue_many": lambda queue, task, /, **said: queue.aenqueue_many(task.name, [(1,)], **said),
}
WAYS: dict[str, Callable[..., Any]] = {**WITHOUT_OPTIONS, **WITH_OPTIONS}

Enqueue = Callable[..., Any]


async def stored(queue: Queue, enqueued: Any) -> Job:
    """Return the one job that was enqueued, as it is read back."""
    handles = await enqueued if inspect.isawaitable(enqueued) else enqueued
    handle: JobHandle[Any] = handles[0] if isinstance(handles, list) else handles
    return (await handle.arefresh()).job


def defined(queue: Queue, /, **options: Any) -> Any:
    def work(x: int) -> int:
        return x

    return queue.task(**options)(work)


@pytest.mark.parametrize("way", WAYS)
async def test_what_nobody_says_has_the_documented_default(queue: Queue, way: str) -> None:
    job = await stored(queue, WAYS[way](queue, defined(queue)))
    assert said(job) == DEFAULT


@pytest.mark.parametrize("way", WAYS)
async def test_the_queues_options_hold_for_every_way_to_enqueue(path: Any, way: str) -> None:
    queue = Queue(db_path=str(path), **QUEUE)
    job = await stored(queue, WAYS[way](queue, defined(queue)))
    assert said(job) == DEFAULT | QUEUE
    await queue.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_the_tasks_options_come_before_the_queues(path: Any, way: str) -> None:
    queue = Queue(db_path=str(path), **QUEUE)
    job = await stored(queue, WAYS[way](queue, defined(queue, **TASK)))
    assert said(job) == TASK
    await queue.aclose()


@pytest.mark.parametrize("way", WITH_OPTIONS)
async def test_the_calls_options_come_before_all(path: Any, way: str) -> None:
    queue = Queue(db_path=str(path), **QUEUE)
    job = await stored(queue, WAYS[way](queue, defined(queue, **TASK), **CALL))
    assert said(job) == CALL
    await queue.aclose()


@pytest.mark.parametrize("way", WITH_OPTIONS)
@pytest.mark.parametrize("option", CALL)
async def test_each_option_is_overruled_alone(queue: Queue, way: str, option: str) -> None:
    task = defined(queue, **TASK)
    job = await stored(queue, WAYS[way](queue, task, **{option: CALL[option]}))
    assert said(job) == TASK | {option: CALL[option]}


@pytest.mark.parametrize("zero", ["max_retries", "retry_backoff", "priority", "result_ttl"])
async def test_zero_is_something_said(path: Any, zero: str) -> None:
    queue = Queue(db_path=str(path), **QUEUE)
    task = defined(queue, **TASK)
    job = await stored(queue, task.apply_async([1], **{zero: 0}))
    assert said(job)[zero] == 0
    await queue.aclose()


WRONG = [
    ("max_retries", -1, "a whole number, 0 or more"),
    ("max_retries", 1.5, "a whole number, 0 or more"),
    ("max_retries", True, "a whole number, 0 or more"),
    ("max_retries", "3", "a whole number, 0 or more"),
    ("retry_backoff", -0.1, "a number of seconds, 0 or more"),
    ("retry_backoff", float("nan"), "a number of seconds, 0 or more"),
    ("max_retry_delay", float("inf"), "a number of seconds, 0 or more"),
    ("timeout", 0, "a number of seconds above 0"),
    ("timeout", -5, "a number of seconds above 0"),
    ("timeout", "5 s", "a number of seconds above 0"),
    ("priority", 1.5, "a whole number; higher is sooner"),
    ("priority", "high", "a whole number; higher is sooner"),
    ("queue", "", "a name"),
    ("queue", 7, "a name"),
    ("result_ttl", -1, "a number of seconds, 0 or more"),
    ("expires", -1, "a number of seconds, 0 or more"),
]


@pytest.mark.parametrize(("option", "value", "valid"), WRONG)
def test_a_wrong_option_fails_where_it_is_written(
    queue: Queue, option: str, value: Any, valid: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be {valid}"):
        queue.task(**{option: value})
    task = defined(queue)
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be {valid}"):
        task.apply_async([1], **{option: value})
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be {valid}"):
        queue.enqueue_many(task.name, [(1,)], **{option: value})
    assert queue.list_jobs() == []


@pytest.mark.parametrize(("option", "value", "valid"), [row for row in WRONG if row[0] in QUEUE])
def test_a_wrong_option_of_a_queue_fails_at_once(option: str, value: Any, valid: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be {valid}"):
        Queue(**{option: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"result_ttl": -1},
        {"synchronous": "OFF"},
        {"heartbeat": 0},
        {"lease": 10, "heartbeat": 5},
        {"url": "a.db", "db_path": "b.db"},
        {"url": "mysql://here"},
    ],
)
def test_a_queue_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Queue(**wrong)


def test_an_unknown_option_is_named_with_the_known_ones(queue: Queue) -> None:
    with pytest.raises(ConfigurationError, match=r"'max_retrys'; there are: .*max_retries"):
        queue.task(max_retrys=3)
    with pytest.raises(ConfigurationError, match=r"max_retrys.*there are: .*max_retries"):
        defined(queue).apply_async([1], max_retrys=3)


async def test_delay_and_eta_say_when(queue: Queue) -> None:
    task = defined(queue)
    job = await stored(queue, task.apply_async([1], delay=60))
    assert job.run_at == job.created_at + 60_000
    eta = datetime.now(UTC) + timedelta(hours=1)
    job = await stored(queue, task.apply_async([1], eta=eta))
    assert job.run_at == round(eta.timestamp() * 1000)
    job = await stored(queue, task.apply_async([1], eta=datetime(2001, 1, 1, tzinfo=UTC)))
    assert job.run_at == job.created_at


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delay": -1}, "delay=-1"),
        ({"eta": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"eta": datetime(2030, 1, 1, tzinfo=UTC), "delay": 1}, "not both"),
        ({"delay": float("nan")}, "delay=nan"),
        ({"delay": float("inf")}, "delay=inf"),
        ({"delay": "soon"}, "delay='soon'"),
    ],
)
def test_a_wrong_time_is_refused(queue: Queue, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        defined(queue).apply_async([1], **wrong)


async def test_metadata_and_tags_are_kept(queue: Queue) -> None:
    task: Task[..., Any, Any] = defined(queue)
    job = await stored(queue, task.apply_async([1], metadata={"user": 7}, tags=["a", "b"]))
    assert (job.metadata, job.tags) == ({"user": 7}, ("a", "b"))


def test_metadata_that_is_not_json_is_refused_at_the_call(queue: Queue) -> None:
    with pytest.raises((ConfigurationError, ValueError, TypeError), match=r"metadata|JSON"):
        defined(queue).apply_async([1], metadata={"file": object()})
    assert queue.list_jobs() == []


EXECUTORS: list[tuple[str, bool, str]] = [
    ("threads", False, "use one of async, thread, process"),
    ("thread", True, "cannot run an async function"),
    ("process", True, "cannot run an async function"),
    ("async", False, "cannot run a plain function"),
    ("process", False, "must stand at module level"),
]


@pytest.mark.parametrize(("executor", "asynchronous", "message"), EXECUTORS)
def test_an_executor_must_fit_the_function(
    queue: Queue, executor: str, message: str, *, asynchronous: bool
) -> None:
    def plain() -> None: ...

    async def coroutine() -> None: ...

    with pytest.raises(TaskDefinitionError, match=message):
        queue.task(executor=executor)(coroutine if asynchronous else plain)
