"""Options: what may be said where, and who is heard."""

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offload import (
    ConfigurationError,
    JobHandle,
    Limits,
    PayloadTooLarge,
    Queue,
    Task,
    TaskDefinitionError,
    Unique,
    chain,
    chord,
    group,
)
from offload.core.job import Job
from offload.core.options import Options, QueueOptions, over
from offload.tasks.definition import TaskOptions

QUEUE: dict[str, Any] = {
    "max_retries": 1,
    "retry_backoff": 0.1,
    "max_retry_delay": 100.0,
    "timeout": 10.0,
    "priority": 1,
    "expires": 10_000.0,
}
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
    "map with options": lambda _, task, /, **said: task.map([(1,)], **said),
    "amap with options": lambda _, task, /, **said: task.amap([(1,)], **said),
    "s": lambda _, task, /, **said: task.s(1).set(**said).delay(),
    "si": lambda _, task, /, **said: task.si(1).set(**said).adelay(),
    "chain": lambda _, task, /, **said: chain(task.si(1), task.s().set(**said)).delay(),
    "achain": lambda _, task, /, **said: chain(task.si(1).set(**said)).adelay(),
    "group": lambda _, task, /, **said: group(task.s(1).set(**said)).delay()[0],
    "chord": lambda _, task, /, **said: chord([task.s(1)], task.si(1).set(**said)).delay(),
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
async def test_the_queues_options_hold_for_every_way_to_enqueue(url: str, way: str) -> None:
    queue = Queue(url, **QUEUE)
    job = await stored(queue, WAYS[way](queue, defined(queue)))
    assert said(job) == DEFAULT | QUEUE
    await queue.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_the_tasks_options_come_before_the_queues(url: str, way: str) -> None:
    queue = Queue(url, **QUEUE)
    job = await stored(queue, WAYS[way](queue, defined(queue, **TASK)))
    assert said(job) == TASK
    await queue.aclose()


@pytest.mark.parametrize("way", WITH_OPTIONS)
async def test_the_calls_options_come_before_all(url: str, way: str) -> None:
    queue = Queue(url, **QUEUE)
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
async def test_zero_is_something_said(url: str, zero: str) -> None:
    queue = Queue(url, **QUEUE)
    task = defined(queue, **TASK)
    job = await stored(queue, task.apply_async([1], **{zero: 0}))
    assert said(job)[zero] == 0
    await queue.aclose()


@pytest.mark.parametrize("way", WITH_OPTIONS)
@pytest.mark.parametrize("option", ["timeout", "expires"])
async def test_infinity_lifts_what_the_task_has(queue: Queue, way: str, option: str) -> None:
    task = defined(queue, **TASK)
    job = await stored(queue, WAYS[way](queue, task, **{option: float("inf")}))
    assert said(job) == TASK | {option: None}


@pytest.mark.parametrize("way", WAYS)
async def test_a_list_of_delays_holds_for_every_way(url: str, way: str) -> None:
    queue = Queue(url, retry_delays=[9])
    assert (await stored(queue, WAYS[way](queue, defined(queue)))).retry.delays == (9,)
    task = defined(queue, name="own", retry_delays=[1, 2.5])
    assert (await stored(queue, WAYS[way](queue, task))).retry.delays == (1, 2.5)
    await queue.aclose()


@pytest.mark.parametrize(
    ("said", "delays"),
    [
        ({"retry_delays": [7]}, (7,)),
        ({"retry_delays": []}, ()),
        ({"retry_backoff": 5}, ()),
        ({"max_retry_delay": 5}, ()),
        ({"retry_backoff": None}, (1, 2)),
    ],
)
def test_who_says_how_to_back_off_is_not_overruled_by_a_weaker_list(
    queue: Queue, said: dict[str, Any], delays: tuple[float, ...]
) -> None:
    task = defined(queue, retry_delays=[1, 2])
    assert task.new_job([1], {}, **said).retry.delays == delays


@pytest.mark.parametrize("way", WITH_OPTIONS)
async def test_on_parent_failure_is_overruled_too(queue: Queue, way: str) -> None:
    parent = defined(queue, name="parent").apply_async([1])
    task = defined(queue, on_parent_failure="cancel")
    made = {"on_parent_failure": "run"}
    if way not in ("chain", "chord"):
        made["depends_on"] = parent
    job = await stored(queue, WAYS[way](queue, task, **made))
    assert job.blockers == 1
    for blocking in queue.list_jobs(status="pending"):
        if blocking.id != job.id:
            assert await blocking.acancel()
    handle = await queue.aget_job(job.id)
    assert handle is not None
    assert (handle.status, handle.blocked_by) == ("pending", 0)


def test_every_option_of_a_call_is_tested_here() -> None:
    elsewhere = {"retry_delays", "unique", "on_parent_failure"}
    assert set(Options.__annotations__) - elsewhere == set(CALL) == set(TASK)
    assert set(QueueOptions.__annotations__) - elsewhere == set(QUEUE)


SECONDS = "a number of seconds, 0 or more"
RETRIES = "a whole number, 0 or more"
TIMEOUT = "a number of seconds above 0; float('inf') for none"
PRIORITY = "a whole number; higher is sooner"
EXPIRES = "a number of seconds, 0 or more; float('inf') for never"
DELAYS = "a list of seconds, each 0 or more"
ERRORS = "an exception type or a list of them"
MOST = "a whole number, 1 or more"
KEY = "a function of the task's arguments, or the name of one"
NAN = float("nan")

WRONG = [
    *(("max_retries", value, RETRIES) for value in (-1, 1.5, True, "3", NAN)),
    *(("retry_backoff", value, SECONDS) for value in (-0.1, NAN, "1", True)),
    *(("max_retry_delay", value, SECONDS) for value in (-1, float("inf"))),
    *(("retry_delays", value, DELAYS) for value in (5, "12", [-1], [NAN], ["1"], {1: 2})),
    *(("timeout", value, TIMEOUT) for value in (0, -5, "5 s", NAN, True)),
    *(("priority", value, PRIORITY) for value in (1.5, "high", True)),
    *(("queue", value, "a name") for value in ("", 7, b"q")),
    *(("result_ttl", value, SECONDS) for value in (-1, float("inf"), NAN)),
    *(("expires", value, EXPIRES) for value in (-1, NAN, "soon")),
    *(("unique", value, "True, False or Unique(…)") for value in (1, "key", lambda x: x)),
    *(("on_parent_failure", value, "'cancel' or 'run'") for value in ("ignore", True, ["run"])),
]
WRONG_FOR_A_TASK = [
    *(("executor", value, "one of async, thread, process") for value in ("threads", 1, ["async"])),
    *(("retry_on", value, ERRORS) for value in ("OSError", 5, [OSError, "x"], OSError())),
    *(("no_retry_on", value, ERRORS) for value in (int, [int], object)),
    *(("max_concurrency", value, MOST) for value in (0, -1, 2.0, True, "2")),
    *(("limit_key", value, KEY) for value in (1, "", ["x"])),
    ("rate_limit", 10, "a text such as '10/s'"),
]


@pytest.mark.parametrize(("option", "value", "valid"), WRONG)
def test_a_wrong_option_fails_where_it_is_written(
    queue: Queue, option: str, value: Any, valid: str
) -> None:
    match = re.compile(f"{option}=.*must be {re.escape(valid)}")
    with pytest.raises(ConfigurationError, match=match):
        queue.task(**{option: value})
    task = defined(queue)
    said: dict[str, Any] = {option: value}
    for call in (
        lambda: task.apply_async([1], **said),
        lambda: task.map([(1,)], **said),
        lambda: task.map([], **said),
        lambda: queue.enqueue_many(task.name, [(1,)], **said),
        lambda: queue.enqueue_many(task.name, [], **said),
        lambda: task.s(1).set(**said).delay(),
        lambda: chain(task.s(1), group(task.s().set(**said))).delay(),
    ):
        with pytest.raises(ConfigurationError, match=match):
            call()
    assert queue.list_jobs() == []


@pytest.mark.parametrize(("option", "value", "valid"), WRONG_FOR_A_TASK)
def test_a_wrong_option_of_a_task_fails_when_it_is_defined(
    queue: Queue, option: str, value: Any, valid: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be {valid}"):
        queue.task(**{option: value})


@pytest.mark.parametrize("rate", ["10", "10/x", "0/s", "ten/s", "-1/s", "1.5/s", "10/s ", ""])
def test_a_wrong_rate_says_how_one_is_written(queue: Queue, rate: str) -> None:
    with pytest.raises(ConfigurationError, match=r"rate_limit=.*as in '10/s'"):
        queue.task(rate_limit=rate)


@pytest.mark.parametrize(("option", "value", "valid"), [row for row in WRONG if row[0] in QUEUE])
def test_a_wrong_option_of_a_queue_fails_at_once(option: str, value: Any, valid: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*must be "):
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
        {"retry_on": OSError},
        {"queue": "other"},
        {"default_retry": 3},
    ],
)
def test_a_queue_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Queue(**wrong)


def test_an_unknown_option_is_named_with_the_known_ones(queue: Queue) -> None:
    calls: list[Callable[[], object]] = [
        lambda: queue.task(max_retrys=3),  # type: ignore[call-overload]
        lambda: defined(queue).apply_async([1], max_retrys=3),
        lambda: defined(queue).map([], max_retrys=3),
        lambda: Queue(max_retrys=3),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"'max_retrys'; there are: .*max_retries"):
            call()


@pytest.mark.parametrize("option", ["executor", "retry_on", "rate_limit", "limit_key", "limits"])
def test_what_only_a_task_can_say_is_no_option_of_a_call(queue: Queue, option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown option '{option}'"):
        defined(queue).apply_async([1], **{option: "x"})


@pytest.mark.parametrize("weak", ["retry_backoff", "max_retry_delay"])
def test_a_list_of_delays_and_a_backoff_at_once_are_refused(queue: Queue, weak: str) -> None:
    said: dict[str, Any] = {"retry_delays": [1], weak: 2}
    with pytest.raises(ConfigurationError, match="leave out retry_backoff="):
        queue.task(**said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_key": "x"}, "add rate_limit= or max_concurrency="),
        ({"limit_key": "y", "rate_limit": "1/s"}, "limit_key='y': no such argument.*there are: x"),
        ({"limit_key": lambda y: y, "max_concurrency": 1}, r"limit_key= is called .*\(x\).*\*\*_"),
        ({"unique": Unique(key="y")}, "unique: key='y': no such argument; there are: x"),
        ({"unique": Unique(key=["x", "y"])}, "unique: key='y': no such argument"),
        ({"unique": Unique(key=lambda: "k")}, r"unique: key= is called .*\(x\)"),
        ({"limits": Limits(cpu=1)}, "add executor='process' to limits="),
        ({"limits": {"cpu": 1}}, r"must be Limits\(memory="),
    ],
)
def test_options_must_fit_the_function_and_each_other(
    queue: Queue, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        defined(queue, **options)


def test_a_function_that_takes_any_name_may_be_asked_for_any(queue: Queue) -> None:
    @queue.task(unique=Unique(key="user"), max_concurrency=1, limit_key="tenant")
    def work(**named: int) -> None: ...

    job = work.new_job((), {"user": 1, "tenant": 2, "more": 3})
    assert job.lane is not None
    assert job.lane.name == f"{work.name}:2"
    assert job.unique == work.new_job((), {"user": 1, "tenant": 9}).unique


def test_exception_types_may_be_one_or_several(queue: Queue) -> None:
    task = defined(queue, retry_on=OSError, no_retry_on=[TimeoutError, KeyError])
    assert (task.retry_on, task.no_retry_on) == ((OSError,), (TimeoutError, KeyError))
    task = defined(queue, name="plain")
    assert (task.retry_on, task.no_retry_on) == (None, ())


def test_a_stronger_saying_completes_the_weaker() -> None:
    assert over({"priority": 1}, {"priority": 2, "timeout": 3}) == {"priority": 1, "timeout": 3}
    assert set(Options.__annotations__) < set(TaskOptions.__annotations__)


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


@pytest.mark.parametrize("option", ["max_arguments", "max_result"])
def test_a_cap_of_nothing_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{option}=0: must be 1 byte or more"):
        Queue("memory://", **{option: 0})  # type: ignore[arg-type]


def test_the_cap_on_arguments_is_the_queues() -> None:
    queue = Queue("memory://", max_arguments=20)

    @queue.task
    def work(text: str) -> None: ...

    assert work.delay("x" * 10).status == "pending"
    with pytest.raises(PayloadTooLarge, match=r"Queue\(max_arguments=…\)"):
        work.delay("x" * 20)
    queue.close()
