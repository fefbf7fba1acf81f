"""A job in place of its id is as good; what cannot be right is refused, in words that help."""

import asyncio
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    JobDead,
    JobHandle,
    Limits,
    OffloadError,
    Queue,
    Retry,
    Snooze,
    TaskDefinitionError,
    group,
)
from tests.worker.staging import working


@pytest.fixture
def add(queue: Queue) -> Any:
    @queue.task(name="add", max_retries=0)
    async def add(x: int, y: int = 0) -> int:
        if x < 0:
            raise ValueError(x)
        return x + y

    return add


# ------------------------------------------------------------------ jobs, and tasks, themselves


async def test_a_handle_does_where_an_id_is_asked_for(queue: Queue, add: Any) -> None:
    job = await add.adelay(1)
    found = [await queue.aget_job(job), *queue.get_jobs([job, "no", job.id])]
    assert [each and each.id for each in found] == [job.id, job.id, None, job.id]
    kept: list[list[Any]] = [
        queue.job_errors(job),
        queue.job_logs(job),
        queue.job_metrics(job),
        queue.job_parts(job),
        queue.replay_history(job),
        queue.list_jobs(before=job),
    ]
    assert kept == [[]] * len(kept)
    assert not queue.cancel_running_job(job)
    assert await queue.acancel_job(job)
    assert [state.status async for state in queue.awatch(job)] == ["cancelled"]
    again = await queue.areplay(job)
    assert [repeat.job_id for repeat in queue.replay_history(job)] == [again.id]


async def test_a_dead_letter_does_where_its_id_is_asked_for(queue: Queue, add: Any) -> None:
    jobs = add.map([(-1,), (-2,), (-3,)])
    async with working(queue):
        for job in jobs:
            with pytest.raises(JobDead):
                await job.aresult(timeout=30)
    letters = {letter.id: letter for letter in queue.dead_letters()}
    assert queue.get_job(queue.retry_dead(letters[jobs[0].id])) is not None
    assert queue.get_job(queue.retry_dead(jobs[1])) is not None
    assert list(queue.retry_dead_many([letters[jobs[2].id], jobs[0]])) == [jobs[2].id]


async def test_a_task_does_where_its_name_is_asked_for(queue: Queue, add: Any) -> None:
    job = await queue.aenqueue(add, 1, y=2)
    [other] = queue.enqueue_many(add, [(1,)])
    assert {found.id for found in queue.list_jobs(task=add)} == {job.id, other.id}
    async with working(queue):
        assert await job.aresult(timeout=30) == 3
        assert await other.aresult(timeout=30) == 1
    assert queue.metrics(add)["add"].count == 2


# ---------------------------------------------------------------------------------- what is wrong

JOB = "must be a job, a handle, or an id"
JOBS = "must be a list of jobs, handles or ids"
COUNT = "must be a whole number, 0 or more"
SECONDS = "must be a number of seconds, 0 or more"
AGE = "must be a number of seconds"
NAME = "must be a name: valid text, not empty"
ONE_NAME = "give one name, or None for all"
NAMES = "give a list of names, or None for all"

CALLS: list[tuple[str, Callable[[Queue], object], str]] = [
    ("job_id=5", lambda q: q.get_job(5), JOB),  # type: ignore[arg-type]
    ("job_id=None", lambda q: q.cancel_job(None), JOB),  # type: ignore[arg-type]
    ("job_id=UUID", lambda q: q.cancel_running_job(uuid4()), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.job_errors(5), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.job_logs(5), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.job_metrics(5), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.job_parts(5), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.replay_history(5), JOB),  # type: ignore[arg-type]
    ("job_id=5", lambda q: q.replay(5), JOB),  # type: ignore[arg-type]
    ("dead_id=5", lambda q: q.retry_dead(5), JOB),  # type: ignore[arg-type]
    ("dead_ids='abc'", lambda q: q.retry_dead_many("abc"), JOBS),
    ("dead_ids=5", lambda q: q.retry_dead_many(5), JOBS),  # type: ignore[arg-type]
    ("job_ids='abc'", lambda q: q.get_jobs("abc"), JOBS),
    ("job_ids=[5]", lambda q: q.get_jobs([5]), JOBS),  # type: ignore[list-item]
    ("before=5", lambda q: q.list_jobs(before=5), JOB),  # type: ignore[arg-type]
    ("status=5", lambda q: q.list_jobs(status=5), "use pending, running"),  # type: ignore[arg-type]
    ("limit='5'", lambda q: q.list_jobs(limit="5"), COUNT),  # type: ignore[arg-type]
    ("limit=-1", lambda q: q.list_jobs(limit=-1), COUNT),
    ("limit=None", lambda q: q.job_logs("a", limit=None), COUNT),  # type: ignore[arg-type]
    ("level=5", lambda q: q.job_logs("a", level=5), ONE_NAME),  # type: ignore[arg-type]
    ("after='1'", lambda q: q.job_parts("a", after="1"), COUNT),  # type: ignore[arg-type]
    ("limit='1'", lambda q: q.job_parts("a", limit="1"), COUNT),  # type: ignore[arg-type]
    ("limit='x'", lambda q: q.metrics(limit="x"), COUNT),  # type: ignore[arg-type]
    ("task=5", lambda q: q.metrics(5), ONE_NAME),  # type: ignore[arg-type]
    ("queue=['a']", lambda q: q.stats(["a"]), ONE_NAME),  # type: ignore[arg-type]
    ("limit='5'", lambda q: q.dead_letters("5"), COUNT),  # type: ignore[arg-type]
    ("offset=-1", lambda q: q.dead_letters(offset=-1), COUNT),
    ("queue=None", lambda q: q.purge(None), NAME),  # type: ignore[arg-type]
    ("queue=['a']", lambda q: q.pause(["a"]), NAME),  # type: ignore[arg-type]
    ("queue=None", lambda q: q.resume(None), NAME),  # type: ignore[arg-type]
    ("older_than='1d'", lambda q: q.purge_completed("1d"), AGE),  # type: ignore[arg-type]
    ("older_than=None", lambda q: q.purge_completed(None), AGE),  # type: ignore[arg-type]
    ("older_than=inf", lambda q: q.purge_completed(float("inf")), AGE),
    ("older_than=", lambda q: q.purge_dead(timedelta(1)), AGE),  # type: ignore[arg-type]
    ("name=5", lambda q: q.delete_periodic(5), NAME),  # type: ignore[arg-type]
    ("options=5", lambda q: q.edit_periodic("p", options=5), "a dict"),  # type: ignore[arg-type]
    ("args=5", lambda q: q.periodic(every=5, args=5), "a tuple"),  # type: ignore[arg-type]
    ("no task named 5", lambda q: q.add_periodic(5, every=5), "import"),  # type: ignore[arg-type]
    ("args=5", lambda q: q.add_periodic("p", every=5, args=5), "a tuple"),  # type: ignore[arg-type]
    ("concurrency='4'", lambda q: q.run_worker(concurrency="4"), "1 or more"),  # type: ignore[arg-type]
    ("concurrency=1.5", lambda q: q.run_worker(concurrency=1.5), "1 or more"),  # type: ignore[arg-type]
    ("queues=5", lambda q: q.run_worker(queues=5), NAMES),  # type: ignore[arg-type]
    ("queues=[5]", lambda q: q.run_worker(queues=[5]), NAMES),  # type: ignore[list-item]
    ("grace='5'", lambda q: q.run_worker(grace="5"), SECONDS),  # type: ignore[arg-type]
    ("grace=-1", lambda q: q.run_worker(grace=-1), SECONDS),
    ("table=5", lambda q: q.outbox(lambda: None, table=5), "name"),  # type: ignore[arg-type]
    ("keep_markers='x'", lambda q: q.outbox(lambda: None, keep_markers="x"), SECONDS),  # type: ignore[arg-type]
    ("hook None", lambda q: q.on_success(None), "function"),  # type: ignore[type-var]
]


@pytest.mark.parametrize(("said", "call", "valid"), CALLS, ids=[f"{n}" for n in range(len(CALLS))])
def test_a_wrong_argument_is_named_with_what_it_may_be(
    queue: Queue, said: str, call: Callable[[Queue], object], valid: str
) -> None:
    @queue.periodic(every=3600, name="p")
    @queue.task(name="p")
    def work() -> None: ...

    with pytest.raises(OffloadError, match=f"^.*{re.escape(said)}.*{re.escape(valid)}"):
        call(queue)


@pytest.mark.parametrize(
    ("said", "valid"),
    [
        ({"url": 5}, "a URL or a path"),
        ({"db_path": b"jobs.db"}, "a URL or a path"),
        ({"workers": "4"}, "1 or more"),
        ({"workers": 1.5}, "1 or more"),
        ({"workers": None}, "1 or more"),
        ({"lease": "30"}, "a number of seconds"),
        ({"lease": None}, "a number of seconds"),
        ({"heartbeat": "5"}, "a number of seconds"),
        ({"max_arguments": "5"}, "1 byte or more"),
        ({"max_result": None}, "1 byte or more"),
    ],
)
def test_a_wrong_argument_of_a_queue_is_named(said: dict[str, Any], valid: str) -> None:
    [(name, value)] = said.items()
    with pytest.raises(ConfigurationError, match=f"{name}={re.escape(repr(value))}.*{valid}"):
        Queue(**said)


async def test_a_worker_is_stopped_by_an_event_of_asyncio(queue: Queue) -> None:
    # The event of a thread would block the loop for ever.
    for stop in (threading.Event(), 5):
        with pytest.raises(ConfigurationError, match=r"stop=.*must be an asyncio\.Event"):
            await queue.arun_worker(stop, install_signals=False)  # type: ignore[arg-type]


async def test_a_wrong_argument_of_a_handle_is_named(queue: Queue, add: Any) -> None:
    job: JobHandle[int] = await add.adelay(1)
    jobs: Any = await group(add.s(1)).adelay()
    seconds = r"timeout='5': must be a number of seconds"
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: job.result(timeout="5"), seconds),  # type: ignore[arg-type]
        (lambda: jobs.result(timeout="5"), seconds),
        (lambda: job.logs(limit="x"), COUNT),  # type: ignore[arg-type]
        (lambda: job.logs(level=5), ONE_NAME),  # type: ignore[arg-type]
        (lambda: job.parts(after="x"), COUNT),  # type: ignore[arg-type]
        (lambda: list(job.stream(after="x")), COUNT),  # type: ignore[arg-type]
    ]
    for call, message in calls:
        with pytest.raises(ConfigurationError, match=message):
            await asyncio.to_thread(call)


def test_arguments_that_are_no_list_are_refused(queue: Queue, add: Any) -> None:
    a_tuple, mapping = "must be a tuple of arguments, as in", "must be a dict of arguments"
    calls: list[tuple[Callable[[], object], str]] = [
        # A text is a sequence, and its letters would be the arguments.
        (lambda: add.apply_async("5"), rf"args='5': {a_tuple} \('5',\)"),
        (lambda: add.apply_async(kwargs=[1]), rf"kwargs=\[1\]: {mapping}"),
        (lambda: add.apply_async((1,), kwargs=5), rf"kwargs=5: {mapping}"),
        (lambda: add.map(5), "5: must be a list of tuples"),
        (lambda: add.map(None), "None: must be a list of tuples"),
        (lambda: queue.enqueue_many("add", 5), "args_list=5: must be a list"),  # type: ignore[arg-type]
        (lambda: queue.enqueue_many("add", [(1,)], 5), "kwargs_list=5: must be a list"),  # type: ignore[arg-type]
        (lambda: queue.enqueue_many("add", [()], [5]), rf"kwargs=5: {mapping}"),  # type: ignore[list-item]
        (
            lambda: queue.enqueue_many("add", [(1,)], delay_list=5),  # type: ignore[arg-type]
            "delay_list=5: must be a list",
        ),
    ]
    for call, message in calls:
        with pytest.raises((ArgumentError, ConfigurationError), match=message):
            call()
    assert queue.list_jobs() == []


def test_a_task_is_made_of_a_function(queue: Queue) -> None:
    for wrong in ("resize", 5, None.__class__.__name__):
        with pytest.raises(TaskDefinitionError, match=rf"{wrong!r} is no function: .*name="):
            queue.task(wrong)  # type: ignore[call-overload]
        with pytest.raises(TaskDefinitionError, match=rf"{wrong!r} is no function"):
            queue.periodic(every=5)(wrong)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="name=5: must be a name"):
        queue.task(name=5)(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("made", "valid"),
    [
        (lambda: Retry(delay="5"), "delay='5': must be a number of seconds, 0 or more"),  # type: ignore[arg-type]
        (lambda: Snooze("5"), "delay='5': must be a number of seconds above 0"),  # type: ignore[arg-type]
        (lambda: Snooze(timedelta(1)), "must be a number of seconds above 0"),  # type: ignore[arg-type]
        (lambda: Limits(cpu="5"), "cpu='5': must be a number of seconds above 0"),  # type: ignore[arg-type]
    ],
)
def test_seconds_are_a_number(made: Callable[[], object], valid: str) -> None:
    with pytest.raises(ConfigurationError, match=valid):
        made()


def test_a_path_may_be_given_as_the_url(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "jobs.db")  # type: ignore[arg-type]
    assert queue.stats()["pending"] == 0
    queue.close()
